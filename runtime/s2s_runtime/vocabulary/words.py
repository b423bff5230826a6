"""Words and punctuation marks: cutting a text into them, and joining them again.

There are two rules. The first is that of vocabularies which don't name one: it knows letters and digits, cuts combining
marks off, and numbers at their points. The second keeps marks with their letters, numbers whole, and knows the
punctuation of other scripts; vocabularies made now name it. A model goes on with the rule that it was trained with.
"""

# ruff: noqa: RUF001 (marks of other scripts look like those of this one)

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

WORD_PATTERN: Final = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
WORD_RULES: Final = (1, 2)

_NO_SPACE_BEFORE: Final = frozenset(".,;:!?%)]}…»”")
_NO_SPACE_AFTER: Final = frozenset("([{«“¿¡")
_CLOSING: Final = frozenset(".,;:!?%‰…’،؛؟٪۔।॥།༎།።፣፤፥፦፧։՝՞՜׃၊။៖។៕·")  # of other categories than Pe and Pf
_QUOTES: Final = frozenset('"„“”')
_MAY_HOLD_MARKS: Final = (range(0x300, 0x20000), range(0xE0100, 0xE01F0))
# apostrophes, hyphens, and points and marks that stand within words
_JOINERS: Final = "'\u2019\u02bc\\-\u2010\u2011\u00b7\u05be\u05f3\u05f4\u055b\u055c\u055e\u0f0b"
_INVISIBLE: Final = "\u00ad\u200c\u200d"  # soft hyphen, zero width non-joiner and joiner


def word_rule_problems(rule: int, unit: str) -> list[str]:
    """Return what is wrong with a vocabulary's rule, a line each."""
    if rule not in WORD_RULES:
        return [f"word_rule: expected 1 or 2, got {rule!r}; a newer s2s-runtime may know it"]
    return [f"word_rule: only unit 'word' has one, got unit {unit!r}"] if rule != 1 and unit != "word" else []


def cut_words(text: str, rule: int) -> list[str]:
    """Cut a text into words and punctuation marks, white space left out, by one of the two rules.

    >>> cut_words("π is 3.14.", 2)
    ['π', 'is', '3.14', '.']
    """
    pattern = WORD_PATTERN if rule == 1 else _pattern()
    words: list[str] = pattern.findall(text)
    return words


def join_words(symbols: Sequence[str], rule: int = 1) -> str:
    """Join words with spaces, but for those before closing and after opening punctuation.

    By the second rule also: none around the marks of scripts that write none; quotation marks open and close in turn.

    >>> join_words(["He", "(", "Tom", ")", "left", "."])
    'He (Tom) left.'
    """
    pieces: list[str] = []
    is_open = False  # a quotation mark of the kinds that may close another
    last_glues = True
    for symbol in symbols:
        before, after = (symbol in _NO_SPACE_BEFORE, symbol in _NO_SPACE_AFTER) if rule == 1 else _glue(symbol)
        if rule == 2 and (symbol == '"' or (symbol == "“" and is_open)):
            before, after = is_open, not is_open
        if symbol in _QUOTES:
            is_open = symbol == "„" or (symbol == '"' and not is_open)
        pieces.append(symbol if before or last_glues else f" {symbol}")
        last_glues = after
    return "".join(pieces)


def _glue(symbol: str) -> tuple[bool, bool]:
    """Return whether a symbol stands without a space before it, and whether what follows it does."""
    return (False, False) if len(symbol) > 1 else _mark_glue(symbol)


@cache
def _mark_glue(symbol: str) -> tuple[bool, bool]:
    """Return the same for a single character."""
    category = unicodedata.category(symbol)
    if category[0] == "P" and unicodedata.east_asian_width(symbol) in "WF":
        return True, True
    return category in ("Pe", "Pf") or symbol in _CLOSING, category in ("Ps", "Pi") or symbol in "¿¡"


@cache
def _pattern() -> re.Pattern[str]:
    """Return the second rule: a word is letters, digits and the marks on them, joined by what stands within words."""
    marks = "".join(map(chr, filter(_is_mark, chain(*_MAY_HOLD_MARKS))))
    inner, letters = rf"[{_JOINERS}]", rf"[\w{marks}{_INVISIBLE}]*"
    word = rf"\w{letters}(?:(?:{inner}|(?<=\d)[.,:/٫٬](?=\d))\w{letters})*"
    other = rf"[^\w\s][{marks}]*"
    return re.compile(rf"{word}|{other}(?:\u200d{other})*")


def _is_mark(code: int) -> bool:
    return unicodedata.category(chr(code))[0] == "M"
