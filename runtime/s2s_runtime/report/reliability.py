"""Whether outputs are right as often as the model says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BINS: Final = 10
_KEPT: Final = (0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The outputs whose confidence lies from `low` to `high`: how many, their mean confidence, the share right."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Kept:
    """The surest outputs: what part of all they are, the least confidence among them, and the share wrong."""

    share: float
    least: float
    wrong: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How confidence and truth go together.

    Attributes:
        bins: outputs by their confidence, ten equal steps from 0 to 1; empty ones are left out.
        error: expected calibration error: mean distance of confidence and share right over the bins, weighted by the
            outputs in them (Naeini et al. 2015).
        ranking: how often a right output is surer than a wrong one, ties by half (area under the ROC curve); None
            where all are right or all are wrong.
        kept: error among the surest outputs.
    """

    bins: Sequence[ReliabilityBin]
    error: float
    ranking: float | None
    kept: Sequence[Kept]


def measure_reliability(confidences: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Compare confidences with what was right.

    Args:
        confidences: probability of each output, 0 to 1; at least one.
        right: whether each is right.
    """
    sure, true = np.asarray(confidences, np.float64), np.asarray(right, np.bool_)
    numbers = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    bins = [
        ReliabilityBin(
            number / _BINS,
            (number + 1) / _BINS,
            int(inside.sum()),
            float(sure[inside].mean()),
            float(true[inside].mean()),
        )
        for number in range(_BINS)
        if (inside := numbers == number).any()
    ]
    error = sum(one.count * abs(one.confidence - one.right) for one in bins) / len(sure)
    order = np.argsort(-sure, kind="stable")
    kept = []
    for share in _KEPT:
        surest = order[: max(1, round(share * len(order)))]
        kept.append(Kept(share, float(sure[surest].min()), float(1 - true[surest].mean())))
    return Reliability(bins, error, _ranking(sure[true], sure[~true]), kept)


def _ranking(right: NDArray[Any], wrong: NDArray[Any]) -> float | None:
    """Return how often a number of the first array exceeds one of the second, ties counting half."""
    if not len(right) or not len(wrong):
        return None
    ordered = np.sort(wrong)
    below, up_to = np.searchsorted(ordered, right, "left"), np.searchsorted(ordered, right, "right")
    return float((below + up_to).mean() / 2 / len(wrong))
