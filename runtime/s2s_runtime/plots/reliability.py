"""Reliability diagrams: how often what a model is sure of is right."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final

from s2s_runtime.plots.figures import draw_as_it_is, new_figure, save_figure

_TITLE: Final = 48  # characters in a line


def plot_reliability(
    points: Sequence[tuple[float, float, int]], error: float, path: str | os.PathLike[str], *, title: str
) -> None:
    """Draw the share right over the confidence, and below it how many outputs there are of each.

    Args:
        points: mean confidence, share right and number of outputs of each bin, from the least confidence on.
        error: expected calibration error.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).
        title: what was measured.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    figure = new_figure(4.6, 5.4)
    diagram, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    sure, right, outputs = zip(*points, strict=True)
    diagram.plot([0, 1], [0, 1], color="0.5", linestyle="--", label="as sure as right")
    diagram.plot(sure, right, marker="o", label="outputs")
    title = "\n".join([*wrap(title, _TITLE), f"calibration error {error:.1%}"])
    diagram.set(title=title, ylabel="share right", xlim=(0, 1), ylim=(0, 1.02))
    draw_as_it_is([diagram.title])
    diagram.legend(loc="lower right")
    counts.bar(sure, outputs, width=0.06)
    counts.set(xlabel="confidence", ylabel="outputs")
    for axes in (diagram, counts):
        axes.grid(alpha=0.3)
    save_figure(figure, Path(path))
