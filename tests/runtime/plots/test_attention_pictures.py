"""Attention maps can be read: no label touches another, whatever the tokens, and each symbol has a shape."""

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the optional package matplotlib is not installed")

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from s2s_runtime.plots import fonts
from s2s_runtime.plots.attention import attention_figure, visible

SENTENCE = list("Would you like to have a cup of tea now?")
TRANSLATED = list("Voulez-vous une tasse de thé maintenant ?")
LONG_WORDS = ["the", "internationalization", "of", "telecommunications", "infrastructure"]
HUNDRED = [f"telecommunication-{number}" for number in range(100)]
ARABIC = ["مرحبا", "بالعالم", "كيف", "حالك", "اليوم"]
HEBREW = list("שלום עולם")
DEJAVU = font_manager.findfont(font_manager.FontProperties(family=["DejaVu Sans"]))


def drawn(source: list[str], target: list[str]) -> Any:
    """A map of equal weights, drawn."""
    figure = attention_figure(np.full((len(target), len(source)), 1 / len(source), np.float32), source, target)
    FigureCanvasAgg(figure).draw()
    return figure


def texts(figure: Any) -> list[Text]:
    """All that is written in a figure: labels of the ticks in view, and of axes."""
    found = []
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        found += [axis.label, *(label for tick in ticks for label in (tick.label1, tick.label2))]
    return [text for text in found if text.get_visible() and text.get_text()]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param(SENTENCE, TRANSLATED, id="40-characters"),
        pytest.param(HUNDRED, HUNDRED[:60], id="100-tokens"),
        pytest.param(LONG_WORDS, LONG_WORDS, id="long-words"),
        pytest.param(ARABIC, ["hello", "world", "how", "are", "you"], id="right-to-left"),
        pytest.param(LONG_WORDS, ARABIC, id="into-right-to-left"),
        pytest.param(HEBREW, list("hello"), id="right-to-left-characters"),
        pytest.param(["a"], ["b"], id="one-token"),
        pytest.param(["a"], SENTENCE, id="one-column"),
        pytest.param(HUNDRED * 5, ["b"], id="500-tokens"),
        pytest.param(["x" * 1000, "y"], ["z" * 1000], id="endless-words"),
    ],
)
def test_no_label_touches_another(source: list[str], target: list[str]):
    """As the renderer measures them, all labels stand apart, and wholly inside the picture."""
    figure = drawn(source, target)
    extents = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for index, (name, extent) in enumerate(extents):
        others = [other for other, place in extents[:index] if extent.overlaps(place)]
        assert not others, f"{name!r} touches {others}"
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1, name
        assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1, name


@pytest.mark.parametrize("tokens", [SENTENCE, HUNDRED], ids=["40-characters", "100-tokens"])
def test_every_token_has_its_label(tokens: list[str]):
    """In the order of the sequence, on both axes."""
    axes = drawn(tokens, tokens).axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == [visible(token) for token in tokens]


def test_a_very_long_sequence_keeps_to_what_can_be_opened():
    """The grid stops growing, and labels name every so many tokens."""
    figure = drawn(SENTENCE * 50, ["a"])
    assert figure.get_figwidth() < 45
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert shown == [visible(token) for token in (SENTENCE * 50)[::12]]


@pytest.mark.parametrize(
    ("source", "leftward"), [(ARABIC, True), (HEBREW, True), (SENTENCE, False), (["1", "2"], False)]
)
def test_a_source_runs_as_it_is_written(source: list[str], leftward: bool):
    """The first token of Arabic stands on the right, that of English on the left, its weights with it."""
    weights = np.zeros((1, len(source)), np.float32)
    weights[0, 0] = 1
    axes = attention_figure(weights, source, ["x"]).axes[0]
    first, last = (axes.transData.transform((column, 0))[0] for column in (0, len(source) - 1))
    assert (first > last) == leftward
    assert axes.get_xlabel() == ("source (right to left)" if leftward else "source")


@pytest.mark.parametrize(
    ("token", "shown"),
    [(" ", "␣"), ("\t", "\\t"), ("\x00", "\\x00"), ("\u0301", "◌\u0301"), ("a\u200d", "a\\u200d"), ("字", "字")],
)
def test_what_has_no_shape_is_shown_as_a_sign(token: str, shown: str):
    """Spaces, controls, and marks without a letter."""
    assert visible(token) == shown


def test_symbols_come_from_any_font_of_the_machine():
    """Where the default font lacks a symbol, a family that has it is named behind it."""
    others = fonts_with_more()
    letters = filter(str.isalpha, symbols_of(others[0].fname) - symbols_of(DEJAVU))
    families = fonts.families_for(["a", min(letters)])
    assert families[0] == "sans-serif"
    assert len(families) == 2
    assert families[1] in {font.name for font in font_manager.fontManager.ttflist}


def fonts_with_more() -> list[Any]:
    """Some fonts of this machine that have letters which the default font lacks."""
    paths = [path for path in sorted(font_manager.findSystemFonts()) if Path(path).name.startswith("NotoSans")][:20]
    paths = [path for path in paths if any(map(str.isalpha, symbols_of(path) - symbols_of(DEJAVU)))]
    others = [font_manager.ttfFontProperty(font_manager.get_font(path)) for path in paths]
    if not others:
        pytest.skip("needs a Noto Sans font with letters that DejaVu Sans lacks (fonts-noto-core)")
    return others


@lru_cache
def symbols_of(path: str) -> frozenset[str]:
    """What a font file says it has."""
    from matplotlib.ft2font import FT2Font

    return frozenset(map(chr, FT2Font(path).get_charmap()))


def test_missing_fonts_are_named_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """On a machine with the default font alone: the symbols, their scripts, and what to do, in one line."""
    only = [font for font in font_manager.fontManager.ttflist if font.fname == DEJAVU]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", only)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    with caplog.at_level(logging.WARNING):
        assert fonts.families_for(["漢字", "\t ", "a\u200d", "字", "क"]) == ["sans-serif"]
    assert [record.getMessage() for record in caplog.records] == [
        "no font on this machine has क 字 漢 (CJK, DEVANAGARI); install one that has them (the Noto fonts cover nearly "
        "every script), or name one as font.family in a matplotlibrc file"
    ]


def test_fonts_installed_since_are_found(monkeypatch: pytest.MonkeyPatch):
    """The list of fonts that matplotlib keeps is as old as its cache; what the folders hold counts."""
    other = fonts_with_more()[0]
    symbol = min(symbols_of(other.fname) - symbols_of(DEJAVU))
    only = [font for font in font_manager.fontManager.ttflist if font.fname == DEJAVU]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", only)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [other.fname])
    default, found = fonts.families_for([symbol])
    assert default == "sans-serif"
    assert found in {font.name for font in font_manager.fontManager.ttflist if font.fname == other.fname}
