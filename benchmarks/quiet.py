"""Telling whether other programs use the processor."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

# What others may use for the machine to count as quiet; the system itself uses some.
QUIET_CORES = 0.1

_STAT = Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Usage:
    """Processor seconds used since the machine started.

    Args:
        clock: when this was read, in seconds.
        everybody: used by all processes; None where the system doesn't tell (it is read from Linux's /proc).
        process: used by one of them.
    """

    clock: float
    everybody: float | None
    process: float

    @classmethod
    def read(cls, pid: int) -> Usage:
        """Usage until now, by all and by the process `pid`."""
        if not _STAT.is_file():
            return cls(time.perf_counter(), None, 0.0)
        fields = [int(text) for text in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
        idle, waiting = fields[3:5]
        own = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        user, system = int(own[11]), int(own[12])
        return cls(time.perf_counter(), (sum(fields) - idle - waiting) / _TICKS, (user + system) / _TICKS)


def foreign_cores(before: Usage, after: Usage) -> float | None:
    """How many cores were busy with other things than the process, on average; None where unknown."""
    if before.everybody is None or after.everybody is None:
        return None
    others = after.everybody - before.everybody - (after.process - before.process)
    return max(0.0, others / (after.clock - before.clock))


def wait_until_quiet(pid: int, settle: float, patience: float) -> None:
    """Let things come to rest, then wait for a moment in which others use no more than `QUIET_CORES`.

    Args:
        pid: process whose own use doesn't count.
        settle: seconds to wait in any case.
        patience: seconds to wait at most.
    """
    end = time.perf_counter() + patience
    while True:
        before = Usage.read(pid)
        time.sleep(settle)
        others = foreign_cores(before, Usage.read(pid))
        if others is None or others <= QUIET_CORES or time.perf_counter() >= end:
            return
