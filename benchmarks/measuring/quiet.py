"""Waiting until other programs leave the processor alone."""

from __future__ import annotations

import time

from s2s_runtime.bench.other_load import QUIET_CORES, Usage, foreign_cores

__all__ = ["QUIET_CORES", "Usage", "foreign_cores", "wait_until_quiet"]


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
