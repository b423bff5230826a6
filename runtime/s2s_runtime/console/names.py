"""Names in narrow columns: they are shortened in the middle, since both ends tell names apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text

_GAP: Final = "…"
_LEAST: Final = 9  # columns that a shortened name keeps


def shorten(name: str, columns: int) -> str:
    """Return a name that takes at most so many columns; the middle of a longer one is left out.

    Args:
        name: any text of one line; wide characters count as two columns.
        columns: how many columns there are, at least 1.

    >>> shorten("decoder_lstm_layer_with_attention", 16)
    'decoder_…tention'
    """
    if cell_len(name) <= columns:
        return name
    left = columns // 2
    head, tail = set_cell_size(name, left), set_cell_size(name[::-1], columns - left - 1)[::-1]
    return f"{head}{_GAP}{tail}"


class Name:
    """A name as a cell of a table, whole where there is room, else shortened by `shorten`.

    Args:
        text: the name.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the least and the most columns that the name may take."""
        whole = cell_len(self.text)
        return Measurement(min(whole, _LEAST), min(whole, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the name as wide as the column is."""
        yield Text(shorten(self.text, options.max_width), no_wrap=True, overflow="crop", end="")
