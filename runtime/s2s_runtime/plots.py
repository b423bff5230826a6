"""Attention maps, and what all pictures share. matplotlib is imported here, when one is drawn, and nowhere else."""

from __future__ import annotations

import importlib
import logging
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from s2s_runtime.atomic_write import replacing
from s2s_runtime.errors import InputError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from s2s_runtime.results import Hypothesis

_LOG = logging.getLogger(__name__)
_SHOWN = {" ": "␣", "\t": "\\t", "\n": "\\n"}
_ENDINGS: Final = {".png", ".svg", ".pdf"}  # matplotlib's others may need programs, such as xelatex


def plot_attention(hypothesis: Hypothesis, source_tokens: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Draw an attention map: source tokens across, target tokens down, weights as shades.

    Args:
        hypothesis: decoded with `return_attention`.
        source_tokens: of its `Result`.
        path: where to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        InputError: the hypothesis holds no attention, or is empty.
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    weights = hypothesis.attention
    if weights is None or weights.size == 0:
        raise InputError("attention plot: there is no attention to draw; decode a text with return_attention")
    rows, columns = weights.shape
    figure = new_figure(1.5 + 0.32 * columns, 1.2 + 0.32 * rows)
    axes = figure.add_subplot()
    image = axes.imshow(weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(columns), [_SHOWN.get(token, token) for token in source_tokens], parse_math=False)
    axes.set_yticks(range(rows), [_SHOWN.get(token, token) for token in hypothesis.tokens], parse_math=False)
    axes.xaxis.tick_top()
    axes.set_xlabel("source")
    axes.set_ylabel("target")
    figure.colorbar(image, label="attention weight")
    save_figure(figure, Path(path))


def new_figure(width: float, height: float) -> Any:
    """A figure in inches; made without pyplot, which would keep global state and look for a display."""
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib is not installed: pip install 's2s-runtime[plot]'") from error
    return figures.Figure(figsize=(width, height), layout="constrained")


def check_picture(path: Path) -> None:
    """Make sure that a picture of this name can be written, before the work that it is to show.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of .png, .svg, .pdf, or there is no folder to write it into.
    """
    _check_format(path)
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK) or not path.parent.is_dir():
        raise OptionError(f"{path}: expected a file in a folder that is there and can be written to")
    new_figure(1, 1)


def _check_format(path: Path) -> None:
    if path.suffix.lower() not in _ENDINGS:
        raise OptionError(f"{path}: expected a file name that ends in .png, .svg or .pdf, got {path.suffix!r}")


def _say_lacking(caught: Sequence[warnings.WarningMessage]) -> None:
    """One warning of all symbols that the font lacks, where matplotlib gives one for each; others as they are."""
    found = [(each, re.match(r"Glyph (\d+) ", str(each.message))) for each in caught]
    lacking = sorted({chr(int(match[1])) for _, match in found if match})
    for each, match in found:
        if match is None:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if lacking:
        _LOG.warning(
            "the font of the picture lacks %s; name one that has them as font.family in a matplotlibrc file",
            " ".join(lacking),
        )


def save_figure(figure: Any, path: Path) -> None:
    """Write a picture, whole or not at all."""
    _check_format(path)
    for legend in filter(None, (axes.get_legend() for axes in figure.axes)):
        for text in legend.get_texts():
            text.set_parse_math(False)
    with replacing(path) as beside, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(beside, dpi=150)
    _say_lacking(caught)
