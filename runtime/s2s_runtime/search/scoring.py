"""Scores: log-probabilities, their normalisation by length and coverage, and the choice of the best candidates.

All in float32, row by row, so that a row's numbers do not depend on the rows beside it.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.options.types import LengthPenaltyKind

_Number = TypeVar("_Number", np.float32, np.float64, np.int64)
_Score = TypeVar("_Score", np.float32, np.float64)

_LEAST_COVERAGE: Final = np.float32(1e-10)  # keeps the logarithm of a source position that was never looked at finite


def log_normalizer(logits: Floats) -> Floats:
    """Return the logarithm of the sum of exponentials of each row: float32 (rows, vocabulary) -> (rows,).

    `logits - log_normalizer(logits)[:, None]` is the log-softmax. Search needs it at few tokens only, and subtracting
    there spares a pass over all logits. It is never -inf or nan for finite logits, as the maximum is taken out first.
    """
    # ufuncs' own reduce: the array methods of that name cost a microsecond more, as much as the sum itself
    highest: Floats = np.maximum.reduce(logits, axis=1)
    highest += np.log(np.add.reduce(np.exp(logits - highest[:, None]), axis=1))
    return highest


class LengthPenalty(NamedTuple):
    """A rule that makes the log-probability of a whole sequence its score.

    "average" divides by length^alpha; "gnmt" by ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14). Length counts
    the generated tokens, the end token included. Alpha 0 leaves the log-probability as it is.
    """

    alpha: float = 1.0
    kind: LengthPenaltyKind = "average"

    def divisor(self, length: int) -> float:
        """Return what the log-probability of a sequence of `length` tokens is divided by; 1 for an empty one."""
        if length == 0:
            return 1.0
        return float((length if self.kind == "average" else (5 + length) / 6) ** self.alpha)

    def score(self, log_probability: float, length: int) -> float:
        """Return the score of a finished sequence."""
        return log_probability / self.divisor(length)

    def bound(self, log_probability: Floats, limits: Ints, length: int) -> Floats:
        """Return the highest score that unfinished sequences can still reach.

        As alpha isn't negative, the divisor grows with length, so that the best end of a sequence whose
        log-probability is negative is the latest possible, and that of one whose is positive the next.

        Args:
            log_probability: float32 (sentences,), the highest that a sequence of each can still have.
            limits: int64 (sentences,), most tokens allowed.
            length: tokens so far.
        """
        longest = limits if self.kind == "average" else (5 + limits) / 6
        bound: Floats = (log_probability / longest**self.alpha).astype(np.float32)
        is_positive = log_probability > 0
        if is_positive.any():
            bound = np.where(is_positive, log_probability / np.float32(self.divisor(length + 1)), bound)
        return bound


def coverage_score(attended: Floats) -> float:
    """Return the sum over source positions of log(min(attention received, 1)) (Wu et al. 2016, equation 14).

    Args:
        attended: float32 (source time,), attention that each position received over the whole target, without padding.
    """
    return float(np.log(np.clip(attended, _LEAST_COVERAGE, 1.0)).sum(dtype=np.float32))


def top_candidates(scores: NDArray[_Score], count: int) -> tuple[NDArray[_Score], Ints]:
    """Return the highest scores of each row, best first; of equal ones, the one that comes first.

    Args:
        scores: float32 or float64 (rows, candidates).
        count: how many; all where there are fewer. Which of several -inf are among them is not defined.

    Returns:
        Scores, and their positions, int64, each (rows, min(count, candidates)).
    """
    if count >= scores.shape[1]:
        best = (-scores).argsort(axis=1, kind="stable")
        return pick(scores, best), best
    # one more than wanted, to see whether it ties with the last; in the order of their positions
    best = scores.argpartition(-count - 1, axis=1)[:, -count - 1 :]
    best.sort(axis=1)
    values = pick(scores, best)
    order = (-values).argsort(axis=1, kind="stable")
    best, values = pick(best, order), pick(values, order)
    tied = values[:, count] == values[:, count - 1]
    for row in tied.nonzero()[0]:  # partitioning takes any of those that tie; take the first
        if values[row, count] > -np.inf:
            best[row, :count] = np.argsort(-scores[row], kind="stable")[:count]
            values[row, :count] = scores[row, best[row, :count]]
    return values[:, :count], best[:, :count]


def pick(array: NDArray[_Number], columns: Ints) -> NDArray[_Number]:
    """Return some columns of each row, as `np.take_along_axis` without its overhead, most of the time at batch 1."""
    rows, width = array.shape
    if rows > 1:
        columns = columns + np.arange(0, rows * width, width)[:, None]
    return array.reshape(-1).take(columns)
