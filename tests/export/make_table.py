"""Writes the table of supported architectures into export/README.md from the docstrings of `architectures.py`.

`python tests/export/make_table.py`; a test tells when it has to be run again.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

from architectures import ARCHITECTURES

README = Path(__file__).parents[2] / "export" / "README.md"
BEGIN, END = "<!-- architectures: begin -->", "<!-- architectures: end -->"


def table() -> str:
    """One row for each model that the tests export."""
    rows = [f"| {_summary(build)} | `{name}` |" for name, build in ARCHITECTURES.items()]
    return "\n".join(["| model | its test |", "| --- | --- |", *rows])


def _summary(build: Callable[[], object]) -> str:
    return " ".join((inspect.getdoc(build) or "").split()).rstrip(".")


def with_table(text: str) -> str:
    """The text with what stands between the markers replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
