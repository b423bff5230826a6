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
        """Lets a wanted pass change something.

        Returns:
            what `change` returns, false where it found nothing to change; None where the pass isn't wanted.
        """
        if name not in self._wanted:
            return None
        found = change(*arguments, **options)
        if found:
            self._changed.add(name)
        return found

    def copy(self) -> Passes:
        """The same, to go on from apart."""
        other = Passes(self._wanted)
        other._changed = set(self._changed)
        return other

    @property
    def applied(self) -> tuple[str, ...]:
        """Names of those that changed something, in the order of `PASSES`."""
        return tuple(name for name in NAMES if name in self._changed)
