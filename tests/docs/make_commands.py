"""Writes docs/commands.md from what the commands themselves declare: `make tables`.

A test tells when this has to be run again.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument

from s2s_runtime.console.start import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
ORDER = (
    "s2s-train",
    "s2s-export",
    "s2s-decode",
    "s2s-evaluate",
    "s2s-calibrate",
    "s2s-tune",
    "s2s-plot",
    "s2s-bench",
    "s2s-inspect",
    "s2s-serve",
    "s2s-batch",
)
HEAD = """# Commands

What each command takes, as `--help` says it too. Every command also takes:

| options | meaning |
| --- | --- |
| `-v`, `--verbose` | Show log lines on standard error, and where in the code an error arose. |
| `--quiet` | No progress and no notes on standard error; warnings and errors stay. |
| `--version`, `-h`, `--help` | Show the version, or what the command takes. |
| `--install-completion` | Teach the shell to complete the command's options. |

Messages and progress go to standard error, and only a terminal sees a bar. Commands exit with 0 where all went well,
with 1 where something failed, with 2 for wrong usage, and with 130 after Ctrl-C, when nothing half made is left.

Where the commands are not on the path, `python -m s2s_training` is `s2s-train`, `python -m s2s_export` is `s2s-export`,
and `python -m s2s_runtime decode` (or `bench`, `evaluate`, `calibrate`, `tune`, `plot`, `inspect`, `serve`, `batch`) is
`s2s-decode` and so on.
"""
NAME = re.compile(r"(?<!\w)--?[a-z][a-z0-9-]*")
SHARED = {"--install-completion", "--show-completion", "--help", "--version", "--verbose", "--quiet"}


def page() -> str:
    """All commands, each a section."""
    return "\n".join([HEAD, *(line for name in names() for line in section(name, command(name), 2))])


def names() -> list[str]:
    """The installed commands, those of the whole line first."""
    found = {entry.name for entry in entry_points(group="console_scripts") if entry.name.startswith("s2s-")}
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def command(name: str) -> Any:
    """The click command behind an installed one."""
    return typer.main.get_command(import_module(COMMANDS[name.removeprefix("s2s-")]).app)


def section(name: str, made: Any, level: int) -> Iterator[str]:
    """Heading, usage, what it does, its parameters, examples; then its sub-commands."""
    context = typer.Context(made, info_name=name)
    yield f"{'#' * level} {name}\n"
    yield f"    {name} {' '.join(made.collect_usage_pieces(context))}\n"
    yield f"{text(made.help)}\n"
    for title, rows in tables(made):
        yield f"| {title} | meaning |\n| --- | --- |"
        yield from rows
        yield ""
    if made.epilog:
        yield f"{inspect.cleandoc(made.epilog)}\n"
    for sub_name, sub_command in getattr(made, "commands", {}).items():
        yield from section(f"{name} {sub_name}", sub_command, level + 1)


def tables(made: Any) -> Iterator[tuple[str, list[str]]]:
    """Arguments first, then options by the panels in which --help shows them."""
    panels: dict[str, list[str]] = {}
    for parameter in made.params:
        if not parameter.hidden and not SHARED & {*parameter.opts}:
            usual = "arguments" if isinstance(parameter, TyperArgument) else "options"
            title = parameter.rich_help_panel or usual
            panels.setdefault(title.lower(), []).append(row(made, parameter))
    yield from sorted(panels.items(), key=lambda panel: panel[0] != "arguments")


def row(made: Any, parameter: Any) -> str:
    """One parameter: its names and what it takes; its meaning, with bounds and default in brackets."""
    names, meaning = parameter.get_help_record(typer.Context(made))
    marked = NAME.sub(lambda name: f"`{name[0]}`", escaped(names))
    return f"| {marked} | {text(meaning)} |"


def text(help_text: str | None) -> str:
    """Help as it stands in a page: paragraphs a line each, examples that are indented as code."""
    lines = inspect.cleandoc(help_text or "").replace("\f", "").strip()
    return escaped(re.sub(r"(?<!\n)\n(?![\n ])", " ", re.sub(r"(?<!\n)\n(?= )", "\n\n", lines)))


def escaped(words: str) -> str:
    """Bars, brackets and angle brackets mean something in a table; between backticks only bars do."""
    parts = words.replace("|", "\\|").split("`")
    return "`".join(
        part if index % 2 else part.replace("<", "&lt;").replace("[", "\\[") for index, part in enumerate(parts)
    )


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
