"""Processes that are asked by JSON, an object a line in, one out: both ends; nothing is imported but Python's own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parents[1]


class PeerError(RuntimeError):
    """A peer ended or gave other tokens than the reference."""


class AskedProcess:
    """A process that answers requests, started in `benchmarks/`.

    Args:
        name: said in errors.
        command: that starts it.
        log: file that gets what it writes to stderr.
        variables: of its environment, beside those of this process.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=HERE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **variables},
            )

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request, wait for the answer.

        Raises:
            PeerError: the process ended; the log says why.
        """
        if self._process.stdin is None:
            raise PeerError(f"{self.name}: has no pipes")
        with suppress(BrokenPipeError):  # it has ended: there is no answer either
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for an answer, also of what a process says unasked.

        Raises:
            PeerError: the process ended; the log says why.
        """
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise PeerError(f"{self.name}: ended without an answer: {' '.join(last)}")
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Answers:
    """The other end, in the process itself: stdout for answers alone, whatever a framework prints goes to stderr."""

    def __init__(self) -> None:
        self._stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def give(self, answer: Mapping[str, object]) -> None:
        """Write an answer, at once."""
        self._stdout.write(json.dumps(answer) + "\n")
        self._stdout.flush()
