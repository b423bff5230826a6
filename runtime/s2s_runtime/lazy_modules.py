"""Modules that are imported when they are first used, so that a cold start waits only for what it needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyModule:
    """A module of this package that is imported when something of it is first used.

        if TYPE_CHECKING:
            from s2s_runtime import beam
        else:
            beam = LazyModule("search.beam")

    Args:
        name: of the module, within the package.
    """

    def __init__(self, name: str) -> None:
        self._module = f"{__package__}.{name}"

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)
