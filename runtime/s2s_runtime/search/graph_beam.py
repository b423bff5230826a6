"""Beam search by a graph that extends all beams many times in one run; finds what `s2s_runtime.search.beam` finds.

The graph keeps the beams; this side looks afterwards, step by step, which candidates ended, and stops a sentence as
`s2s_runtime.search.beam` does. What the graph did beyond that is dropped, so each run takes few steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.finished import EndedPool, EndedSequence
from s2s_runtime.search.graph_search import GraphSearch, SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import BeamSteps, BeamWriting, Candidates, StatesT, WritingModel

_STEPS: Final = 6  # in a run: coming back costs about as much as a step, and each step beyond a sentence's end is lost


class _Block(NamedTuple):
    """The beams of one run of the graph, and for each sentence of the batch its row there, int64 (batch,)."""

    rows: Ints
    beams: BeamSteps


class GraphBeam(GraphSearch[StatesT]):
    """Beam search by a graph: the `beam_size` best sequences of a sentence stay alive until enough have ended.

    It gives the best distinct hypotheses of each sentence, best first, at most `num_hypotheses`.
    """

    def __init__(self, model: WritingModel[StatesT], batch: Batch, plan: SearchPlan) -> None:
        super().__init__(model, batch, plan, plan.beam_size)
        self._examined = min(plan.beam_size * (1 + plan.ends), plan.beam_size * len(plan.is_end))
        self._scores: Floats = np.full((len(batch), plan.beam_size), -np.inf, np.float32)
        self._scores[:, 0] = 0.0  # at the first step there are no others to tell apart
        self._tokens: Ints = np.full((len(batch), plan.beam_size), plan.start_id, np.int64)
        self._pool = EndedPool(batch, plan)
        self._blocks: list[tuple[int, _Block]] = []  # for each step so far its number in its run, and the run

    def least(self, count: int) -> int:
        """See `GraphSearch.least`; sentences that have ended are dropped at once, as each has many rows."""
        return count - 1

    def write(self, states: StatesT, least: int, steps: int) -> Iterator[SentenceHypotheses]:
        """See `GraphSearch.write`."""
        mask, holds = self.plan.rules.fixed(self.length)
        steps = min(_STEPS, steps) if holds is None else min(_STEPS, steps, holds)
        beams = BeamWriting(self._scores, mask, self.plan.ending, self._examined, steps)
        run = self.model.write_beams(states, self._tokens.reshape(-1), beams)
        self._scores, self._tokens = run.beam_scores[-1], run.beam_tokens[-1]
        self.going = self._going_on(run)
        for sentence in self.sentences[~self.going].tolist():
            yield SentenceHypotheses(self.batch, sentence, self._pool.best(sentence))

    def drop(self, kept: NDArray[np.intp]) -> None:
        """See `GraphSearch.drop`."""
        super().drop(kept)
        self._scores, self._tokens = self._scores[kept], self._tokens[kept]

    def _going_on(self, run: BeamSteps) -> NDArray[np.bool_]:
        """Follow a run step by step, and return whether each sentence goes on, bool (sentences,)."""
        sentences = self.sentences
        going, limits = np.ones(len(sentences), np.bool_), self.batch.limits[sentences]
        ends = self._pool.ending(run.candidate_tokens, run.candidate_scores)
        alive = run.beam_scores[:, :, 0] > -np.inf
        is_eventful: list[bool] = np.logical_or(ends.any(axis=(1, 2)), ~alive.all(axis=1)).tolist()
        rows = np.zeros(len(self.batch), np.int64)
        rows[sentences] = np.arange(len(sentences))
        block, first_limit = _Block(rows, run), int(limits.min())
        for step, is_busy in enumerate(is_eventful):
            if is_busy:
                self._set_aside(sentences, ends[step] & going[:, None], run.candidates(step), "end")
                going &= alive[step]
            if self.length + 1 >= first_limit:
                last, beams = going & (limits <= self.length + 1), run.beams(step)
                self._set_aside(sentences, (beams.scores > -np.inf) & last[:, None], beams, "length")
                going &= ~last
            if self._pool.is_enough_somewhere:
                going &= ~self._pool.settled(sentences, run.beam_scores[step, :, 0], self.length + 1)
            self._blocks.append((step, block))
            self.length += 1
            if not going.any():
                break
        return going

    def _set_aside(
        self, sentences: Ints, which: NDArray[np.bool_], candidates: Candidates, reason: FinishReason
    ) -> None:
        """Move candidates to the pool of ended hypotheses, best first."""
        kept = self._pool.screen(sentences, which, candidates.scores, self.length + 1)
        for index, rank in zip(*np.nonzero(kept), strict=True):
            sentence, log_probability = int(sentences[index]), float(candidates.scores[index, rank])
            ids, sums = self._trace(sentence, int(candidates.parents[index, rank]))
            ids.append(int(candidates.tokens[index, rank]))
            gains = np.diff(np.array([0.0, *sums, log_probability], np.float32)) if self.plan.token_scores else None
            score = self.plan.score(log_probability, len(ids), None)
            self._pool.add(sentence, EndedSequence(ids, reason, score, gains), score)

    def _trace(self, sentence: int, beam: int) -> tuple[list[int], list[float]]:
        """Return the tokens of a beam from the first to the last step, and its log-probability after each."""
        tokens, sums = [], []
        for step, (rows, beams) in reversed(self._blocks):
            position = step, rows.item(sentence), beam
            tokens.append(beams.beam_tokens.item(position))
            sums.append(beams.beam_scores.item(position))
            beam = beams.beam_parents.item(position)
        return tokens[::-1], sums[::-1]
