"""Registering commands, and reading which of their options were typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s2s_runtime.console.help_layout import Command, Group
from s2s_runtime.console.manners import SHARED, Run, UsageError, one_line_errors, typer, warn, with_manners

__all__ = [
    "UsageError",
    "command",
    "group",
    "make_app",
    "one_line_errors",
    "typed_options",
    "typer",
    "warn",
]


def make_app(**settings: Any) -> typer.Typer:
    """Return a typer application that leaves errors to `one_line_errors` and lays out its help plainly."""
    return typer.Typer(
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def command(app: typer.Typer, name: str | None = None, *, epilog: str) -> Callable[[Run], Run]:
    """Register a function as a command of an application, with the manners of all commands.

    Args:
        app: made by `make_app`.
        name: name of the command, where the application has several; default: the function's name.
        epilog: examples, shown below the options.
    """

    def register(run: Run) -> Run:
        app.command(name, epilog=epilog, cls=Command)(with_manners(run))
        return run

    return register


def group(app: typer.Typer) -> Callable[[Run], Run]:
    """Register the function whose docstring describes an application with several commands."""

    def register(run: Run) -> Run:
        app.callback(cls=Group, no_args_is_help=True)(with_manners(run))
        return run

    return register


def typed_options(context: typer.Context) -> dict[str, str]:
    """Return what was typed, by parameter: the option as `--help` spells it.

    Defaults and the options of all commands are left out.
    """
    flags = {}
    for parameter in context.command.params:
        source = None if parameter.name is None else context.get_parameter_source(parameter.name)
        if parameter.name is not None and source is not None and source.name == "COMMANDLINE":
            long = (each for each in parameter.opts if each.startswith("--"))
            flags[parameter.name] = next(long, parameter.opts[0])  # an older name of an option stands behind it
    return {name: option for name, option in flags.items() if name not in SHARED}
