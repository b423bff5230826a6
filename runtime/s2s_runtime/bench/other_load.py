"""Telling whether other programs use the processor while something is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from s2s_runtime.console.app import warn

QUIET_CORES: Final = 0.1
"""What others may use for the machine to count as quiet; the system itself uses some."""

_STAT: Final = Path("/proc/stat")
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Usage:
    """The processor seconds used since the machine started.

    Attributes:
        clock: when this was read, in seconds.
        everybody: seconds of all processes; None where the system doesn't tell (it is read from Linux's /proc).
        process: seconds of one process, and of those that it started and that have ended.
    """

    clock: float
    everybody: float | None
    process: float

    @classmethod
    def read(cls, pid: int) -> Usage:
        """Read the seconds used until now by all processes and by the process `pid`."""
        if not _STAT.is_file():
            return cls(time.perf_counter(), None, 0.0)
        fields = [int(text) for text in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
        idle, waiting = fields[3:5]
        own = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return cls(time.perf_counter(), (sum(fields) - idle - waiting) / _TICKS, sum(map(int, own[11:15])) / _TICKS)


def foreign_cores(before: Usage, after: Usage) -> float | None:
    """Return how many cores other processes kept busy on average; None where unknown."""
    if before.everybody is None or after.everybody is None:
        return None
    others = after.everybody - before.everybody - (after.process - before.process)
    return max(0.0, others / (after.clock - before.clock))


@contextmanager
def warned_of_others() -> Iterator[None]:
    """Warn on stderr, when the block has ended, if other programs used the processor meanwhile."""
    before = Usage.read(os.getpid())
    yield
    others = foreign_cores(before, Usage.read(os.getpid()))
    if others is not None and others > QUIET_CORES:
        warn(
            f"warning: other programs used {others:.1f} of {os.cpu_count() or 1} cores meanwhile; measure again when "
            "the machine is quiet"
        )
