"""Greedy search and sampling by a graph that writes many tokens in one run, as `s2s_runtime.search.greedy` finds them.

The graph comes back when enough rows have ended to be worth dropping, or when a row reaches its longest length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints, doubled
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.results import FinishReason
from s2s_runtime.search.finished import EndedSequence, rank
from s2s_runtime.search.graph_search import GraphSearch, SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StatesT, Writing, WritingModel, Written

if TYPE_CHECKING:
    from s2s_runtime.search import sampling
else:
    sampling = LazyModule("search.sampling")

_FIRST_CAPACITY = 64


class GraphGreedy(GraphSearch[StatesT]):
    """Greedy search by a graph: the likeliest token at each step, or one drawn at random.

    Each sample of a sentence is a row of its own; all that `GraphSearch` knows of sentences in flight is of rows.
    """

    def __init__(self, model: WritingModel[StatesT], batch: Batch, plan: SearchPlan) -> None:
        super().__init__(model, batch, plan)
        self._ended: dict[int, list[EndedSequence]] = defaultdict(list)  # of sentences with several samples
        self._draws = None if plan.sampler is None else sampling.Draws(plan.sampler, len(batch), plan.num_hypotheses)
        if plan.num_hypotheses > 1:
            self.sentences = self.sentences.repeat(plan.num_hypotheses)
            self.going = np.ones(len(self.sentences), np.bool_)
        count = len(self.sentences)
        self._tokens: Ints = np.full(count, plan.start_id, np.int64)  # the last of each row in flight
        self._totals: Floats = np.zeros(count, np.float32)  # their log-probabilities
        self._numbers: Ints = np.arange(count)  # the row, among all, of each in flight
        self._written: Ints = np.zeros((count, _FIRST_CAPACITY), np.int64)  # of all rows
        self._scores: Floats | None = np.zeros((count, _FIRST_CAPACITY), np.float32) if plan.token_scores else None

    def write(self, states: StatesT, least: int, steps: int) -> Iterator[SentenceHypotheses]:
        """See `GraphSearch.write`; rows that have ended are written on like the others."""
        written = self._run(states, least, steps)
        block = written.tokens  # (steps, rows)
        before, self.length = self.length, self.length + len(block)
        self._keep(written, before)
        ends = self.plan.is_end[block]
        ended = ends.any(axis=0) & self.going
        full = (self.batch.limits[self.sentences] <= self.length) & self.going & ~ended
        self.going = self.going & ~ended & ~full
        lengths = np.where(ended, before + ends.argmax(axis=0) + 1, self.length)
        totals = self._added(written.scores)
        done = np.flatnonzero(ended | full)
        if self.plan.num_hypotheses > 1:  # of equal ones, the one that ended first comes first
            done = done[lengths[done].argsort(kind="stable")]
        told = zip(done.tolist(), lengths[done].tolist(), ended[done].tolist(), strict=True)
        for row, length, has_end in told:
            total = None if totals is None else float(totals[length - before, row])
            sequence = self._sequence(row, length, "end" if has_end else "length", total)
            sentence = int(self.sentences[row])
            if self.plan.num_hypotheses == 1:
                yield SentenceHypotheses(self.batch, sentence, [sequence])
                continue
            hypotheses = self._ended[sentence]
            hypotheses.append(sequence)
            if len(hypotheses) == self.plan.num_hypotheses:
                yield SentenceHypotheses(self.batch, sentence, rank(hypotheses, len(hypotheses)))

    def drop(self, kept: NDArray[np.intp]) -> None:
        """See `GraphSearch.drop`."""
        super().drop(kept)
        self._tokens, self._totals, self._numbers = self._tokens[kept], self._totals[kept], self._numbers[kept]
        if self._draws is not None:
            self._draws.select(kept)

    def _encoded(self) -> StatesT:
        states = super()._encoded()
        return states if self.plan.num_hypotheses == 1 else self.model.select(states, self.sentences)

    def _run(self, states: StatesT, least: int, steps: int) -> Written:
        """Run the graph once."""
        live = self.going.astype(np.float32)
        mask, holds = self.plan.rules.fixed(self.length)
        steps = steps if holds is None else min(holds, steps)
        writing = Writing(mask, self.plan.goes_on, live, least, steps, self.plan.choice)
        if self._draws is None:
            return self.model.write(states, self._tokens, writing)
        drawing = self._draws.drawing(len(self.plan.is_end))
        writing = writing._replace(steps=min(steps, len(drawing.numbers)), drawing=drawing)
        written = self.model.write(states, self._tokens, writing)
        self._draws.skip(len(written.tokens))
        return written

    def _keep(self, written: Written, before: int) -> None:
        """Keep what was written behind so many steps."""
        while self.length > self._written.shape[1]:
            self._written = doubled(self._written)
            self._scores = None if self._scores is None else doubled(self._scores)
        self._written[self._numbers, before : self.length] = written.tokens.T
        self._tokens = written.tokens[-1]
        if self._scores is not None and written.scores is not None:
            self._scores[self._numbers, before : self.length] = written.scores.T

    def _added(self, scores: Floats | None) -> Floats | None:
        """Return the log-probability of each row before the first of the steps and behind each, or None."""
        if scores is None or not self.plan.scores:
            return None
        totals: Floats = np.add.accumulate(np.concatenate([self._totals[None], scores]), axis=0)
        self._totals = totals[-1]
        return totals

    def _sequence(self, row: int, length: int, reason: FinishReason, total: float | None) -> EndedSequence:
        """Return what a row wrote."""
        number = self._numbers[row]
        score = None if total is None else self.plan.score(total, length, None)
        scores = None if self._scores is None else self._scores[number, :length].copy()
        return EndedSequence(self._written[number, :length].tolist(), reason, score, scores)
