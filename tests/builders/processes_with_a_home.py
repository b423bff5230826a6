"""Processes whose home folder a test gives, to see what they leave there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from s2s_runtime.ort.telemetry import VARIABLE


def run(code: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, whose home folder is `home` and whose environment says nothing about telemetry."""
    kept = {name: value for name, value in os.environ.items() if name not in {VARIABLE, "XDG_CACHE_HOME"}}
    kept |= {"HOME": str(home), "USERPROFILE": str(home), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=kept)
