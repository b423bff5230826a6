"""The layout of --help: plain text that wraps at any width, in which the names of options are never cut.

typer's own tables cut names where the terminal is narrow, and need a terminal that draws lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from s2s_runtime.console.manners import SHARED, UsageError, one_line_errors, typer

_PARSER_ERROR: Final[Any] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
_EVERYWHERE: Final = {*SHARED, "install_completion", "show_completion", "help"}
_ENDLESS: Final = 10_000
_LONGEST_NAMES: Final = 30  # columns; help of options with longer names begins on a line of its own


class _Plain:
    """The layout that commands and groups have in common."""

    params: list[Any]
    epilog: str | None

    def make_context(self: Any, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments; report what is wrong with them in one line, with exit code 2."""
        with one_line_errors(), _usage(self, info_name, parent):
            return super().make_context(info_name, args, parent=parent, **extra)  # type: ignore[misc]  # typer's

    def format_options(self: Any, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, a section for each panel."""
        for title, records in _sections(self, ctx).items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=_LONGEST_NAMES)
        if hasattr(self, "list_commands"):
            commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
            with formatter.section("Commands"):
                formatter.write_dl([(name, command.get_short_help_str(_ENDLESS)) for name, command in commands.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, each on a line of its own so that it can be copied."""
        if self.epilog:
            formatter.write_paragraph()
            for line in filter(None, map(_plain, self.epilog.splitlines())):
                formatter.write(line if line.endswith(":\n") else f"  {line}")


class Command(_Plain, typer.core.TyperCommand):
    """A command whose help is plain."""


class Group(_Plain, typer.core.TyperGroup):
    """A command of several commands, whose help is plain."""


@contextmanager
def _usage(command: Any, name: str | None, parent: Any) -> Iterator[None]:
    """Raise the parser's errors as `UsageError`."""
    try:
        yield
    except _PARSER_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group alone shows its help
            raise
        called = " ".join(filter(None, [getattr(parent, "command_path", None), name]))
        said = error.format_message().rstrip(".")
        raise UsageError(f"{said}; {called} --help lists what there is") from error


def _sections(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    """Return names and help of each parameter by section: arguments, options, panels, then those of all commands."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    everywhere = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name in _EVERYWHERE:
            everywhere.append(record)
        elif record is not None:
            is_argument = parameter.param_type_name == "argument"
            title = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or "Options"
            sections.setdefault(title, []).append(record)
    return {title: records for title, records in {**sections, "In every command": everywhere}.items() if records}


def _plain(markdown: str) -> str:
    """Return one line of an epilog without its marks."""
    line = markdown.strip().replace("`", "")
    heading = re.fullmatch(r"\*\*(.+?)\*\*", line)
    if heading:
        return f"{heading[1]}:\n"
    return re.sub(r"\*\*(.+?)\*\*", r"\1:", line) + "\n" if line else ""
