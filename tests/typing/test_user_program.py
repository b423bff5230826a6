"""The program that type checkers look at (`make types`) is one that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from places import FIXTURES


def test_the_checked_program_runs(tmp_path: Path) -> None:
    """What the checkers believe of it holds: it runs over the tiny bundles to its end."""
    (tmp_path / "in.txt").write_text("abc\nde\n", encoding="utf-8")
    program = [sys.executable, str(Path(__file__).with_name("user_program.py"))]
    bundles = [str(FIXTURES / name) for name in ("tiny.s2s", "tiny-values.s2s")]
    done = subprocess.run([*program, *bundles], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "this model is closed; load the bundle again" in done.stdout
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").count("\n") == 2
