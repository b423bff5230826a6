"""Control-C that ends as another error: pressed while a module is imported, it comes out as that module's own."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from places import ROOT

from s2s_runtime.console import start
from s2s_runtime.console.manners import after_interrupt, one_line_errors, typer


def import_interrupted() -> None:
    """What importing a module written in C++ does when Control-C is pressed meanwhile."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise ImportError("initialization failed") from error


def test_is_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 130, once, however many layers look at it."""
    with pytest.raises(typer.Exit) as caught, one_line_errors(), one_line_errors(), after_interrupt("nothing is there"):
        import_interrupted()
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err.splitlines() == ["error: interrupted; nothing is there"]


def test_other_errors_are_no_interrupts() -> None:
    """An error of ours comes out as it is, with what led to it."""
    with pytest.raises(ZeroDivisionError), one_line_errors(), after_interrupt("nothing is there"):
        _ = 1 / 0


def test_an_error_that_leads_back_to_itself_is_no_interrupt() -> None:
    """Whoever raises an error from itself, or from one that it led to, doesn't keep the command from ending."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    with pytest.raises(ValueError, match="one"), after_interrupt("nothing is there"):
        raise one
    with pytest.raises(ValueError, match="one"), after_interrupt("nothing is there"):
        raise one from one


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("serve", "KeyboardInterrupt"),
        ("tune", "ImportError"),
        ("train", "KeyboardInterrupt"),
        ("export", "ImportError"),
    ],
)
def test_while_a_command_is_imported(name: str, error: str) -> None:
    """It ends in one line, whichever error the interrupt comes out as."""
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.partition('.')[0] == 'typer':\n"
        "            try: raise KeyboardInterrupt\n"
        f"            except KeyboardInterrupt as error: raise {error}('initialization failed') from error\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"from s2s_runtime.console.start import {name}\n"
        f"{name}()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "error: interrupted; nothing was begun\n")


def test_every_command_begins_where_an_interrupt_is_told() -> None:
    """Also one that is added: what is installed is what the packages declare."""
    declared: dict[str, str] = {}
    for package in ("runtime", "training", "export"):
        settings = tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8"))
        declared |= settings["project"]["scripts"]
    assert declared == {f"s2s-{name}": f"{start.__name__}:{name}" for name in start.COMMANDS}
