"""Words and punctuation marks: cutting a text into them, and joining them again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

WORD_PATTERN: Final = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
_NO_SPACE_BEFORE: Final = frozenset(".,;:!?%)]}…»”")
_NO_SPACE_AFTER: Final = frozenset("([{«“¿¡")


def join_words(symbols: Sequence[str]) -> str:
    """Join words with spaces, but for those before closing and after opening punctuation.

    >>> join_words(["He", "(", "Tom", ")", "left", "."])
    'He (Tom) left.'
    """
    pieces: list[str] = []
    for i, symbol in enumerate(symbols):
        glued = i == 0 or symbol in _NO_SPACE_BEFORE or symbols[i - 1] in _NO_SPACE_AFTER
        pieces.append(symbol if glued else f" {symbol}")
    return "".join(pieces)
