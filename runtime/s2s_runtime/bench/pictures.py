"""Pictures of latency and throughput over what was swept: threads or workers, else batch sizes, else beam sizes."""

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

    Over the threads or workers where several numbers of them were measured, else over the batch size or the beam size;
    a line for each combination of the other things that were swept.

    Args:
        measurements: what was measured.
        path: where to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    across = next(iter(swept(measurements, list(_AXES))), "batch_size")
    figure = new_figure(11.4, 4.2)
    latency, throughput = figure.subplots(1, 2)
    for label, found in _lines(measurements, across).items():
        x = [getattr(each, across) for each in found]
        [line] = latency.plot(x, [each.p50_ms for each in found], marker="o", label=label)
        latency.plot(x, [each.p90_ms for each in found], linestyle="--", color=line.get_color())
        latency.fill_between(x, [each.p25_ms for each in found], [each.p75_ms for each in found], alpha=0.2)
        throughput.plot(x, [each.sentences_per_second for each in found], marker="o", label=label)
    for axes, y_label in (
        (latency, "ms a run: median, middle half, p90 dashed"),
        (throughput, "sentences/s"),
    ):
        axes.set(xlabel=_AXES[across], ylabel=y_label)
        axes.set_xscale("log", base=2)
        ticks = sorted({getattr(each, across) for each in measurements})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        _scale(axes)
        axes.grid(visible=True, which="both", alpha=0.3)
    add_legend(figure, throughput, below=False)
    save_figure(figure, Path(path))


def _lines(measurements: Sequence[Measurement], across: str) -> dict[str, list[Measurement]]:
    """The measurements of each line, from left to right, by its label."""
    others = [name for name in ("role", "batch_size", "beam_size", *LOADED) if name != across]
    differing = swept(measurements, others) or ["batch_size" if across == "beam_size" else "beam_size"]
    lines: dict[str, list[Measurement]] = {}
    for each in sorted(measurements, key=lambda measured: getattr(measured, across)):
        label = ", ".join(_words(name, getattr(each, name)) for name in differing)
        lines.setdefault(label, []).append(each)
    return lines


def _words(name: str, value: object) -> str:
    return str(value) if name == "role" else f"{name.removesuffix('_size')} {value}"


def _scale(axes: Any) -> None:
    """Logarithmic where values differ tenfold, ticks at 1, 2 and 5 as plain numbers; else from zero."""
    ticker = importlib.import_module("matplotlib.ticker")
    low, high = axes.dataLim.intervaly
    if low > 0 and high > 10 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    else:
        axes.set_ylim(bottom=0)
