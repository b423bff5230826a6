"""Pictures: attention maps and latencies. matplotlib is imported here, when a picture is drawn, and nowhere else."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s_runtime.errors import InputError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from s2s_runtime.bench import Measurement
    from s2s_runtime.results import Hypothesis

_SHOWN = {" ": "␣", "\t": "\\t", "\n": "\\n"}


def plot_attention(hypothesis: Hypothesis, source_tokens: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Draw an attention map: source tokens across, target tokens down, weights as shades.

    Args:
        hypothesis: decoded with `return_attention`.
        source_tokens: of its `Result`.
        path: where to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        InputError: the hypothesis holds no attention, or is empty.
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is no format that matplotlib writes.
    """
    weights = hypothesis.attention
    if weights is None or weights.size == 0:
        raise InputError("attention plot: there is no attention to draw; decode a text with return_attention")
    rows, columns = weights.shape
    figure = new_figure(1.5 + 0.32 * columns, 1.2 + 0.32 * rows)
    axes = figure.add_subplot()
    image = axes.imshow(weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(columns), [_SHOWN.get(token, token) for token in source_tokens])
    axes.set_yticks(range(rows), [_SHOWN.get(token, token) for token in hypothesis.tokens])
    axes.xaxis.tick_top()
    axes.set_xlabel("source")
    axes.set_ylabel("target")
    figure.colorbar(image, label="attention weight")
    save_figure(figure, Path(path))


def plot_latency(measurements: Sequence[Measurement], path: str | os.PathLike[str]) -> None:
    """Draw the median latency of a batch over the batch size, a line for each beam size and engine, p90 as a band.

    Args:
        measurements: what was measured.
        path: where to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is no format that matplotlib writes.
    """
    figure = new_figure(6.4, 4.2)
    axes = figure.add_subplot()
    several = len({each.engine for each in measurements}) > 1
    for beam_size, engine in sorted({(each.beam_size, each.engine) for each in measurements}):
        chosen = [each for each in measurements if (each.beam_size, each.engine) == (beam_size, engine)]
        found = sorted(chosen, key=lambda measurement: measurement.batch_size)
        sizes, label = [each.batch_size for each in found], f"beam {beam_size}" + (f", {engine}" if several else "")
        axes.plot(sizes, [each.p50_ms for each in found], marker="o", label=label)
        axes.fill_between(sizes, [each.p50_ms for each in found], [each.p90_ms for each in found], alpha=0.2)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("batch size (sentences)")
    axes.set_ylabel("latency of a batch, median to p90 (ms)")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    save_figure(figure, Path(path))


def new_figure(width: float, height: float) -> Any:
    """A figure in inches; made without pyplot, which would keep global state and look for a display."""
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib is not installed: pip install 's2s-runtime[plot]'") from error
    return figures.Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Write beside the place, then rename."""
    known = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in known:
        raise OptionError(f"{path}: expected a file name that ends in .png, .svg or .pdf, got {path.suffix!r}")
    beside = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
    try:
        figure.savefig(beside, dpi=150)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
