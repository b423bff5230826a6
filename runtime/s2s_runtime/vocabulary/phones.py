"""Phones cut into what they share: length, palatalisation, aspiration and the like stand apart from their phone.

IPA writes these with modifier letters (Unicode category Lm) behind a base: `dː`, `tʲ`, `pʰ`. As symbols of their own
they are learned from every phone that has them, so that a long consonant seen once is not a symbol seen once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def cut_phones(text: str) -> list[str]:
    """Return the bases and modifier letters of phones separated by white space, in their order.

    Only modifier letters at the end of a phone stand apart: whatever comes before them is one symbol, such as the
    affricate with a tie bar here.

    >>> cut_phones("t͡ʃː eː")
    ['t͡ʃ', 'ː', 'e', 'ː']
    """
    symbols = []
    for phone in text.split():
        base = len(phone)
        while base > 1 and _is_modifier(phone[base - 1]):
            base -= 1
        symbols += [phone[:base], *phone[base:]]
    return symbols


def join_phones(symbols: Iterable[str]) -> str:
    """Return phones separated by one space: the inverse of `cut_phones`.

    A modifier letter belongs to the phone before it; where there is none, it stands alone.

    >>> join_phones(["t͡ʃ", "ː", "e", "ː"])
    't͡ʃː eː'
    """
    phones: list[str] = []
    for symbol in symbols:
        if phones and len(symbol) == 1 and _is_modifier(symbol):
            phones[-1] += symbol
        else:
            phones.append(symbol)
    return " ".join(phones)


def _is_modifier(character: str) -> bool:
    return unicodedata.category(character) == "Lm"
