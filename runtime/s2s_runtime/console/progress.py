"""Progress bars of commands, and their prompt for texts."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from s2s_runtime.console.manners import error_console, shows_progress


@contextmanager
def byte_progress(total: int) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar on stderr over the bytes of a file, where somebody sees it.

    Args:
        total: size of the file in bytes; 0 where it isn't known, as of a pipe: then there is no bar, as it would cover
            what other programs write.

    Yields:
        A function to call with the lines and bytes done; None where no bar is shown.
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
        what: a word for what is done.

    Yields:
        A function to call with the number done and the number of all.
    """
    console = error_console()
    with Progress(console=console, transient=True, disable=not shows_progress(console)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def advancing(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr, where somebody sees it, which begins anew where the work goes over all again.

    Args:
        what: a word for what is done.
        total: how many there are.

    Yields:
        A function to call with the number just done, at least one.
    """
    done = 0
    with counted(what) as show:

        def advance(count: int) -> None:
            nonlocal done
            done += count
            show((done - 1) % total + 1, total)

        yield advance


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Show on stderr which stage of the work runs, where a person sees it change.

    Yields:
        A function to call with a few words as each stage begins.
    """
    console = error_console()
    if not shows_progress(console):
        yield lambda stage: None
        return
    with console.status("") as status:
        yield status.update


def prompted(prompt: str) -> Iterator[str]:
    """Yield texts typed at a prompt, with history where the platform has it, until the end of the input."""
    if importlib.util.find_spec("readline") is not None:
        importlib.import_module("readline")  # makes `input` remember
    while True:
        try:
            text = input(prompt)
        except EOFError:
            return
        if text.strip():
            yield text
