"""Sources longer than a model may read: refused, truncated, or cut into parts that are decoded one after the other.

A part ends where a sentence does, or else a word, as far as the symbols tell; a word that is longer than a part may be
is cut anywhere. White space at a cut belongs to neither part.
"""

# ruff: noqa: RUF001 (marks of other scripts look like those of this one)

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from s2s_runtime.vocabulary.vocabulary import Unit

_SENTENCE: Final = 2
_WORD: Final = 1
_ANYWHERE: Final = 0
_NOWHERE: Final = -1  # before a combining mark
_ENDS: Final = frozenset(".!?…؟۔।॥።։")  # before white space
_WIDE_ENDS: Final = frozenset("。！？｡")  # of scripts that write no spaces
_CLOSING: Final = frozenset("\"')]}»”’」』）")
_SPACE: Final = "\u2581"  # how sentencepiece spells a space
WITHOUT_SPACES: Final = ("char", "sentencepiece")


class Cut(NamedTuple):
    """A part of a row: its first token, the token after its last, and what stands between it and the part before."""

    first: int
    stop: int
    joint: str


def cut_up(symbols: Sequence[str], unit: Unit, room: int) -> list[Cut]:
    """Cut a row into parts of at most `room` symbols.

    Args:
        symbols: of the row, in the order of the text.
        unit: what they are.
        room: at least 1.

    >>> cut_up(list("One. Two three"), "char", 6)
    [Cut(first=0, stop=4, joint=''), Cut(first=5, stop=8, joint=' '), Cut(first=9, stop=14, joint=' ')]
    """
    ends = _boundaries(symbols, unit)
    cuts: list[Cut] = []
    first, count, joint = _after_space(symbols, 0), len(symbols), ""
    while first < count:
        stop = count if count - first <= room else _best_stop(ends, first, first + room)
        following = _after_space(symbols, stop)
        kept = stop
        while kept > first and symbols[kept - 1].isspace():
            kept -= 1
        cuts.append(Cut(first, kept, joint))
        has_space = kept < following or unit not in WITHOUT_SPACES
        joint = " " if has_space or (following < count and symbols[following].startswith(_SPACE)) else ""
        first = following
    return cuts


def cut_evenly(count: int, room: int) -> list[Cut]:
    """Cut a row whose tokens tell nothing into parts of `room` tokens."""
    return [Cut(first, min(first + room, count), " " if first else "") for first in range(0, count, room)]


def _after_space(symbols: Sequence[str], index: int) -> int:
    while index < len(symbols) and symbols[index].isspace():
        index += 1
    return index


def _best_stop(ends: Sequence[int], first: int, last: int) -> int:
    """Return where a part that begins at `first` ends, `last` at most."""
    for kind in (_SENTENCE, _WORD, _ANYWHERE):
        for stop in range(last, first, -1):
            if ends[stop] >= kind:
                return stop
    return last


def _boundaries(symbols: Sequence[str], unit: Unit) -> list[int]:
    """Return for each place between symbols what ends there; the first place is before them all."""
    ends, has_ended, has_ended_wide = [_ANYWHERE], False, False
    for before, after in zip(symbols, [*symbols[1:], " "] if symbols else (), strict=True):
        if not before.isspace() and before not in _CLOSING:
            has_ended, has_ended_wide = before[-1] in _ENDS, before[-1] in _WIDE_ENDS
        is_word = unit not in WITHOUT_SPACES or before.isspace() or after.isspace() or after.startswith(_SPACE)
        if has_ended_wide or (has_ended and is_word):
            ends.append(_SENTENCE)
        elif is_word:
            ends.append(_WORD)
        else:
            ends.append(_NOWHERE if unicodedata.category(after[0])[0] == "M" else _ANYWHERE)
    return ends
