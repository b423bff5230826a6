"""Writes the tables that the documentation takes from the tests: `make tables`.

Each stands between two markers of a page. Every row is a case of a test that fails where the row doesn't hold; another
test tells when this has to be run again.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / "builders"), str(TESTS / "systems")]

from architectures import ARCHITECTURES  # noqa: E402
from kinds import KINDS  # noqa: E402
from official import SERIES  # noqa: E402
from page_tables import with_table  # noqa: E402
from systems import SYSTEMS  # noqa: E402


def architectures() -> str:
    """One row for each model that the tests export."""
    rows = [f"| {_summary(build)} | `{name}` |" for name, build in ARCHITECTURES.items()]
    return "\n".join(["| model | its test |", "| --- | --- |", *rows])


def kinds() -> str:
    """One row for each kind of model that people have, with what to type."""
    rows = [
        f"| {kind.what} | {kind.works} | {kind.typed if '`' in kind.typed else f'`{kind.typed}`'} | `{kind.test}` |"
        for kind in KINDS
    ]
    return "\n".join(["| what it is | works | what to type | its test |", "| --- | --- | --- | --- |", *rows])


def systems() -> str:
    """One row for each system that the tests take the whole way."""
    rows = [f"| {system.what} | yes | yes | yes | `{name}` |" for name, system in SYSTEMS.items()]
    head = ["| system | trained | exported | decoded = Keras | its test |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])


def official() -> str:
    """One row for each official example of sequences, with what to type."""
    dear = " (`make official`)"
    rows = [
        f"| {series}: {example.title} | `{example.typed}` | `{example.run.__name__}`{dear if example.dear else ''} |"
        for series, examples in SERIES.items()
        for example in examples
    ]
    return "\n".join(["| example | what to type | its test |", "| --- | --- | --- |", *rows])


PAGES = {
    architectures: TESTS.parent / "export" / "README.md",
    kinds: TESTS.parent / "docs" / "kinds.md",
    official: TESTS.parent / "docs" / "kinds.md",
    systems: TESTS.parent / "docs" / "systems.md",
}


def _summary(build: Callable[[], object]) -> str:
    return " ".join((inspect.getdoc(build) or "").split()).rstrip(".")


if __name__ == "__main__":
    for made, page in PAGES.items():
        page.write_text(with_table(page.read_text(encoding="utf-8"), made), encoding="utf-8")
