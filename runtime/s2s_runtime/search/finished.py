"""The hypotheses of a batch that have ended, and when that is enough."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.plan import SearchPlan


@dataclass(frozen=True, slots=True)
class Ended:
    """A sequence that has ended.

    Attributes:
        ids: its tokens, the end token included where it has one.
        reason: why it ended; with "end" the last of `ids` is the end token.
        score: None where scores weren't computed.
        token_scores: (tokens,) float32, or None.
        attention: (tokens, source time) float32, or None.
    """

    ids: list[int]
    reason: FinishReason
    score: float | None
    token_scores: Floats | None = None
    attention: Floats | None = None

    @property
    def bare(self) -> list[int]:
        """The tokens without the end token."""
        return self.ids[:-1] if self.reason == "end" else self.ids


def rank(ended: list[Ended], count: int) -> list[Ended]:
    """The best distinct sequences, best first; of equal scores, the one that ended first.

    Two that differ only in which end token they ended with are the same.
    """
    best: dict[tuple[int, ...], Ended] = {}
    for each in sorted(ended, key=lambda item: -(item.score or 0.0)):
        best.setdefault(tuple(each.bare), each)
    return list(best.values())[:count]


class EndedPool:
    """Ended hypotheses of each sentence: how many there were, and those that may still be among the best.

    Args:
        batch: the sentences.
        plan: how many have to end, and how they are scored.
    """

    def __init__(self, batch: Batch, plan: SearchPlan) -> None:
        self._limits = batch.limits
        self._plan = plan
        self._ended: list[list[Ended]] = [[] for _ in range(len(batch))]
        self._scores: list[list[float]] = [[] for _ in range(len(batch))]  # ascending
        self._counts: Ints = np.zeros(len(batch), np.int64)
        self._most = 0
        self._best: Floats = np.full(len(batch), -np.inf, np.float32)
        self._needed: Floats = np.full(len(batch), -np.inf, np.float32)  # to be among the best that are returned
        # of sequences that differ in their end tokens only, one is returned
        self._capacity = plan.num_hypotheses * max(1, plan.ends)

    def ending(self, tokens: Ints, scores: Floats) -> NDArray[np.bool_]:
        """Tell which candidates (..., candidates), best first, are set aside as ended hypotheses.

        One that ends below the first `beam_size` is neither ended nor alive: see `s2s_runtime.search.beam`.
        """
        ends: NDArray[np.bool_] = self._plan.is_end[tokens] & (scores > -np.inf)
        ends[..., self._plan.beam_size :] = False
        return ends

    @property
    def is_enough_somewhere(self) -> bool:
        """Whether in any sentence as many have ended as it takes to stop."""
        return self._most >= self._plan.pool

    def is_empty(self, sentence: int) -> bool:
        """Whether nothing has ended in this sentence."""
        return not self._ended[sentence]

    def screen(
        self, sentences: Ints, which: NDArray[np.bool_], log_probability: Floats, length: int
    ) -> NDArray[np.bool_]:
        """Count sequences that end, and tell which of them are good enough to be kept.

        Args:
            sentences: (sentences,) places in the batch.
            which: (sentences, candidates) those that end.
            log_probability: (sentences, candidates).
            length: of the sequences, the end token included.
        """
        self._counts[sentences] += which.sum(axis=1)
        self._most = int(self._counts.max())
        # before the coverage penalty, which only lowers them
        scores = log_probability / np.float32(self._plan.length_penalty.divisor(length))
        kept: NDArray[np.bool_] = which & (scores > self._needed[sentences][:, None])
        return kept

    def add(self, sentence: int, ended: Ended, score: float) -> None:
        """Keep a sequence."""
        self._ended[sentence].append(ended)
        scores = self._scores[sentence]
        bisect.insort(scores, score)
        self._best[sentence] = scores[-1]
        if len(scores) >= self._capacity:
            self._needed[sentence] = scores[-self._capacity]

    def settled(self, sentences: Ints, log_probability: Floats) -> NDArray[np.bool_]:
        """Whether enough sequences have ended and none alive can beat the best of them.

        Args:
            sentences: (sentences,) places in the batch.
            log_probability: (sentences,) of the best sequence alive.
        """
        enough: NDArray[np.bool_] = self._counts[sentences] >= self._plan.pool
        if enough.any():
            bound = self._plan.length_penalty.bound(log_probability, self._limits[sentences])
            enough &= bound <= self._best[sentences]
        return enough

    def best(self, sentence: int) -> list[Ended]:
        """The best distinct hypotheses of a sentence, best first."""
        return rank(self._ended[sentence], self._plan.num_hypotheses)
