"""The libraries of the extra `ray`, imported where they are used."""

from __future__ import annotations

import importlib
import os
from typing import Any

from s2s_runtime.errors import MissingExtraError


def import_ray(part: str = "ray") -> Any:
    """Return Ray, or one of its modules, which aren't typed.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    return _imported(part)


def import_arrow(part: str = "pyarrow") -> Any:
    """Return pyarrow, or one of its modules, which aren't typed.

    Raises:
        MissingExtraError: it is not installed.
    """
    return _imported(part)


def count_processes(ray: Any, threads: int) -> int:
    """Return how many processes of so many threads the cores of the cluster have room for, at least one."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise MissingExtraError(f"{package} is not installed: pip install 's2s-runtime[ray]'") from error
