"""Tables that stand between two markers of a page."""

from collections.abc import Callable


def with_table(text: str, table: Callable[[], str]) -> str:
    """The text with what stands between the markers of a table replaced.

    Raises:
        ValueError: a marker is missing.
    """
    begin, end = (f"<!-- {table.__name__}: {side} -->" for side in ("begin", "end"))
    start, stop = text.index(begin), text.index(end)
    return f"{text[:start]}{begin}\n{table()}\n{text[stop:]}"
