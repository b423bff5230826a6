"""Symbols numbered as they come, and counted: which of them are kept is known only when all texts were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


class SymbolTable(dict[str, int]):
    """The number of each symbol of a side, given when it is first asked for: 0, 1, 2, ..."""

    def __missing__(self, symbol: str) -> int:
        """Give the next number to a symbol that is new."""
        number = self[symbol] = len(self)
        return number


def counted(counts: Counts, ids: NDArray[np.int32]) -> Counts:
    """Return counts (numbers,) int64, to which those of `ids` were added; longer where these are greater."""
    more = np.bincount(ids, minlength=len(counts))
    more[: len(counts)] += counts
    return more


def named(symbols: Sequence[str], counts: Counts) -> Counter[str]:
    """Return how often each symbol occurs, those that occur, by its name."""
    return Counter({symbols[number]: int(counts[number]) for number in np.flatnonzero(counts)})
