"""What commands show to and ask from a person at a terminal."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from s2s_runtime.console.manners import error_console, shows_progress


@contextmanager
def byte_progress(total: int) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr over the bytes of a file; None where nobody would see it.

    Args:
        total: size of the file; 0 where it isn't known, as of a pipe: no bar, which would cover what others write.

    Yields:
        To be called with lines and bytes done.
    """
    console = error_console()
    if not total or not shows_progress(console):
        yield None
        return
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*columns, console=console) as progress:
        task, start = progress.add_task("", total=total, done=""), time.perf_counter()

        def show(lines: int, size: int) -> None:
            rate = lines / (time.perf_counter() - start)
            progress.update(task, completed=size, done=f"{lines:,} lines, {rate:,.0f}/s")

        try:
            yield show
        except BaseException:
            progress.live.transient = True  # half a bar says nothing beside the error
            raise


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr, where somebody sees it.

    Args:
        what: is done, in a word.

    Yields:
        To be called with what is done and all there is.
    """
    console = error_console()
    with Progress(console=console, transient=True, disable=not shows_progress(console)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Show on stderr what is being done, where a person sees it change.

    Yields:
        To be called with a few words as each stage begins.
    """
    console = error_console()
    if not shows_progress(console):
        yield lambda stage: None
        return
    with console.status("") as status:
        yield status.update


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
