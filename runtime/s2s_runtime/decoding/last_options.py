"""A memory of the last options: sentence after sentence is mostly decoded with the same ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from s2s_runtime.decoding.decoding import Decoding

_PLAIN: Final = (bool, int, float, str, type(None))
_LONGEST: Final = 64  # of a list that is looked at item by item


class LastDecoding:
    """The `Decoding` of the options that came last.

    It is safe to share between threads: each reads and writes options and `Decoding` as one pair.
    """

    def __init__(self) -> None:
        self._kept: tuple[Hashable, Decoding] | None = None

    def get(self, options: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Decoding]) -> Decoding:
        """Return what `make` gave for the same options before, or else gives now; no list of the caller's is kept."""
        key = options_key(options)
        if key is None:
            return make(options)
        kept = self._kept
        if kept is None or kept[0] != key:
            own = {name: value.copy() if type(value) is list else value for name, value in options.items()}
            kept = self._kept = key, make(own)
        return kept[1]


def options_key(options: Mapping[str, Any]) -> Hashable | None:
    """Return a key that only the same options have; None where an option's value could change later.

    Numbers and texts can't change, nor can the items of a list, which are copied here. The key tells types apart: 1,
    1.0 and True are equal, but not the same option.
    """
    key: list[Hashable] = []
    for name, value in options.items():
        kind = type(value)
        if kind in _PLAIN:
            key.append((name, kind, value))
        elif kind in (list, tuple) and len(value) <= _LONGEST and all(type(item) in _PLAIN for item in value):
            key.append((name, kind, tuple((type(item), item) for item in value)))
        else:
            return None
    return tuple(key)
