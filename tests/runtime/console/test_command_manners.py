"""What all commands share: names in narrow places, a silent log, lines that stand above a bar."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import TINY
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from s2s_runtime.console.names import Name, shorten

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full is simulated by /dev/full")


@given(st.text(st.characters(exclude_categories=["C", "M", "Z"]), max_size=60), st.integers(2, 40))
def test_shortened_names_keep_both_ends(name: str, columns: int) -> None:
    """A name is whole where there is room; else it fills the columns at most, and begins and ends as the name does."""
    shown = shorten(name, columns)
    assert cell_len(shown) <= columns
    if cell_len(name) <= columns:
        assert shown == name
    else:
        head, tail = shown.split("…", 1) if "…" not in name else (shown[: shown.index("…")], "")
        assert name.startswith(head.rstrip())
        assert name.endswith(tail.lstrip())


@pytest.mark.parametrize("width", [30, 50, 200])
def test_names_in_tables(width: int) -> None:
    """Names that differ at their ends can be told apart however narrow the terminal is."""
    names = [f"bidirectional_attention_decoder_layer_of_the_model_{number}" for number in (17, 18)]
    table = Table("layer", "output")
    for name in names:
        table.add_row(Name(name), "(batch, time, 256)")
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for number in ("17", "18"):
        assert any(f"{number} │" in line and "bid" in line for line in shown.splitlines()), shown
    assert all(name in shown for name in names) == (width == 200)


@pytest.mark.parametrize("package", ["s2s_runtime", "s2s_training", "s2s_export"])
def test_loggers_are_silent_by_default(package: str) -> None:
    """A library writes nothing of its own accord, not even a warning; an application that listens hears it."""
    pytest.importorskip(package)
    code = (
        f"import logging, {package}\n"
        f"logging.getLogger('{package}.part').warning('unheard')\n"
        "logging.basicConfig(format='heard: %(message)s')\n"
        f"logging.getLogger('{package}.part').warning('this')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "heard: this\n")


@FULL
def test_a_full_disk_is_one_line() -> None:
    """Where standard output can't be written there is one line and exit 1, and Python leaves without a complaint."""
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "s2s_runtime", "decode", str(TINY), "abc"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=_buffered(), check=False)
    assert (done.returncode, done.stderr.splitlines()) == (1, [f"error: {OSError(28, os.strerror(28), '<stdout>')}"])


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_that_the_terminal_lacks_letters_for(encoding: str) -> None:
    """What can't be written as it is, such as the name of a file that isn't UTF-8, is written escaped."""
    code = (
        "from s2s_runtime.console.manners import typer, with_manners\n"
        "def run() -> None: typer.echo('\\xe9 t\\udce9')\n"
        "typer.run(with_manners(run))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout.decode(encoding), done.stderr) == (0, "é t\\udce9\n", b"")


@FULL
def test_what_nobody_reads_spoils_nothing(tmp_path: Path) -> None:
    """Notes, warnings and announcements are let go where they can't be written; the command goes on."""
    code = (
        "import pathlib, sys\n"
        "from s2s_runtime.console.manners import announce, note, warn\n"
        "for tell in (announce, note, warn): tell('one'), tell('two')\n"
        "pathlib.Path(sys.argv[1]).write_text('done')"
    )
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", code, str(tmp_path / "result")]
        done = subprocess.run(command, stdout=full, stderr=full, env=_buffered(), check=False)
    assert (done.returncode, (tmp_path / "result").read_text()) == (0, "done")


def _buffered() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
