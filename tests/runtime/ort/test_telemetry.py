"""onnxruntime reports to nobody: no file under the home folder, no thread of its own, unless the user wants it."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import TINY
from processes_with_a_home import run

from s2s_runtime.bench.processes import start
from s2s_runtime.ort.telemetry import VARIABLE

DECODE = f"""
import os, s2s_runtime
with s2s_runtime.load({str(TINY)!r}, intra_op_threads=1, workers=1) as model:
    print(model.generate(["abc"])[0].ids)
print(os.environ[{VARIABLE!r}])
"""


def test_decoding_leaves_the_home_folder_alone(tmp_path: Path) -> None:
    """Loading and decoding write nothing there."""
    found = run(DECODE, tmp_path)
    assert (found.stderr, found.stdout.splitlines()[-1]) == ("", "1")
    assert list(tmp_path.rglob("*")) == []


def test_a_home_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    """A file stands where the home folder should, as nothing else keeps the superuser out: same tokens, no word."""
    home = tmp_path / "home"
    home.touch()
    assert (run(DECODE, home).stderr, run(DECODE, home).stdout) == ("", run(DECODE, tmp_path).stdout)


def test_what_the_user_says_stays(tmp_path: Path) -> None:
    """Whoever set the variable has decided, in processes that bench starts too."""
    assert run(DECODE, tmp_path, **{VARIABLE: "0"}).stdout.splitlines()[-1] == "0"


def test_measured_processes_are_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that import onnxruntime alone, to be compared with the runtime, start as quietly; a user's value stays."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert start._environment(tmp_path)[VARIABLE] == "1"
    monkeypatch.setenv(VARIABLE, "0")
    assert start._environment(tmp_path)[VARIABLE] == "0"
