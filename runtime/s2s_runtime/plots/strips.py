"""Symbols beside what they stand for: tags under the words of a text, symbols over the frames that say them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from s2s_runtime.errors import InputError
from s2s_runtime.plots.attention import runs_leftward, visible
from s2s_runtime.plots.figures import draw_as_it_is, new_figure, save_figure, text_size

_COLOURS: Final = ("#cfe3f5", "#fbd9b5", "#d3ecd0", "#f6cfd2", "#e2d6ef", "#f3edb4", "#d6d6d6", "#c9ecec", "#ecd9c6")
# Inches from here on.
_AIR: Final = 0.14
_LINE: Final = 0.3
_ROW: Final = 0.85
_WIDEST_ROW: Final = 9.0
_WIDEST: Final = 40.0  # 6,000 dots
_FRAME: Final = 0.09
_WIDEST_FRAME: Final = 0.5
_TIGHT: Final = 0.06
_AXIS: Final = 0.5
_EDGE: Final = 0.25
_SMALLEST: Final = 1.0


def plot_tags(words: Sequence[str], tags: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Draw tags under the words that they are given to, equal tags in one colour; long texts take several rows.

    Args:
        words: what was read, in order; a text written from right to left is drawn so.
        tags: as many as words.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        InputError: there are no words, or not as many tags as words.
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    if not words or len(words) != len(tags):
        raise InputError(f"plot of tags: expected a tag for each word, got {len(tags)} for {len(words)}")
    save_figure(tags_figure(words, tags), Path(path))


def plot_alignment(
    tokens: Sequence[str], alignment: Sequence[tuple[int, int]] | None, path: str | os.PathLike[str]
) -> None:
    """Draw symbols over the frames that say them; where nothing is drawn, frames say the blank.

    Args:
        tokens: the symbols of a hypothesis.
        alignment: of each of them its first frame and the one behind its last (`return_alignments`).
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        InputError: there is no alignment, or nothing was read.
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    if not alignment:
        raise InputError(
            "plot of an alignment: there is none to draw; decode with return_alignments a source in which the model "
            "reads something"
        )
    save_figure(alignment_figure(tokens, alignment), Path(path))


def tags_figure(words: Sequence[str], tags: Sequence[str]) -> Any:
    """Return a figure of words and their tags."""
    figure, axes = _canvas()
    upper = [axes.text(0, 0, visible(word), ha="center", va="center") for word in words]
    lower = [axes.text(0, 0, visible(tag), ha="center", va="center", fontsize="small") for tag in tags]
    draw_as_it_is([*upper, *lower])
    widths = [max(text_size(word)[0], text_size(tag)[0]) + _AIR for word, tag in zip(upper, lower, strict=True)]
    places, x, row = [], 0.0, 0
    for width in widths:
        if x and x + width + _AIR > _WIDEST_ROW:
            x, row = 0.0, row + 1
        places.append((x + width / 2, row))
        x += width + _AIR
    whole = max(place + width / 2 for (place, _), width in zip(places, widths, strict=True)) + _AIR
    height = (row + 1) * _ROW
    figure.set_size_inches(whole + _AIR, height)
    axes.set(xlim=(0, whole + _AIR), ylim=(0, height))
    leftward = runs_leftward(words)
    corners = []
    for (place, line), width, word, tag in zip(places, widths, upper, lower, strict=True):
        middle = (whole - place - _AIR if leftward else place) + _AIR
        top = height - line * _ROW
        word.set_position((middle, top - _LINE))
        tag.set_position((middle, top - 2 * _LINE))
        corners.append((middle - width / 2, top - 2.45 * _LINE))
    _boxes(axes, tags, corners, widths, 0.9 * _LINE)
    return figure


def alignment_figure(tokens: Sequence[str], alignment: Sequence[tuple[int, int]]) -> Any:
    """Return a figure of symbols over frames."""
    figure, axes = _canvas()
    spans = [behind - first for first, behind in alignment]
    frames = alignment[-1][1]
    labels = [axes.text(0, 0.5, visible(token), ha="center", va="center") for token in tokens]
    draw_as_it_is(labels)
    frame = _frame_width(labels, spans)
    if frame > _WIDEST_FRAME or frame * frames > _WIDEST:
        for label in labels:
            label.set_rotation(90)
        frame = min(_frame_width(labels, spans), _WIDEST / frames)
    for label, (first, behind) in zip(labels, alignment, strict=True):
        label.set_x((first + behind) / 2)
    _boxes(axes, tokens, [(first, 0) for first, _ in alignment], spans, 1.0)
    box = max(text_size(label)[1] for label in labels) + _AIR
    width, height = max(frame * frames, _SMALLEST) + 2 * _EDGE, box + _AXIS + _AIR
    figure.set_size_inches(width, height)
    axes.set_position((_EDGE / width, _AXIS / height, 1 - 2 * _EDGE / width, box / height))
    axes.set_axis_on()
    axes.set(xlim=(0, frames), ylim=(0, 1), yticks=[], xlabel="frame")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["left", "right", "top"]].set_visible(False)
    return figure


def _frame_width(labels: Sequence[Any], spans: Sequence[int]) -> float:
    """Return how wide a frame has to be so that each label has room over its own."""
    wanted = ((text_size(label)[0] + _TIGHT) / span for label, span in zip(labels, spans, strict=True))
    return max(_FRAME, *wanted)


def _canvas() -> tuple[Any, Any]:
    """Return a figure and axes that fill it, measured in inches, without a frame around."""
    figure = new_figure(1.0, 1.0)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    return figure, axes


def _boxes(
    axes: Any, names: Sequence[str], corners: Sequence[tuple[float, float]], widths: Sequence[float], height: float
) -> None:
    """Draw a filled box behind each text, those of one name in one colour; corners are the lower left ones."""
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(dict.fromkeys(names))}
    axes.bar(
        [left for left, _ in corners],
        height,
        widths,
        [bottom for _, bottom in corners],
        align="edge",
        color=[colours[name] for name in names],
        edgecolor="#888888",
        linewidth=0.5,
        zorder=0,
        clip_on=False,
    )
