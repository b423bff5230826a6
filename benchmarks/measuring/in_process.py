"""What programs that time the runtime in their own process share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from measuring.quiet import Usage, foreign_cores
from s2s_runtime.bench.machine import cpu_name


def fastest(call: Callable[[], object], calls: int) -> float:
    """Return seconds of the fastest of some calls: the others were disturbed."""
    least = float("inf")
    for _ in range(calls):
        began = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - began)
    return least


def circumstances(before: Usage | None = None) -> dict[str, Any]:
    """Return when and on what something was measured.

    Args:
        before: this process's usage as it began; with it, `foreign` says how many cores other programs used since.
    """
    found = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "cpu": cpu_name(), "cores": os.cpu_count()}
    return found if before is None else {**found, "foreign": foreign_cores(before, Usage.read(os.getpid()))}
