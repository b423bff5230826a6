"""Commands killed at a random moment: what they write is whole or absent, and going on gives what was asked for.

`s2s-decode --output` is killed and resumed; `s2s-export --force` is killed while it replaces a bundle, of which
the old or the new one is there. The training's kills are in `tests/training/test_training_run.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from random import Random

from harness import BrokenPromiseError, Case, Harness
from places import FIXTURES, TINY

import s2s_runtime

LINES = "".join(f"{text}\n" for text in ["abc", "cab", "bca", "aabbcc"] * 400)


def command(folder: Path, *more: str) -> list[str]:
    """`s2s-decode` over a file."""
    files = ["--input", str(folder / "in.txt"), "--output", str(folder / "out.txt")]
    return [sys.executable, "-m", "s2s_runtime", "decode", str(TINY), *files, "--read-ahead", "50", *more]


@cache
def whole() -> tuple[bytes, float]:
    """The whole output, and how long it takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.txt").write_text(LINES, encoding="utf-8")
        began = time.monotonic()
        subprocess.run(command(folder), check=True, capture_output=True)
        return (folder / "out.txt").read_bytes(), time.monotonic() - began


def make(random: Random) -> Case:
    """Draw the moment of each kill, as a share of the time that the whole takes."""
    if random.random() < 0.2:
        return {"export": random.uniform(0.1, 1.05)}
    return {"moments": [random.uniform(0.2, 1.1) for _ in range(random.randrange(1, 4))]}


def export_command(folder: Path) -> list[str]:
    """`s2s-export` of a model whose bundle is there already."""
    return [sys.executable, "-m", "s2s_export", str(folder / "model.keras"), "--force", "--quiet"]


@cache
def export_seconds() -> float:
    """How long an export takes that isn't killed."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(FIXTURES / "format-1" / "run", Path(name) / "run")
        began = time.monotonic()
        subprocess.run(export_command(Path(name) / "run"), check=True, capture_output=True)
        return time.monotonic() - began


def check_export(moment: float) -> str:
    """Kill an export that replaces a bundle; a bundle is there and gives what it gave."""
    seconds = export_seconds()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        shutil.copytree(FIXTURES / "format-1" / "run", folder)
        running = subprocess.Popen(export_command(folder), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            running.wait(moment * seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        sound = s2s_runtime.load(FIXTURES / "format-1" / "run" / "model.s2s")
        found = s2s_runtime.load(folder / "model.s2s").generate(["un1", "cent5"])
        if [result.ids for result in found] != [result.ids for result in sound.generate(["un1", "cent5"])]:
            raise BrokenPromiseError("another bundle")
    return f"export: {'killed' if running.returncode < 0 else 'ended'}, a bundle is there"


def check(case: Case) -> str:
    """Kill, and resume, several times; then let it end."""
    if "export" in case:
        return check_export(case["export"])
    expected, seconds = whole()
    killed = 0
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "out.txt"
        (folder / "in.txt").write_text(LINES, encoding="utf-8")
        for moment in case["moments"]:
            running = subprocess.Popen(command(folder, "--resume"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
            try:
                running.communicate(timeout=moment * seconds)
            except subprocess.TimeoutExpired:
                running.kill()
                running.communicate()
                killed += 1
            written = out.read_bytes() if out.exists() else b""
            if not expected.startswith(written[: written.rfind(b"\n") + 1]):
                raise BrokenPromiseError("what was written isn't the beginning of the whole")
        done = subprocess.run(command(folder, "--resume"), check=False, capture_output=True)
        if done.returncode or out.read_bytes() != expected:
            raise BrokenPromiseError(f"resumed: {done.returncode}, {done.stderr[-300:]!r}")
        left = {path.name for path in folder.iterdir()} - {"in.txt", "out.txt"}
        if left:
            raise BrokenPromiseError(f"left: {left}")
    return f"killed {killed} times, then whole"


HARNESS = Harness(name="kills", make=make, check=check, prepare=whole, share=0.5, seconds=60)
