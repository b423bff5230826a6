"""Rows that are too long are cut where sentences end, or else words, and nothing but white space is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_runtime import Vocabulary
from s2s_runtime.inputs.long_rows import cut_evenly, cut_up


def cut(text: str, room: int, joined: str = "|") -> str:
    """The parts of a text of characters, each with what stood before it."""
    return joined.join(f"{joint}{text[first:stop]}" for first, stop, joint in cut_up(list(text), "char", room))


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("One. Two three", 6, "One.| Two| three"),
        ("One. Two three", 9, "One.| Two three"),
        ("One. Two three", 14, "One. Two three"),
        ('He said "Go." Then we', 14, 'He said "Go."| Then we'),
        ("Pi is 3.14 or so", 10, "Pi is 3.14| or so"),
        ("a.b.c.d", 3, "a.b|.c.|d"),
        ("去吧。我们走。", 4, "去吧。|我们走。"),
        ("मैं जाता हूँ। तुम आओ।", 15, "मैं जाता हूँ।| तुम आओ।"),
        ("abcdefgh ij", 3, "abc|def|gh| ij"),
        ("  ab  cd  ", 4, "ab| cd"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301|e\u0301|e\u0301"),
        ("   ", 2, ""),
    ],
)
def test_sentences_are_cut_before_words_and_words_before_anything(text: str, room: int, expected: str) -> None:
    """The last end of a sentence that fits, or of a word, or else as much as fits."""
    assert cut(text, room) == expected


@given(st.text("ab .!\n。", max_size=60), st.integers(1, 20))
def test_nothing_is_lost_but_space_at_cuts(text: str, room: int) -> None:
    """Every part is as long as it may be at most, none is empty, and together they hold all but white space."""
    cuts = cut_up(list(text), "char", room)
    assert all(0 < stop - first <= room for first, stop, _ in cuts)
    assert "".join("".join(text[first:stop] for first, stop, _ in cuts).split()) == "".join(text.split())
    for (_, stop, _), (first, _, joint) in pairwise(cuts):
        assert text[stop:first].strip() == ""
        assert joint == (" " if first > stop else "")


def test_words_and_pieces_know_where_words_end() -> None:
    """Words are whole already; a piece that begins with a space begins a word."""
    words = Vocabulary("word", ("<unk>",)).split("Go home. Then, go on")
    assert cut_up(words, "word", 4) == [(0, 3, ""), (3, 7, " ")]
    pieces = ["\u2581Go", "\u2581ho", "me", ".", "\u2581The", "n", "\u2581on"]
    assert cut_up(pieces, "sentencepiece", 6) == [(0, 4, ""), (4, 7, " ")]
    assert cut_up(pieces[:3], "sentencepiece", 2) == [(0, 1, ""), (1, 3, " ")]
    assert cut_up(pieces[1:3], "sentencepiece", 1) == [(0, 1, ""), (1, 2, "")]


def test_numbers_are_cut_evenly() -> None:
    """The last part may be shorter."""
    assert cut_evenly(7, 3) == [(0, 3, ""), (3, 6, " "), (6, 7, " ")]
