"""Pictures of latency and throughput over the option that was swept."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2s_runtime.bench.timing import LOADED, Measurement, swept
from s2s_runtime.plots.figures import add_legend, new_figure, save_figure

_AXES = {
    "threads": "threads",
    "workers": "workers",
    "batch_size": "batch size (sentences)",
    "beam_size": "beam size (hypotheses)",
}


def plot_sweep(measurements: Sequence[Measurement], path: str | os.PathLike[str]) -> None:
    """Draw latency (median as a line, 90th percentile dashed, the middle half as a band) and sentences per second.

    The horizontal axis is the threads or workers where several numbers of them were measured, else the batch size or
    the beam size. Each combination of the other options that were swept has a line.

    Args:
        measurements: the measurements.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    across = next(iter(swept(measurements, list(_AXES))), "batch_size")
    figure = new_figure(11.4, 4.2)
    latency, throughput = figure.subplots(1, 2)
    for label, points in _lines(measurements, across).items():
        x = [getattr(point, across) for point in points]
        [line] = latency.plot(x, [point.p50_ms for point in points], marker="o", label=label)
        latency.plot(x, [point.p90_ms for point in points], linestyle="--", color=line.get_color())
        low, high = [point.p25_ms for point in points], [point.p75_ms for point in points]
        latency.fill_between(x, low, high, alpha=0.2)
        throughput.plot(x, [point.sentences_per_second for point in points], marker="o", label=label)
    for axes, y_label in (
        (latency, "ms a run: median, middle half, p90 dashed"),
        (throughput, "sentences/s"),
    ):
        axes.set(xlabel=_AXES[across], ylabel=y_label)
        axes.set_xscale("log", base=2)
        ticks = sorted({getattr(measurement, across) for measurement in measurements})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        _scale(axes)
        axes.grid(visible=True, which="both", alpha=0.3)
    add_legend(figure, throughput, below=False)
    save_figure(figure, Path(path))


def _lines(measurements: Sequence[Measurement], across: str) -> dict[str, list[Measurement]]:
    """Return the measurements of each line, from left to right, by its label."""
    others = [name for name in ("role", "batch_size", "beam_size", *LOADED) if name != across]
    differing = swept(measurements, others) or ["batch_size" if across == "beam_size" else "beam_size"]
    lines: dict[str, list[Measurement]] = {}
    for measurement in sorted(measurements, key=lambda measured: getattr(measured, across)):
        label = ", ".join(_words(name, getattr(measurement, name)) for name in differing)
        lines.setdefault(label, []).append(measurement)
    return lines


def _words(name: str, value: object) -> str:
    return str(value) if name == "role" else f"{name.removesuffix('_size')} {value}"


def _scale(axes: Any) -> None:
    """Scale an axis: logarithmic where values differ tenfold, with plain ticks at 1, 2 and 5; else from zero."""
    ticker = importlib.import_module("matplotlib.ticker")
    low, high = axes.dataLim.intervaly
    if low > 0 and high > 10 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    else:
        axes.set_ylim(bottom=0)
