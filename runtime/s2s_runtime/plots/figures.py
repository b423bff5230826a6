"""The parts that all pictures share. matplotlib is imported only here, when a picture is drawn."""

from __future__ import annotations

import importlib
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from s2s_runtime.errors import OptionError
from s2s_runtime.files.atomic_write import replacing
from s2s_runtime.lazy_modules import import_extra

_ENDINGS: Final = {".png", ".svg", ".pdf"}  # matplotlib's others may need programs, such as xelatex
_DPI: Final = 150


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, made without pyplot, which would keep global state and look for a display.

    Args:
        width: in inches.
        height: in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figures = import_extra("matplotlib.figure", "'s2s-runtime[plot]'")
    return figures.Figure(figsize=(width, height), layout="constrained")


def check_picture(path: Path) -> None:
    """Check that a picture of this name can be written, before the work that it is to show.

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


def add_legend(figure: Any, axes: Any, *, below: bool) -> None:
    """Add a legend of the lines of one panel for the whole figure, outside the panels, so that it covers no curve.

    Args:
        figure: made by `new_figure`; it gets higher by the lines of a legend that stands below.
        axes: the panel whose lines are named.
        below: whether the legend stands below the panels, which long names need, instead of beside them.
    """
    lines, names = axes.get_legend_handles_labels()
    legend = figure.legend(
        lines, names, loc="outside lower center" if below else "outside right upper", fontsize="small"
    )
    draw_as_it_is(legend.get_texts())
    if below:
        figure.set_figheight(figure.get_figheight() + legend.get_window_extent().height / figure.dpi)


def draw_as_it_is(texts: list[Any]) -> None:
    """Draw texts with fonts that have their symbols; dollar signs in them begin no formula."""
    fonts = importlib.import_module("s2s_runtime.plots.fonts")  # it imports matplotlib
    families = fonts.families_for(text.get_text() for text in texts)
    for text in texts:
        text.set(parse_math=False, fontfamily=families)


def text_size(text: Any) -> tuple[float, float]:
    """Return the width and the height of a text as it is drawn, in inches."""
    extent = text.get_window_extent()
    return extent.width / text.figure.dpi, extent.height / text.figure.dpi


def png_bytes(figure: Any) -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = io.BytesIO()
    with _told_of_glyphs():
        figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


@contextmanager
def _told_of_glyphs() -> Iterator[None]:
    """Leave out matplotlib's warnings of symbols that no font has: `families_for` has warned of them once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure, whole or not at all.

    Raises:
        OptionError: the ending is none of .png, .svg, .pdf.
    """
    _check_format(path)
    with replacing(path) as beside, _told_of_glyphs():
        figure.savefig(beside, dpi=_DPI)
