"""Where commands begin: it imports nothing, so that Ctrl-C is one line too while a command is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final

from s2s_runtime.console.interrupts import INTERRUPTED, is_interrupt

COMMANDS: Final = {
    "decode": "s2s_runtime.commands.decode",
    "bench": "s2s_runtime.commands.bench",
    "evaluate": "s2s_runtime.commands.evaluate",
    "calibrate": "s2s_runtime.calibrating.command",
    "tune": "s2s_runtime.tuning.command",
    "plot": "s2s_runtime.commands.plot",
    "inspect": "s2s_runtime.commands.inspect",
    "batch": "s2s_runtime.commands.batch",
    "serve": "s2s_runtime.commands.serve",
    "train": "s2s_training.commands.train",
    "export": "s2s_export.commands.export",
}
"""The modules of all commands, each with its `app`; `s2s-decode` is the attribute `decode` of this module."""


def __getattr__(name: str) -> Callable[[], None]:
    if name not in COMMANDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(run, name)


def run(name: str, **settings: Any) -> None:
    """Import a command and run it; end it in one line after Ctrl-C, with exit code 130.

    Args:
        name: one of `COMMANDS`.
        **settings: what its application takes.
    """
    try:
        import_module(COMMANDS[name]).app(**settings)
    except SystemExit:  # it has said how it ended
        raise
    except BaseException as error:
        if not is_interrupt(error):
            raise
        if sys.stderr is not None:
            behind = "\n" if sys.stderr.isatty() else ""  # the ^C that the terminal shows
            sys.stderr.write(f"{behind}error: interrupted; nothing was begun\n")
        raise SystemExit(INTERRUPTED) from None
