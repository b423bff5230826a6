"""Finding the processes that a command started, whoever is their parent now: they have its environment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

MARK: Final = "S2S_STARTED_BY"
"""The environment variable that tells those of one command from those of others on the same machine."""


def marked_processes(mark: str, words: str) -> set[int]:
    """Return the processes with a mark in their environment and some words in their command line."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            environment = (process / "environ").read_bytes().split(b"\0")
            if f"{MARK}={mark}".encode() in environment and words.encode() in (process / "cmdline").read_bytes():
                found.add(int(process.name))
    return found - {os.getpid()}
