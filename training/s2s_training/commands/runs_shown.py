"""Runs side by side on the terminal: a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.live import Live
from rich.table import Table
from rich.text import Text

from s2s_runtime.console.manners import error_console, shows_progress
from s2s_training.runs.side_by_side import DONE, FAILED, Tell

_STYLES = {DONE: "green", FAILED: "red"}


@contextmanager
def showing(path: Path, folders: Sequence[Path]) -> Iterator[Tell]:
    """Show what runs say: the last line of each, redrawn in place; where nobody sees that, every line with its run.

    Args:
        path: folder of all of them.
        folders: of the runs.
    """
    console = error_console()
    names = {folder: str(folder.relative_to(path)) for folder in folders}
    if not shows_progress(console):
        yield lambda folder, line: console.print(
            f"{names[folder]}: {line}", highlight=False, soft_wrap=True, markup=False
        )
        return
    lines = dict.fromkeys(folders, "waiting")
    ended: dict[Path, str] = {}
    with Live(_table(names, lines, ended), console=console, refresh_per_second=4) as live:

        def tell(folder: Path, line: str) -> None:
            (ended if line in _STYLES else lines)[folder] = line
            live.update(_table(names, lines, ended))

        yield tell


def _table(names: dict[Path, str], lines: dict[Path, str], ended: dict[Path, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for folder, name in names.items():
        state = ended.get(folder, "")
        table.add_row(name, Text(state, style=_STYLES.get(state, "")), Text(lines[folder]))
    return table
