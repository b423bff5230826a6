"""What s2s-decode shows to and asks from a person at a terminal."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def byte_progress(total: int) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr over the bytes of a file; None where stderr is no terminal.

    Args:
        total: size of the file; 0 where it isn't known, as of a pipe: no bar, which would cover what others write.

    Yields:
        To be called with lines and bytes done.
    """
    console = Console(stderr=True)
    if not console.is_terminal or not total:
        yield None
        return
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*columns, console=console) as progress:
        task, start = progress.add_task("", total=total, done=""), time.perf_counter()

        def show(lines: int, size: int) -> None:
            rate = lines / (time.perf_counter() - start)
            progress.update(task, completed=size, done=f"{lines:,} lines, {rate:,.0f}/s")

        yield show


def prompted(prompt: str) -> Iterator[str]:
    """Texts typed at a prompt, with history where the platform has it, until the end of the input."""
    if importlib.util.find_spec("readline") is not None:
        importlib.import_module("readline")  # makes `input` remember
    while True:
        try:
            text = input(prompt)
        except EOFError:
            return
        if text.strip():
            yield text
