"""A pseudo-terminal and what a person sees on it."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pexpect
import pyte

ESCAPE = re.compile(rb"\x1b[\[\](][0-9;?]*[A-Za-z]?")
COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9]+)*m")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Place:
    """Where a command is run: what kind of terminal, how wide."""

    columns: int = 80
    rows: int = 150
    term: str = "xterm-256color"
    no_color: bool = False
    folder: Path = Path()

    def at(self, folder: Path) -> Place:
        """The same terminal in another folder."""
        return replace(self, folder=folder)

    def environment(self) -> dict[str, str]:
        """That of this process, without what says how wide a terminal is."""
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        kept |= {"TERM": self.term, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "LANG": "C.UTF-8"}
        return kept | ({"NO_COLOR": "1"} if self.no_color else {})


class Terminal:
    """A shell command under a pseudo-terminal whose screen can be read at any time.

    Args:
        command: as typed; redirections and pipes are the shell's.
        place: where.
    """

    def __init__(self, command: str, place: Place) -> None:
        self.screen = pyte.Screen(place.columns, place.rows)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.status: int | None = None
        self._child = pexpect.spawn(
            "/bin/bash",
            ["-o", "pipefail", "-c", command],
            dimensions=(place.rows, place.columns),
            env=place.environment(),  # type: ignore[arg-type]
            cwd=str(place.folder.resolve()),
        )

    @property
    def lines(self) -> list[str]:
        """What is on the screen now, without empty lines."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines)

    def wait_for(self, *words: str, pattern: str = "", seconds: float = 300) -> None:
        """Read until all the words, and what matches a pattern, are on the screen together."""
        end = time.monotonic() + seconds
        while not (all(word in self.text for word in words) and re.search(pattern, self.text)):
            assert time.monotonic() < end, f"{words} {pattern} never came:\n{self.text}"
            assert self._read(), f"ended before {words} {pattern} came:\n{self.text}"

    def wait_until_it_reads(self, path: Path) -> None:
        """Read from the terminal until the process, which the command is to replace the shell with, has a file open."""
        while self._read():
            if any(opened.resolve() == path.resolve() for opened in Path(f"/proc/{self._child.pid}/fd").iterdir()):
                return
        raise AssertionError(f"ended before it read {path}:\n{self.text}")

    def press(self, key: str) -> None:
        """Press a key: "c" with control, or "d"."""
        self._child.sendcontrol(key)

    def type(self, text: str) -> None:
        """Type a line."""
        self._child.sendline(text)

    def finish(self, seconds: float = 180) -> Terminal:
        """Read until the command ends."""
        end = time.monotonic() + seconds
        while self._read():
            if time.monotonic() > end:
                self._child.kill(9)
                raise AssertionError(f"doesn't end:\n{self.text}")
        self._child.close()
        self.status = self._child.exitstatus
        return self

    def _read(self) -> bool:
        try:
            part = self._child.read_nonblocking(1 << 10, timeout=0.2)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.written += part
        self._stream.feed(part)
        return True


def seen(command: str, place: Place) -> Terminal:
    """Run a command to its end."""
    return Terminal(command, place).finish()
