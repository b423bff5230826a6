"""Which passes an export applies, and which of them changed something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from s2s_export.pass_names import NAMES

P = ParamSpec("P")
T = TypeVar("T")


class Passes:
    """The passes that may be applied, and those that have changed something.

    Args:
        wanted: by name; default: all.
    """

    def __init__(self, wanted: Iterable[str] = NAMES) -> None:
        self._wanted = frozenset(wanted)
        self._changed: set[str] = set()

    def apply(self, name: str, change: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
        """Let a pass change something, if it is wanted.

        Returns:
            What `change` returns, which is false where it found nothing to change; None where the pass isn't wanted.
        """
        if name not in self._wanted:
            return None
        result = change(*arguments, **options)
        if result:
            self._changed.add(name)
        return result

    def copy(self) -> Passes:
        """Return a copy, to which further passes are noted apart."""
        other = Passes(self._wanted)
        other._changed = set(self._changed)
        return other

    @property
    def applied(self) -> tuple[str, ...]:
        """The names of the passes that changed something, in the order of `PASSES`."""
        return tuple(name for name in NAMES if name in self._changed)
