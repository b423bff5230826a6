"""Tags under words, and symbols over frames: all of them are there, each in its place, and none covers another."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="the optional package matplotlib is not installed")

from matplotlib.backends.backend_agg import FigureCanvasAgg

from s2s_runtime.errors import InputError
from s2s_runtime.plots.strips import alignment_figure, plot_alignment, plot_tags, tags_figure

SENTENCE = "the dog saw a small park near the river where children of all ages played with an old ball"
WORDS = SENTENCE.split()


def drawn(figure: Any) -> list[tuple[str, Any]]:
    """Return the texts of a figure with where they stand, in the order in which they were made."""
    FigureCanvasAgg(figure).draw()
    return [(text.get_text(), text.get_window_extent()) for text in figure.axes[0].texts]


def boxes(figure: Any) -> list[Any]:
    """Return where the coloured boxes of a figure stand."""
    return [patch.get_window_extent() for patch in figure.axes[0].patches]


@pytest.mark.parametrize("words", [WORDS, ["שלום", "עולם", "טוב"]])
def test_tags_stand_under_their_words(words: list[str]) -> None:
    """In boxes as wide as either, in rows that fit a page; words written from right to left run so."""
    tags = [f"T{len(word)}" for word in words]
    figure = tags_figure(words, tags)
    texts = drawn(figure)
    upper, lower = texts[: len(words)], texts[len(words) :]
    assert [text for text, _ in lower] == tags
    for (_, word), (_, tag), box in zip(upper, lower, boxes(figure), strict=True):
        assert box.x0 <= tag.x0 < tag.x1 <= box.x1
        assert box.y0 <= tag.y0 < tag.y1 <= box.y1 < word.y0
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    rows = {round(word.y0 + word.y1) for _, word in upper} if words is WORDS else {1}
    assert len(rows) < len(words)
    leftward = words is not WORDS
    for (_, one), (_, other) in pairwise(upper):
        same_row = abs((one.y0 + one.y1) - (other.y0 + other.y1)) < 10
        assert not same_row or (other.x1 < one.x0 if leftward else one.x1 < other.x0)


@pytest.mark.parametrize(
    ("tokens", "spans"), [(list("tea"), [(1, 2), (4, 5), (5, 9)]), (["HH", "OW0"], [(0, 1), (1, 2)])]
)
def test_symbols_stand_over_their_frames(tokens: list[str], spans: list[tuple[int, int]]) -> None:
    """Each in the middle of a box from its first frame to its last; no label leaves its box."""
    figure = alignment_figure(tokens, spans)
    axis = figure.axes[0].transData
    for token, (first, behind), (text, label), box in zip(tokens, spans, drawn(figure), boxes(figure), strict=True):
        assert text == token
        assert box.x0 == pytest.approx(axis.transform((first, 0))[0])
        assert box.x1 == pytest.approx(axis.transform((behind, 0))[0])
        assert box.x0 <= label.x0 < label.x1 <= box.x1


def test_what_can_not_be_drawn_is_said(tmp_path: Path) -> None:
    """Nothing to draw, or not as many tags as words."""
    with pytest.raises(InputError, match="expected a tag for each word, got 1 for 2"):
        plot_tags(["a", "b"], ["T"], tmp_path / "m.png")
    with pytest.raises(InputError, match="there is none to draw; decode with return_alignments"):
        plot_alignment(["a"], None, tmp_path / "m.png")
    assert not list(tmp_path.iterdir())
