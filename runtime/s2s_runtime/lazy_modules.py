"""Modules that are imported when they are first used: a cold start waits for what it needs, and for no more."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module of this package until something of it is used.

        if TYPE_CHECKING:
            from s2s_runtime import beam
        else:
            beam = Later("search.beam")

    Args:
        name: of the module, within the package.
    """

    def __init__(self, name: str) -> None:
        self._module = f"{__package__}.{name}"

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)
