"""Attention maps, which show what the decoder looked at."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.errors import InputError
from s2s_runtime.plots.figures import draw_as_it_is, new_figure, save_figure, text_size
from s2s_runtime.plots.shown import ShownHypothesis

_SHOWN: Final = {" ": "␣", "\t": "\\t", "\n": "\\n"}
_LONGEST_LABEL: Final = 40  # symbols
# Inches from here on.
_CELL: Final = 0.24  # a line of a label and some air
_SMALLEST_GRID: Final = 1.2  # the colour bar beside it needs that
_LARGEST_GRID: Final = 40.0  # 6,000 dots
_LEVEL_GRID: Final = 10.0  # how wide a grid may get so that its labels needn't be turned
_EDGE: Final = 0.1
_TITLE: Final = 0.32
_BAR: Final = 0.15
_BAR_LABELS: Final = 0.85


def plot_attention(hypothesis: ShownHypothesis, source_tokens: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Draw an attention map: source tokens across, target tokens down, weights as shades.

    The darkest shade is the largest weight, as a bar beside the map shows. The picture grows with the two sequences.
    Labels that would touch are turned; a source that is written from right to left runs from right to left.

    Args:
        hypothesis: a hypothesis decoded with `return_attention`.
        source_tokens: the source tokens of its `Result`.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        InputError: the hypothesis holds no attention, or is empty.
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    weights = hypothesis.attention
    if weights is None or weights.size == 0:
        raise InputError("attention plot: there is no attention to draw; decode a text with return_attention")
    save_figure(attention_figure(weights, source_tokens, hypothesis.tokens), Path(path))


def attention_figure(weights: NDArray[np.float32], source_tokens: Sequence[str], target_tokens: Sequence[str]) -> Any:
    """Return a matplotlib figure of attention weights.

    Args:
        weights: float32 (target tokens, source tokens), not empty.
        source_tokens: their names, left to right; or right to left where they are written so.
        target_tokens: their names, top to bottom.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(1.0, 1.0)
    figure.set_layout_engine("none")  # every part has its place below
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    image = axes.imshow(weights, cmap="Greys", vmin=0.0, aspect="auto")
    axes.xaxis.set(ticks_position="top", label_position="top")
    across, down = _label(axes.xaxis, source_tokens), _label(axes.yaxis, target_tokens)
    axes.set(xlabel="source", ylabel="target")
    if runs_leftward(source_tokens):
        axes.invert_xaxis()
        axes.set_xlabel("source (right to left)")
    _lay_out(figure, axes, image, across, down)
    return figure


def _label(axis: Any, tokens: Sequence[str]) -> list[Any]:
    """Name tokens along an axis, all of them where they have room; return the labels."""
    step = -(-len(tokens) * _CELL // _LARGEST_GRID)
    ticks = range(0, len(tokens), int(step))
    axis.set_ticks(ticks, [visible(tokens[tick]) for tick in ticks])
    labels: list[Any] = axis.get_ticklabels()
    draw_as_it_is(labels)
    return labels


def _lay_out(figure: Any, axes: Any, image: Any, across: list[Any], down: list[Any]) -> None:
    """Give the figure the size that its labels and cells need, and place everything in it."""
    rows, columns = image.get_array().shape
    widest = max(text_size(label)[0] for label in across) + 0.5 * _CELL
    level = widest <= _CELL or columns * widest <= _LEVEL_GRID
    if not level:
        for label in across:
            label.set_rotation(90)
    grid = (_side(columns, max(_CELL, widest) if level else _CELL), _side(rows, _CELL))
    left = max(text_size(label)[0] for label in down) + _TITLE + _EDGE
    above = max(text_size(label)[1] for label in across) + _TITLE + _EDGE
    width, height = left + grid[0] + 2 * _EDGE + _BAR + _BAR_LABELS, above + grid[1] + _EDGE
    figure.set_size_inches(width, height)
    axes.set_position((left / width, _EDGE / height, grid[0] / width, grid[1] / height))
    bar = min(grid[1], 3.0)
    colours = figure.add_axes(
        ((left + grid[0] + 2 * _EDGE) / width, (height - above - bar) / height, _BAR / width, bar / height)
    )
    figure.colorbar(image, cax=colours, label="attention weight")


def _side(count: int, cell: float) -> float:
    return min(max(count * cell, _SMALLEST_GRID), _LARGEST_GRID)


def visible(token: str) -> str:
    """Return a token as a label shows it: spaces and controls as signs, long ones shortened in the middle."""
    shown = "".join(_SHOWN.get(symbol, symbol if symbol.isprintable() else ascii(symbol)[1:-1]) for symbol in token)
    if shown and unicodedata.combining(shown[0]):
        shown = f"◌{shown}"  # a mark without a letter of its own
    half = (_LONGEST_LABEL - 1) // 2
    return shown if len(shown) <= _LONGEST_LABEL else f"{shown[:half]}…{shown[-half:]}"


def runs_leftward(tokens: Sequence[str]) -> bool:
    """Return whether most letters are of scripts written from right to left."""
    kinds = [unicodedata.bidirectional(symbol) for token in tokens for symbol in token]
    return sum(kind in ("R", "AL") for kind in kinds) > sum(kind == "L" for kind in kinds)
