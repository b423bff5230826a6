"""Greedy search by a graph that writes many tokens in one run; it finds what `s2s_runtime.search.greedy` finds.

The graph comes back when enough rows have ended to be worth dropping, or when a row reaches its longest length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import GraphSearch, SentenceHypotheses
from s2s_runtime.search.history import doubled
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StatesT, Writing, WritingModel

_FIRST_CAPACITY = 64


class GraphGreedy(GraphSearch[StatesT]):
    """Greedy search by a graph: it takes the likeliest token at each step and gives one hypothesis without a score."""

    def __init__(self, model: WritingModel[StatesT], batch: Batch, plan: SearchPlan) -> None:
        super().__init__(model, batch, plan)
        self._tokens: Ints = np.full(len(batch), plan.start_id, np.int64)  # the last of each sentence in flight
        self._written: Ints = np.zeros((len(batch), _FIRST_CAPACITY), np.int64)  # of all sentences

    def write(self, states: StatesT, least: int, steps: int) -> Iterator[SentenceHypotheses]:
        """See `GraphSearch.write`; rows that have ended are written on like the others."""
        live = self.going.astype(np.float32)
        mask, holds = self.plan.rules.fixed(self.length)
        writing = Writing(mask, self.plan.goes_on, live, least, steps if holds is None else min(holds, steps))
        block = self.model.write(states, self._tokens, writing)  # (steps, rows)
        before, self.length = self.length, self.length + len(block)
        while self.length > self._written.shape[1]:
            self._written = doubled(self._written)
        self._written[self.sentences, before : self.length] = block.T
        self._tokens = block[-1]
        ends = self.plan.is_end[block]
        ended = ends.any(axis=0) & self.going
        full = (self.batch.limits[self.sentences] <= self.length) & self.going & ~ended
        self.going = self.going & ~ended & ~full
        lengths = np.where(ended, before + ends.argmax(axis=0) + 1, self.length)
        rows = np.flatnonzero(ended | full)
        told = zip(self.sentences[rows].tolist(), lengths[rows].tolist(), ended[rows].tolist(), strict=True)
        for sentence, length, has_end in told:
            ids = self._written[sentence, :length].tolist()
            yield SentenceHypotheses(self.batch, sentence, [EndedSequence(ids, "end" if has_end else "length", None)])

    def drop(self, kept: NDArray[np.intp]) -> None:
        """See `GraphSearch.drop`."""
        super().drop(kept)
        self._tokens = self._tokens[kept]
