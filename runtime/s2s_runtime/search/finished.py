"""The hypotheses of a batch that have ended, and when enough have."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.plan import SearchPlan


class Confidences(NamedTuple):
    """How sure the model is of a sequence, at the bundle's temperature.

    Attributes:
        tokens: float32 (tokens,), log-probability of each.
        likeliest: int64 (tokens, top), the likeliest tokens in the place of each, best first.
        likeliest_scores: float32 (tokens, top), their log-probabilities.
    """

    tokens: Floats
    likeliest: Ints
    likeliest_scores: Floats


NO_CONFIDENCES: Final = Confidences(np.zeros(0, np.float32), np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32))


class EndedSequence(NamedTuple):
    """A sequence that has ended.

    Attributes:
        ids: its tokens, the end token included where it has one.
        reason: why it ended; with "end" the last of `ids` is the end token.
        score: normalised log-probability, or None where scores weren't computed.
        token_scores: float32 (tokens,), or None.
        attention: float32 (tokens, source time), or None.
        alignment: first frame of each token, and the one behind its last, or None.
        confidences: how sure the model is of it, or None.
    """

    ids: list[int]
    reason: FinishReason
    score: float | None
    token_scores: Floats | None = None
    attention: Floats | None = None
    alignment: list[tuple[int, int]] | None = None
    confidences: Confidences | None = None

    @property
    def bare(self) -> list[int]:
        """The tokens without the end token."""
        return self.ids[:-1] if self.reason == "end" else self.ids


def rank(ended: list[EndedSequence], count: int) -> list[EndedSequence]:
    """Return the best distinct sequences, best first; of equal scores, the one that ended first comes first.

    Two that differ only in which end token they ended with are the same.
    """
    best: dict[tuple[int, ...], EndedSequence] = {}
    for sequence in sorted(ended, key=lambda item: -(item.score or 0.0)):
        best.setdefault(tuple(sequence.bare), sequence)
    return list(best.values())[:count]


class EndedPool:
    """The ended hypotheses of each sentence: how many there were, and those that may still be among the best.

    Args:
        batch: the sentences.
        plan: how many have to end, and how they are scored.
    """

    def __init__(self, batch: Batch, plan: SearchPlan) -> None:
        self._limits = batch.limits
        self._plan = plan
        self._ended: list[list[EndedSequence]] = [[] for _ in range(len(batch))]
        self._scores: list[list[float]] = [[] for _ in range(len(batch))]  # ascending
        self._counts: Ints = np.zeros(len(batch), np.int64)
        self._most = 0
        self._best: Floats = np.full(len(batch), -np.inf, np.float32)
        self._needed: Floats = np.full(len(batch), -np.inf, np.float32)  # to be among the best that are returned
        # of sequences that differ in their end tokens only, one is returned
        self._most_added = plan.rules.most_added
        self._capacity = plan.num_hypotheses * max(1, plan.ends)

    def ending(self, tokens: Ints, scores: Floats) -> NDArray[np.bool_]:
        """Return which candidates are set aside as ended hypotheses, bool (..., candidates).

        A candidate that ends below the first `beam_size` is neither ended nor alive: see `s2s_runtime.search.beam`.

        Args:
            tokens: int64 (..., candidates), best first.
            scores: float32 (..., candidates), log-probability of the whole sequence.

        """
        ends: NDArray[np.bool_] = self._plan.is_end[tokens] & (scores > -np.inf)
        ends[..., self._plan.beam_size :] = False
        return ends

    @property
    def is_enough_somewhere(self) -> bool:
        """Whether in any sentence as many hypotheses have ended as it takes to stop."""
        return self._most >= self._plan.pool

    def is_empty(self, sentence: int) -> bool:
        """Return whether nothing has ended in a sentence."""
        return not self._ended[sentence]

    def screen(
        self, sentences: Ints, which: NDArray[np.bool_], log_probability: Floats, length: int
    ) -> NDArray[np.bool_]:
        """Count sequences that end, and return which of them are good enough to be kept, bool (sentences, candidates).

        Args:
            sentences: int64 (sentences,), indices in the batch.
            which: bool (sentences, candidates), True at those that end.
            log_probability: float32 (sentences, candidates), of the whole sequence.
            length: tokens of the sequences, the end token included.
        """
        self._counts[sentences] += which.sum(axis=1)
        self._most = int(self._counts.max())
        # before the coverage penalty, which only lowers them
        scores = log_probability / np.float32(self._plan.length_penalty.divisor(length))
        kept: NDArray[np.bool_] = which & (scores > self._needed[sentences][:, None])
        return kept

    def add(self, sentence: int, ended: EndedSequence, score: float) -> None:
        """Keep an ended sequence, and raise the score that later ones of its sentence need to be kept."""
        self._ended[sentence].append(ended)
        scores = self._scores[sentence]
        scores.append(score)
        scores.sort()
        self._best[sentence] = scores[-1]
        if len(scores) >= self._capacity:
            self._needed[sentence] = scores[-self._capacity]

    def settled(self, sentences: Ints, log_probability: Floats, length: int) -> NDArray[np.bool_]:
        """Return, as bool (sentences,), whether enough sequences have ended and none alive can beat the best of them.

        Args:
            sentences: int64 (sentences,), indices in the batch.
            log_probability: float32 (sentences,), of the best sequence alive.
            length: tokens of the sequences alive.
        """
        enough: NDArray[np.bool_] = self._counts[sentences] >= self._plan.pool
        if enough.any():
            limits = self._limits[sentences]
            if self._most_added:
                log_probability = log_probability + (self._most_added * (limits - length)).astype(np.float32)
            bound = self._plan.length_penalty.bound(log_probability, limits, length)
            enough &= bound <= self._best[sentences]
        return enough

    def best(self, sentence: int) -> list[EndedSequence]:
        """Return the best distinct hypotheses of a sentence, best first."""
        return rank(self._ended[sentence], self._plan.num_hypotheses)
