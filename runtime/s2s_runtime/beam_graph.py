"""Beam search by a graph that extends all beams many times in one run; the same hypotheses as `s2s_runtime.beam` finds.

The graph keeps the beams; this side looks afterwards, step by step, which extensions ended, and stops a sentence as
`s2s_runtime.beam` does. What the graph did beyond that is dropped, so each run takes few steps.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.pool import EndedPool
from s2s_runtime.results import FinishReason
from s2s_runtime.scoring import Ints
from s2s_runtime.search import Batch, Ended, SearchPlan
from s2s_runtime.step_model import Beams, BeamSteps, Extensions, StatesT, WritingModel

_STEPS: Final = 6  # in a run: coming back costs about as much as a step, and each step beyond a sentence's end is lost


def beam_graph_search(model: WritingModel[StatesT], batch: Batch, plan: SearchPlan) -> list[list[Ended]]:
    """Keep the `beam_size` best sequences of each sentence alive until enough have ended.

    Returns:
        For each sentence of the batch its best distinct hypotheses, best first, at most `num_hypotheses`.
    """
    width, sentences = plan.beam_size, np.arange(len(batch))
    states = model.select(model.encode(batch.source, *batch.others), np.repeat(sentences, width))
    tokens = np.full(len(batch) * width, plan.start_id, np.int64)
    scores = np.full((len(batch), width), -np.inf, np.float32)
    scores[:, 0] = 0.0  # at the first step there are no others to tell apart
    examined = min(width * (1 + plan.ends), width * len(plan.is_end))
    found = _Found(batch, plan)
    while len(sentences):
        steps = min(_STEPS, int(batch.limits[sentences].min()) - found.length)
        beams = Beams(scores, plan.rules.always, plan.ending, examined, steps)
        block = model.write_beams(states, tokens, beams)
        going = found.add(sentences, block)
        kept = np.flatnonzero(going)
        scores, tokens = block.beam_scores[-1][kept], block.beam_tokens[-1][kept].reshape(-1)
        if 0 < len(kept) < len(sentences):
            states = model.select(states, (kept[:, None] * width + np.arange(width)).reshape(-1))
        sentences = sentences[kept]
    return found.pool.best()


class _Block(NamedTuple):
    """The beams of one run, and in which row of it each sentence of the batch is."""

    rows: Ints
    beams: BeamSteps


class _Found:
    """What all runs found so far, and the hypotheses that have ended."""

    def __init__(self, batch: Batch, plan: SearchPlan) -> None:
        self.length = 0
        self.pool = EndedPool(batch, plan)
        self._batch = batch
        self._plan = plan
        self._blocks: list[tuple[int, _Block]] = []  # for each step so far its number in its run, and the run

    def add(self, sentences: Ints, found: BeamSteps) -> NDArray[np.bool_]:
        """Take in what a run found.

        Args:
            sentences: (sentences,) places in the batch.
            found: by the run.

        Returns:
            (sentences,) whether each goes on.
        """
        going, limits = np.ones(len(sentences), np.bool_), self._batch.limits[sentences]
        ends = self._plan.is_end[found.candidate_tokens] & (found.candidate_scores > -np.inf)
        ends[:, :, self._plan.beam_size :] = False  # see `s2s_runtime.beam`
        alive = found.beam_scores[:, :, 0] > -np.inf
        is_eventful: list[bool] = np.logical_or(ends.any(axis=(1, 2)), ~alive.all(axis=1)).tolist()
        rows = np.zeros(len(self._batch), np.int64)
        rows[sentences] = np.arange(len(sentences))
        block, first_limit = _Block(rows, found), int(limits.min())
        for step, is_busy in enumerate(is_eventful):
            if is_busy:
                self._set_aside(sentences, ends[step] & going[:, None], found.candidates(step), "end")
                going &= alive[step]
            if self.length + 1 >= first_limit:
                last, beams = going & (limits <= self.length + 1), found.beams(step)
                self._set_aside(sentences, (beams.scores > -np.inf) & last[:, None], beams, "length")
                going &= ~last
            if self.pool.is_enough_somewhere:
                going &= ~self.pool.settled(sentences, found.beam_scores[step, :, 0])
            self._blocks.append((step, block))
            self.length += 1
            if not going.any():
                break
        return going

    def _set_aside(
        self, sentences: Ints, which: NDArray[np.bool_], extensions: Extensions, reason: FinishReason
    ) -> None:
        """Move extensions to the pool of ended hypotheses, best first."""
        kept = self.pool.screen(sentences, which, extensions.scores, self.length + 1)
        for place, rank in zip(*np.nonzero(kept), strict=True):
            sentence, log_probability = int(sentences[place]), float(extensions.scores[place, rank])
            ids, sums = self._trace(sentence, int(extensions.parents[place, rank]))
            ids.append(int(extensions.tokens[place, rank]))
            gains = np.diff(np.array([0.0, *sums, log_probability], np.float32)) if self._plan.token_scores else None
            score = self._plan.score(log_probability, len(ids), None)
            self.pool.add(sentence, Ended(ids, reason, score, gains), score)

    def _trace(self, sentence: int, beam: int) -> tuple[list[int], list[float]]:
        """Tokens of a beam from the first to the last step, and its log-probability after each."""
        tokens, sums = [], []
        for step, (rows, beams) in reversed(self._blocks):
            place = step, rows.item(sentence), beam
            tokens.append(beams.beam_tokens.item(place))
            sums.append(beams.beam_scores.item(place))
            beam = beams.beam_parents.item(place)
        return tokens[::-1], sums[::-1]
