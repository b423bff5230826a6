"""Greedy search by a graph that writes many tokens in one run; the same tokens as `s2s_runtime.greedy` takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.results import FinishReason
from s2s_runtime.scoring import Ints
from s2s_runtime.search import DROP_SHARE, Batch, Ended, SearchPlan
from s2s_runtime.step_model import StatesT, Writing, WritingModel


def greedy_graph_search(model: WritingModel[StatesT], batch: Batch, plan: SearchPlan) -> list[list[Ended]]:
    """Take the likeliest token at each step.

    The graph comes back when enough rows have ended to be worth dropping, or when a row reaches its longest length.

    Returns:
        For each sentence of the batch its only hypothesis, without a score.
    """
    states, sentences = model.encode(batch.source, *batch.others), np.arange(len(batch))
    live, tokens = np.ones(len(batch), np.float32), np.full(len(batch), plan.start_id, np.int64)
    written = _Written(batch, plan)
    while len(sentences):
        steps = int(batch.limits[sentences[live > 0]].min()) - written.length
        least = len(sentences) - -(-len(sentences) // DROP_SHARE)
        block = model.write(states, tokens, Writing(plan.rules.always, plan.goes_on, live, least, steps))
        live *= written.add(sentences, block, live > 0)
        kept = np.flatnonzero(live)
        if 0 < len(kept) <= least:
            states, live = model.select(states, kept), live[kept]
        if len(kept) <= least:
            sentences, block = sentences[kept], block[:, kept]
        tokens = block[-1]
    return written.hypotheses()


class _Written:
    """Tokens of all sentences, block by block, and where each ended."""

    def __init__(self, batch: Batch, plan: SearchPlan) -> None:
        self.length = 0
        self._plan = plan
        self._limits = batch.limits
        self._blocks: list[tuple[Ints, Ints]] = []
        self._ends: Ints = np.zeros(len(batch), np.int64)
        self._reasons: list[FinishReason] = ["length"] * len(batch)

    def add(self, sentences: Ints, block: Ints, live: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Take in what was written.

        Args:
            sentences: (rows,) place of each row in the batch.
            block: (steps, rows) tokens.
            live: (rows,) rows that had not ended before.

        Returns:
            (rows,) bool, False at rows that have ended by now.
        """
        self._blocks.append((sentences, block))
        ends = self._plan.is_end[block]
        ended = ends.any(axis=0) & live
        self._ends[sentences[ended]] = self.length + ends.argmax(axis=0)[ended] + 1
        for sentence in sentences[ended]:
            self._reasons[sentence] = "end"
        self.length += len(block)
        full = (self._limits[sentences] <= self.length) & live & ~ended
        self._ends[sentences[full]] = self.length
        going: NDArray[np.bool_] = live & ~ended & ~full
        return going

    def hypotheses(self) -> list[list[Ended]]:
        """The sequence of each sentence."""
        tokens = np.zeros((len(self._ends), self.length), np.int64)
        start = 0
        for sentences, block in self._blocks:
            tokens[sentences, start : start + len(block)] = block.T
            start += len(block)
        rows = zip(tokens.tolist(), self._ends.tolist(), self._reasons, strict=True)
        return [[Ended(ids[:end], reason, None)] for ids, end, reason in rows]
