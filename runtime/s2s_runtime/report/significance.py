"""How sure it is that one system is better than another: the paired bootstrap (Koehn 2004)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.report.items import Item

_SAMPLES: Final = 10_000
_AT_ONCE: Final = 500  # samples held at a time


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two systems on the same sources.

    Attributes:
        name: of the figure.
        first: that of the system in question.
        other: that of the one it is compared with.
        low: lower end of the 95% interval of first minus other.
        high: its upper end.
        p: how likely it is, if neither were better, that samples differ as clearly; two-sided.
        is_rate: whether the figure is a share, from 0 on, and not a score of 100 at most.
    """

    name: str
    first: float
    other: float
    low: float
    high: float
    p: float
    is_rate: bool = True

    def points(self, value: float) -> float:
        """Return a value of this figure as people read it: rates in percent."""
        return 100 * value if self.is_rate else value

    def interval(self) -> str:
        """Return the interval in words."""
        return f"{self.points(self.low):+.2f} to {self.points(self.high):+.2f}"

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Compared:
    """Two systems on the same sources.

    Attributes:
        against: what the other system is.
        differences: wrong sequences, wrong tokens, and BLEU where it was asked for.
        gained: sources that the first has right and the other wrong, as pairs of items of both.
        lost: sources that the other has right and the first wrong.
        both_right: how many sources both have right.
        both_wrong: how many sources both have wrong.
    """

    against: str
    differences: Sequence[Difference]
    gained: Sequence[tuple[Item, Item]]
    lost: Sequence[tuple[Item, Item]]
    both_right: int
    both_wrong: int

    def to_dict(self) -> dict[str, object]:
        """Return the figures as plain values for JSON."""
        counts = {"only_right": len(self.gained), "only_wrong": len(self.lost)}
        both = {"both_right": self.both_right, "both_wrong": self.both_wrong}
        differences = [difference.to_dict() for difference in self.differences]
        return {"against": self.against, "differences": differences, **counts, **both}


def compare_items(
    against: str, first: Sequence[Item], other: Sequence[Item], further: Sequence[Difference] = ()
) -> Compared:
    """Compare two systems, item by item.

    Args:
        against: what the other system is.
        first: the items of one system.
        other: those of the other, of the same sources in the same order.
        further: differences of figures that aren't rates of errors.
    """
    pairs = list(zip(first, other, strict=True))
    return Compared(
        against=against,
        differences=[*_errors(pairs), *further],
        gained=[pair for pair in pairs if pair[0].edits == 0 < pair[1].edits],
        lost=[pair for pair in pairs if pair[1].edits == 0 < pair[0].edits],
        both_right=sum(one.edits == two.edits == 0 for one, two in pairs),
        both_wrong=sum(one.edits > 0 < two.edits for one, two in pairs),
    )


def _errors(pairs: Sequence[tuple[Item, Item]]) -> list[Difference]:
    """Return the differences of both error rates."""
    numbers = [(one.edits > 0, two.edits > 0, 1, 1, one.edits, two.edits, one.length, two.length) for one, two in pairs]
    counted = np.array(numbers, np.int64)
    samples = np.concatenate([_rates(sums) for sums in resampled(counted, _SAMPLES)])  # (samples, figures, systems)
    whole = _rates(counted.sum(axis=0, keepdims=True))[0]
    names = ("wrong sequences", "wrong tokens")
    return [difference(name, whole[i], samples[:, i]) for i, name in enumerate(names)]


def resampled(numbers: NDArray[np.int64], samples: int) -> Iterator[NDArray[np.int64]]:
    """Yield sums of numbers over samples of their rows, drawn with replacement: int64 (some samples, columns).

    Rows with the same numbers are one kind: how many of each kind a sample holds is drawn at once.

    Args:
        numbers: int64 (rows, columns).
        samples: how many samples there are to be.
    """
    kinds, counts = np.unique(numbers, axis=0, return_counts=True)
    generator = np.random.default_rng(0)  # the same files give the same figures
    for start in range(0, samples, _AT_ONCE):
        size = min(_AT_ONCE, samples - start)
        yield generator.multinomial(len(numbers), counts / len(numbers), size) @ kinds


def _rates(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return rates of sums (samples, 8), errors of both systems before what they are counted in: (samples, 2, 2)."""
    parts = sums.reshape(-1, 2, 2, 2)  # (samples, figures, errors or all, systems)
    rates: NDArray[np.float64] = parts[:, :, 0] / np.maximum(parts[:, :, 1], 1)
    return rates


def difference(
    name: str, whole: NDArray[np.float64], samples: NDArray[np.float64], *, is_rate: bool = True
) -> Difference:
    """Return a difference with its interval and significance.

    Args:
        name: of the figure.
        whole: the figure of both systems, float64 (2,).
        samples: the same of each sample, float64 (samples, 2).
        is_rate: see `Difference`.
    """
    gaps: NDArray[Any] = samples[:, 0] - samples[:, 1]
    low, high = np.percentile(gaps, [2.5, 97.5])
    rarer = min(int(np.sum(gaps <= 0)), int(np.sum(gaps >= 0)))
    p = min(1.0, 2 * (rarer + 1) / (len(gaps) + 1))
    return Difference(name, float(whole[0]), float(whole[1]), float(low), float(high), p, is_rate)
