"""Ratios of measurements, with their confidence.

What happens on a machine lasts longer than one run, so that runs of the same round aren't independent; rounds are taken
to be. What differs between two occasions (another temperature, another neighbour) is more than rounds can show.

- Measured in turn (two bundles, or a bundle and onnxruntime alone), both have the same rounds. The ratio is the median
  of the ratios of the rounds, each of the medians of the two in that round. Its interval of 95% confidence lies between
  two of these ratios, by the sign test: exact, whatever their distribution (Conover, Practical Nonparametric
  Statistics, 3rd ed. 1999, section 3.2).
- Measured at different times (two files), the ratio is that of the medians of all runs. Its interval comes from a
  bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13: percentiles): whole rounds of each
  are drawn with replacement, 2,000 times.

With fewer than six rounds there is no interval: none between so few ratios would have that confidence.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bench.timing import LOADED, Measurement, swept

CONFIDENCE: Final = 0.95
_DRAWS: Final = 2000
LEAST_ROUNDS: Final = 6

Visits = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one measured quantity.

    Attributes:
        visits: the values by rounds, at least one in each.
        unit: unit in which they are shown: "ms" (the values are seconds) or "MB" (the values are bytes).
    """

    visits: Visits
    unit: str = "ms"

    @property
    def median(self) -> float:
        """Median of all values, in `unit`."""
        return float(np.median(_joined(self.visits))) * {"ms": 1e3, "MB": 1e-6}[self.unit]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of one series to another.

    Attributes:
        value: the ratio.
        low, high: the interval that holds it with `CONFIDENCE`; None where there were too few rounds.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity measured twice.

    Attributes:
        what: words for the quantity, such as "batch 8, beam 1".
        unit: unit of the medians: "ms" or "MB".
        median: median of what is compared.
        baseline: median of what it is compared with.
        ratio: ratio of the first to the second.
    """

    what: str
    unit: str
    median: float
    baseline: float
    ratio: Ratio

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


def paired_ratio(of: Visits, to: Visits) -> Ratio:
    """Return the ratio of two series measured in turn; the module's documentation describes the method.

    Args:
        of: values by rounds.
        to: values of the same rounds.

    Raises:
        ValueError: the numbers of rounds differ.
    """
    ratios = sorted(float(np.median(first) / np.median(second)) for first, second in zip(of, to, strict=True))
    count, outside, left = len(ratios), 0, 0.0
    while (left := left + math.comb(count, outside) / 2**count) <= (1 - CONFIDENCE) / 2:
        outside += 1  # so many ratios at either end lie outside the interval
    if outside == 0:
        return Ratio(statistics.median(ratios), None, None)
    return Ratio(statistics.median(ratios), ratios[outside - 1], ratios[count - outside])


def unpaired_ratio(of: Visits, to: Visits, seed: int = 0) -> Ratio:
    """Return the ratio of two series measured at different times; the module's documentation describes the method.

    Args:
        of: values by rounds.
        to: values by rounds, of as many or another number of rounds.
        seed: seed of the draws.
    """
    value = float(np.median(_joined(of)) / np.median(_joined(to)))
    if min(len(of), len(to)) < LEAST_ROUNDS:
        return Ratio(value, None, None)
    random = np.random.default_rng(seed)
    drawn = _drawn_medians(random, of) / _drawn_medians(random, to)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(bound) for bound in np.quantile(drawn, (tail, 1 - tail)))
    return Ratio(value, low, high)


def compare(series: Mapping[str, Series], baseline: Mapping[str, Series], *, paired: bool) -> list[Compared]:
    """Compare the series that both have by name, in the order of the first."""
    ratio = paired_ratio if paired else unpaired_ratio
    return [
        Compared(what, values.unit, values.median, baseline[what].median, ratio(values.visits, baseline[what].visits))
        for what, values in series.items()
        if what in baseline
    ]


def latency_series(measurements: Sequence[Measurement], axes: Collection[str]) -> dict[str, Series]:
    """Return the latencies of one bundle by words for the setting."""
    return {describe_case(measurement, axes): Series(measurement.visits) for measurement in measurements}


def swept_axes(*lists: Sequence[Measurement]) -> list[str]:
    """Return those of engine, threads, workers and provider that have several values in one of the lists.

    The others don't tell the settings of a list apart, so that lists can be compared that differ in them.
    """
    differing = {name for measurements in lists for name in swept(measurements)}
    return [name for name in LOADED if name in differing]


def describe_case(measured: Measurement, axes: Collection[str]) -> str:
    """Return words for a setting: batch and beam, and those of engine, threads, workers and provider in `axes`."""
    threads = "threads: by step size" if measured.threads is None else f"threads: {measured.threads}"
    workers = f"workers: {measured.workers}"
    shown = {"engine": measured.engine, "threads": threads, "workers": workers, "provider": measured.provider}
    parts = [f"batch {measured.batch_size}", f"beam {measured.beam_size}", *(shown[axis] for axis in axes)]
    if measured.run_sentences != measured.batch_size:
        parts.append(f"{measured.run_sentences} sentences in a run")
    return ", ".join(parts)


def _drawn_medians(random: np.random.Generator, visits: Visits) -> NDArray[np.float64]:
    """Return medians of as many rounds drawn with replacement, float64 (draws,)."""
    table = np.full((len(visits), max(map(len, visits))), np.nan)  # rounds may differ in length
    for row, visit in zip(table, visits, strict=True):
        row[: len(visit)] = visit
    rounds = random.integers(len(visits), size=(_DRAWS, len(visits)))
    drawn = np.sort(table[rounds].reshape(_DRAWS, -1), axis=1)  # NaN last
    counts, rows = np.count_nonzero(~np.isnan(drawn), axis=1), np.arange(_DRAWS)
    medians: NDArray[np.float64] = (drawn[rows, (counts - 1) // 2] + drawn[rows, counts // 2]) / 2
    return medians


def _joined(visits: Visits) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(visit, np.float64) for visit in visits])
