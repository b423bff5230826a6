"""Tables in Markdown, and into a document between its markers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
RESULTS, README = HERE / "results", HERE / "README.md"


def write_tables(document: Path, tables: dict[str, str]) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end NAME -->`.

    Args:
        document: Markdown file.
        tables: Markdown by marker.

    Raises:
        ValueError: a marker is missing.
    """
    text = document.read_text(encoding="utf-8")
    for name, made in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{document}: expected the markers {begin.strip()} and {end}")
        head, rest = text.split(begin, 1)
        text = head + begin + made.strip() + "\n" + end + rest.split(end, 1)[1]
    document.write_text(text, encoding="utf-8")


def has_place(document: Path, tables: dict[str, str]) -> bool:
    """Whether a document has the markers of all tables: README.md shows one core for the canonical model alone."""
    text = document.read_text(encoding="utf-8")
    return all(f"<!-- {name} -->\n" in text for name in tables)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, its first column of words, the others of figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float] | None) -> str:
    """Median, and in brackets the middle half; nothing where there are no values."""
    if not values:
        return ""
    low, middle, high = quartiles(values)
    return f"{figure(middle)} ({figure(low)} to {figure(high)})"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high
