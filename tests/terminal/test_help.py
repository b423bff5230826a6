"""--help, -h, --version and the modules that are commands, as a person sees them."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
import typer
from pseudo_terminal import Place, seen

import s2s_runtime
from s2s_runtime.console.start import COMMANDS


def commands(name: str) -> dict[str, list[str]]:
    """What is typed for each command and sub-command, with the names of its options."""
    top = typer.main.get_command(importlib.import_module(COMMANDS[name]).app)
    nested = {f"s2s-{name} {called}": each for called, each in getattr(top, "commands", {}).items()}
    return {
        typed: [option for each in command.params for option in (*each.opts, *each.secondary_opts) if option[0] == "-"]
        for typed, command in ({f"s2s-{name}": top} | nested).items()
    }


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("place", [Place(80), Place(120, term="dumb"), Place(60, no_color=True)], ids=str)
def test_help_shows_names_whole(name: str, place: Place) -> None:
    """Every option's name stands in the help as it is typed, however narrow the terminal; nothing is cut."""
    for typed, options in commands(name).items():
        if place.columns != 80 and typed.count(" "):
            continue  # sub-commands once
        place = Place(place.columns, 600, place.term, place.no_color)
        terminal = seen(f"{typed} --help", place)
        assert terminal.status == 0, terminal.text
        words = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", terminal.text))
        assert set(options) <= words, set(options) - words
        assert {"-h", "--help", "--version", "-v", "--verbose", "--quiet"} <= words
        assert "…" not in terminal.text
        assert not [line for line in terminal.lines if re.search(r"[\w,] ?\.\.\.$", line) and "RUN" not in line]


@pytest.mark.parametrize("name", COMMANDS)
def test_version_and_the_short_help(name: str) -> None:
    """`--version` is the command's name and its package's version; `-h` is `--help`; completion can be installed."""
    place = Place(80, 600)
    assert seen(f"s2s-{name} --version", place).lines == [f"s2s-{name} {s2s_runtime.__version__}"]
    short, long = seen(f"s2s-{name} -h", place), seen(f"s2s-{name} --help", place)
    assert short.status == 0
    assert short.lines == long.lines
    assert "--install-completion" in short.text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_one_line(name: str) -> None:
    """It is named, with what was perhaps meant, and what lists them all; exit 2."""
    terminal = seen(f"s2s-{name} --verbos", Place(200))
    assert terminal.status == 2
    assert len(terminal.lines) == 1
    assert terminal.lines[0].startswith("error: ")
    assert "--verbos" in terminal.text
    assert "--verbose" in terminal.text
    assert f"s2s-{name} --help" in terminal.text


def test_packages_are_commands_too(folder: Path) -> None:
    """`python -m` a package is its command; the runtime, which has several, takes the command's name first."""
    place = Place(120, 600, folder=folder)

    def python(arguments: str) -> list[str]:
        return seen(f"{sys.executable} -m {arguments}", place).lines

    for name in ("decode", "bench", "evaluate", "calibrate", "tune", "plot", "inspect", "batch", "serve"):
        assert name in "\n".join(python("s2s_runtime"))
    assert python("s2s_runtime decode tiny.s2s abc") == seen("s2s-decode tiny.s2s abc", place).lines
    assert python("s2s_runtime plot --version") == [f"python -m s2s_runtime plot {s2s_runtime.__version__}"]
    assert python("s2s_runtime --version") == [f"s2s_runtime {s2s_runtime.__version__}"]
    assert python("s2s_runtime dekode") == [
        "error: expected one of decode, bench, evaluate, calibrate, tune, plot, inspect, batch, serve, got 'dekode'"
    ]
    for package, name in (("s2s_training", "train"), ("s2s_export", "export")):
        assert python(f"{package} --help")[1:] == seen(f"s2s-{name} --help", place).lines[1:]
