"""Options made ready once and found again: sentence after sentence is decoded with the same ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from s2s_runtime.decoding.decoding import Decoding

_PLAIN: Final = (bool, int, float, str, type(None))
_LONGEST: Final = 64  # of a list that is looked at item by item


class LastDecoding:
    """Keeps what was made ready of the last options that came.

    Safe to share between threads: whoever comes takes and leaves a whole pair.
    """

    def __init__(self) -> None:
        self._kept: tuple[Hashable, Decoding] | None = None

    def get(self, options: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Decoding]) -> Decoding:
        """What `make` gave for the same options before, or gives now; what is kept holds no list of the caller's."""
        key = options_key(options)
        if key is None:
            return make(options)
        kept = self._kept
        if kept is None or kept[0] != key:
            own = {name: value.copy() if type(value) is list else value for name, value in options.items()}
            kept = self._kept = key, make(own)
        return kept[1]


def options_key(options: Mapping[str, Any]) -> Hashable | None:
    """What equals that of the same options alone; None where values could change behind their names.

    Numbers and texts can't, nor can the items of a list that are copied here. Types count: 1, 1.0 and True are equal
    and not the same option.
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
