"""The library of the extra `ray`, imported where it is used."""

from __future__ import annotations

import os
from typing import Any

from s2s_runtime.lazy_modules import import_extra


def import_ray(part: str = "ray") -> Any:
    """Return Ray, or one of its modules, which aren't typed.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    return import_extra(part, "'s2s-runtime[ray]'")


def count_processes(ray: Any, threads: int) -> int:
    """Return how many processes of so many threads the cores of the cluster have room for, at least one."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
