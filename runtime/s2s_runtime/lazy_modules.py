"""Modules that are imported when they are first used: a cold start waits only for what it needs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from s2s_runtime.errors import MissingExtraError

if TYPE_CHECKING:
    import logging


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
        self._name = f"{__package__}.{name}"
        self._module: ModuleType | None = None

    def __getattr__(self, name: str) -> Any:
        if self._module is None:
            self._module = import_module(self._name)
        return getattr(self._module, name)


def logger_of(name: str) -> logging.Logger:
    """Return the logger of a module; the package's are silent unless the application listens."""
    loggers = import_module("logging")  # here: it takes as long to import as twenty of our own
    package = loggers.getLogger(__package__)
    if not package.handlers:
        package.addHandler(loggers.NullHandler())
    logger: logging.Logger = loggers.getLogger(name)
    return logger


def import_extra(name: str, extra: str) -> Any:
    """Return a module of a library that not everybody installs, and which isn't typed.

    Args:
        name: of the module.
        extra: what pip is to install, as it is typed.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{name.partition('.')[0]} is not installed: pip install {extra}") from error
