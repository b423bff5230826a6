"""The manners that all commands share, declared once: --version, --verbose, --quiet, and errors in one line.

Everything but the result goes to standard error: progress and notes where they are wanted, warnings and errors always.
Libraries write to `logging`, and only commands show what is logged.
"""

from __future__ import annotations

import functools
import inspect
import io
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar

from s2s_runtime.console.interrupts import INTERRUPTED, is_interrupt
from s2s_runtime.errors import InputError, OptionError, S2SError

if TYPE_CHECKING:
    from rich.console import Console

try:
    import typer
except ModuleNotFoundError as error:
    # A command can do nothing without it; this module is imported by commands only.
    raise SystemExit("error: typer is not installed: pip install 's2s-runtime[cli]'") from error

__all__ = [
    "SHARED",
    "UsageError",
    "after_interrupt",
    "announce",
    "error_console",
    "manners",
    "note",
    "one_line_errors",
    "result_console",
    "shows_progress",
    "standard_input",
    "standard_output",
    "typer",
    "warn",
    "with_manners",
]

_PACKAGES: Final = ("s2s_runtime", "s2s_training", "s2s_export")
_PIPE_COLUMNS: Final = 140  # of tables where nobody says how wide the place is
Run = TypeVar("Run", bound=Callable[..., Any])


class UsageError(OptionError):
    """Options of a command don't go together or are wrong; the exit code is 2."""


class Manners(NamedTuple):
    """The amount that a command writes beside its result.

    Attributes:
        verbose: whether log lines are shown too, and where in the code an error arose.
        quiet: whether progress and notes are left out.
    """

    verbose: bool = False
    quiet: bool = False


_PLAIN: Final = Manners()
_MANNERS: ContextVar[Manners] = ContextVar("manners", default=_PLAIN)


def manners() -> Manners:
    """Return how much the running command is to write beside its result."""
    return _MANNERS.get()


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # takes its time

        package = str(context.command.callback.__module__).partition(".")[0] if context.command.callback else ""
        number = version(package.replace("_", "-"))
        typer.echo(f"{context.find_root().info_name} {number}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show log lines on stderr, and where in the code an error arose.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes on stderr; warnings and errors stay.")]
_OPTIONS: Final = {"version": Version, "verbose": Verbose, "quiet": Quiet}
SHARED: Final = frozenset(_OPTIONS)
"""Names of the parameters that every command has."""


def with_manners(run: Run) -> Run:
    """Return a command's function with the shared options added, which reports errors in one line.

    Args:
        run: the function of the command; it doesn't get the shared options.

    Returns:
        A function with the parameters of `run` and the shared ones.
    """

    @functools.wraps(run)
    def command(*arguments: Any, version: bool, verbose: bool, quiet: bool, **options: Any) -> Any:
        del version  # its callback has answered
        outer = _MANNERS.get()  # of the group
        token = _MANNERS.set(Manners(verbose or outer.verbose, quiet or outer.quiet))
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="backslashreplace")  # of names that the terminal has no letters for
        try:
            with one_line_errors():
                if verbose and quiet:
                    raise UsageError("--verbose and --quiet: expected one of these at most")
                with _listening():
                    return run(*arguments, **options)
        finally:
            _MANNERS.reset(token)

    signature = inspect.signature(run, eval_str=True)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=declared)
        for name, declared in _OPTIONS.items()
    ]
    command.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *shared])  # type: ignore[attr-defined]
    parameters = command.__signature__.parameters.values()  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command  # type: ignore[return-value]


class _ToStderr(logging.Handler):
    """A log handler that writes to the current standard error, which a progress bar may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a note as it is and other records after their level; with --verbose, say where they come from."""
        told = [] if record.levelno == logging.INFO else [record.levelname.lower()]
        told += [record.name] if manners().verbose else []
        warn(": ".join([*told, record.getMessage()]))


@contextmanager
def _listening() -> Iterator[None]:
    """Show what the packages log while the block runs, as much of it as was asked for."""
    level = logging.DEBUG if manners().verbose else logging.WARNING if manners().quiet else logging.INFO
    handler, loggers = _ToStderr(), [logging.getLogger(name) for name in _PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(old)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors that a user can cause into `error: ...` on stderr and exit code 1, or 2 for wrong usage.

    A reader of the output that has ended (`| head`) is no error worth a message.
    """
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _let_go(sys.stdout)
        raise typer.Exit(1) from None
    except BaseException as error:
        if is_interrupt(error):
            if sys.stderr is not None and sys.stderr.isatty():
                typer.echo(err=True)  # behind the ^C that the terminal shows
            advice = str(error) if isinstance(error, KeyboardInterrupt) else ""
            warn(f"error: interrupted; {advice or 'what was written stands'}")
            raise typer.Exit(INTERRUPTED) from None
        if not isinstance(error, S2SError | OSError):
            raise
        if manners().verbose and not isinstance(error, UsageError):
            typer.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
        if sys.stdout is not None:
            _let_go(sys.stdout)
        warn(f"error: {error}")
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


def _let_go(stream: IO[str]) -> None:
    """Let go of what a stream can't take, its reader having ended, or its disk being full.

    Python tries to write it once more while it leaves, and complains.
    """
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def after_interrupt(advice: str) -> Iterator[None]:
    """Say, where Ctrl-C ends the block, what is left and how to go on.

    Args:
        advice: the text behind "error: interrupted; ".
    """
    try:
        yield
    except BaseException as error:
        if not is_interrupt(error):
            raise
        raise KeyboardInterrupt(advice) from None


def warn(message: str) -> None:
    """Write one line to stderr, above a progress bar where there is one."""
    _write_line(sys.stderr, message)


def announce(message: str) -> None:
    """Write one line to stdout that isn't the result: whether anybody reads it doesn't matter."""
    _write_line(sys.stdout, message)


def _write_line(stream: IO[str] | None, message: str) -> None:
    if stream is not None:
        try:
            stream.write(" ".join(message.split()) + "\n")  # not typer's echo, which passes a bar by
            stream.flush()
        except OSError:  # a full disk, a reader that has ended: the result is not for that to spoil
            _let_go(stream)


def note(message: str) -> None:
    """Write one line to stderr, unless --quiet."""
    if not manners().quiet:
        warn(message)


def standard_input() -> IO[bytes]:
    """Return standard input; where a person types it, say on stderr that the command reads it.

    Raises:
        InputError: it is closed.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed: give TEXT, or --input FILE")
    if sys.stdin.isatty():
        note("reading texts from the terminal, one a line; Ctrl-D ends")
    return sys.stdin.buffer


def standard_output() -> IO[bytes]:
    """Return standard output.

    Raises:
        InputError: it is closed.
    """
    if sys.stdout is None:
        raise InputError("standard output is closed: give --output FILE")
    return sys.stdout.buffer


def error_console() -> Console:
    """Return the console of standard error, for progress; it shows nothing with --quiet."""
    from rich.console import Console

    return Console(stderr=True, quiet=manners().quiet, highlight=False)


def shows_progress(console: Console) -> bool:
    """Return whether the console is a terminal that redraws lines, and progress is wanted."""
    return console.is_terminal and not console.is_dumb_terminal and not console.quiet


def result_console(names: Sequence[str] = ()) -> Console:
    """Return the console of standard output, for tables; it takes no markup from paths and symbols in them.

    Args:
        names: names that are shown; where the output is no terminal it is made wide enough for each.
    """
    from rich.console import Console, ConsoleDimensions

    console = Console(markup=False, emoji=False, highlight=False)
    size = shutil.get_terminal_size()  # rich believes that every dumb terminal has 80 columns
    width = size.columns
    if not console.is_terminal:
        width = max([_PIPE_COLUMNS, *map(len, names)])
    console.size = ConsoleDimensions(width, size.lines)
    return console
