"""The files of examples/deployment, as far as they can be tried on a machine without containers."""

from __future__ import annotations

import asyncio
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, TINY

from .conftest import Asker

FOLDER = ROOT / "examples" / "deployment"


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing, with a command that exists; its options are the command's."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze")
    text = (FOLDER / "s2s-serve.service").read_text(encoding="utf-8")
    assert "/opt/s2s/bin/s2s-serve /srv/model.s2s " in text
    (tmp_path / "s2s-serve.service").write_text(text.replace("/opt/s2s/bin/s2s-serve", sys.executable), "utf-8")
    done = subprocess.run(
        [analyze, "verify", str(tmp_path / "s2s-serve.service")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    help_text = subprocess.run(
        [sys.executable, "-m", "s2s_runtime", "serve", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(word in help_text for word in line.split() if word.startswith("--"))


def test_the_application_of_gunicorn_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module makes an application of the bundle that the environment names."""
    monkeypatch.setenv("BUNDLE", str(TINY))
    app = runpy.run_path(str(FOLDER / "gunicorn_app.py"))["app"]

    async def run() -> int:
        async with app.pages.router.lifespan_context(app.pages):
            return (await Asker(app)("/generate", {"text": "abc"})).status

    assert asyncio.run(run()) == 200


def test_the_image_starts_the_command_with_options_that_it_has() -> None:
    """What the Dockerfile copies is there, its user isn't root, and its entry point is the command."""
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / name).exists() for name in copied)
    assert "USER 10001" in lines
    [entry] = [line for line in lines if line.startswith("ENTRYPOINT")]
    assert entry.startswith('ENTRYPOINT ["s2s-serve", ')
