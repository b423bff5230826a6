"""JSON documents: reading, typed access that collects every problem, and writing that is all or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from s2s_runtime.errors import InputError
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from s2s_runtime.files import atomic_write
else:  # whoever decodes writes nothing
    atomic_write = LazyModule("files.atomic_write")

_REQUIRED: Final = object()
_MOST: Final = 2**53 - 1
_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB]")  # half of a character beyond U+FFFF, escaped


class Fields:
    """One JSON object being read.

    A problem (missing field, wrong type, value not allowed) is appended to the shared list and a harmless value of the
    right type is returned, so that one pass finds them all; the reader raises at the end where the list isn't empty.

    Args:
        data: the value read from the document; anything but an object is itself a problem.
        where: path of this object in the document, for messages ("" at the top, else such as "source").
        problems: collects one line per problem.
    """

    def __init__(self, data: object, where: str, problems: list[str]) -> None:
        self._where = where
        self._problems = problems
        self._data: Mapping[str, object] = {}
        self._asked: dict[str, None] = {}
        if isinstance(data, Mapping):
            self._data = data
        else:
            self.problem("", f"expected an object, got {_show(data)}")

    def problem(self, key: str, text: str) -> None:
        """Report a problem with the field `key` of this object ("" = the object itself)."""
        path = ".".join(part for part in (self._where, key) if part)
        self._problems.append(f"{path}: {text}" if path else text)

    def refuse_others(self) -> None:
        """Report every field that was not asked for so far, and the known one whose name is near."""
        for name in self._data:
            if name not in self._asked:
                missing = [known for known in self._asked if known not in self._data]
                expected = f"expected {', '.join(self._asked)}"
                self.problem(str(name), f"no such field{did_you_mean(str(name), missing) or f'; {expected}'}")

    def _get(self, key: str, default: object) -> object:
        self._asked[key] = None
        if key in self._data:
            return self._data[key]
        if default is _REQUIRED:
            self.problem(key, "missing")
            return None
        return default

    def _missing(self, key: str, default: object) -> bool:
        return default is _REQUIRED and key not in self._data

    def to_dict(self) -> dict[str, object]:
        """Return all fields as they are."""
        return dict(self._data)

    def raw(self, key: str, default: object = _REQUIRED) -> object:
        """Return a field as it is."""
        return self._get(key, default)

    def integer(self, key: str, default: object = _REQUIRED) -> int:
        """Return the value of an integer field."""
        value = self._get(key, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if not self._missing(key, default):
            self.problem(key, f"expected an integer, got {_show(value)}")
        return 0

    def counted(self, key: str, least: int = 0) -> int:
        """Return the value of an integer field of at least `least`, up to where every reader of JSON counts exactly."""
        before = len(self._problems)
        value = self.integer(key)
        if len(self._problems) == before and not least <= value <= _MOST:
            self.problem(key, f"expected {least} to {_MOST}, got {_show(value)}")
        return value

    def optional_counted(self, key: str, least: int = 0, default: object = _REQUIRED) -> int | None:
        """Return the value of a field as `counted` does, or None where it is null."""
        return None if self._get(key, default) is None else self.counted(key, least)

    def texts(self, key: str, default: object = _REQUIRED) -> tuple[str, ...]:
        """Return the value of a field that is a list of strings."""
        found = self.items(key, default)
        for i, each in enumerate(found):
            if not isinstance(each, str):
                self.problem(f"{key}[{i}]", f"expected a string, got {_show(each)}")
        return tuple(each for each in found if isinstance(each, str))

    def optional_integer(self, key: str, default: object = _REQUIRED) -> int | None:
        """Return the value of an integer field that may be null."""
        return None if self._get(key, default) is None else self.integer(key, default)

    def boolean(self, key: str, default: object = _REQUIRED) -> bool:
        """Return the value of a field that is true or false."""
        value = self._get(key, default)
        if isinstance(value, bool):
            return value
        if not self._missing(key, default):
            self.problem(key, f"expected true or false, got {_show(value)}")
        return False

    def text(self, key: str, default: object = _REQUIRED) -> str:
        """Return the value of a string field."""
        value = self._get(key, default)
        if isinstance(value, str):
            return value
        if not self._missing(key, default):
            self.problem(key, f"expected a string, got {_show(value)}")
        return ""

    def optional_text(self, key: str, default: object = _REQUIRED) -> str | None:
        """Return the value of a string field that may be null."""
        return None if self._get(key, default) is None else self.text(key, default)

    def choice(self, key: str, allowed: Sequence[str], default: object = _REQUIRED) -> str:
        """Return the value of a string field that holds one of a few values."""
        value = self._get(key, default)
        if isinstance(value, str) and value in allowed:
            return value
        if not self._missing(key, default):
            self.problem(key, f"expected one of {', '.join(map(repr, allowed))}, got {_show(value)}")
        return allowed[0]

    def items(self, key: str, default: object = _REQUIRED) -> list[object]:
        """Return the value of a list field, its elements as they are."""
        value = self._get(key, default)
        if isinstance(value, list | tuple):
            return list(value)
        if not self._missing(key, default):
            self.problem(key, f"expected a list, got {_show(value)}")
        return []

    def child(self, key: str) -> Fields:
        """Return the fields of an object field, which has to be there."""
        value = self._get(key, _REQUIRED)
        where = f"{self._where}.{key}" if self._where else key
        if key not in self._data:
            return Fields({}, where, [])  # reported as missing already: its own fields are not reported too
        return Fields(value, where, self._problems)

    def children(self, key: str, default: object = _REQUIRED) -> list[Fields]:
        """Return the fields of each object of a list field."""
        where = f"{self._where}.{key}" if self._where else key
        return [Fields(item, f"{where}[{i}]", self._problems) for i, item in enumerate(self.items(key, default))]

    def mapping(self, key: str, default: object = _REQUIRED) -> dict[str, object]:
        """Return the value of an object field as a dict."""
        value = self._get(key, default)
        if isinstance(value, Mapping):
            return {str(name): item for name, item in value.items()}
        if not self._missing(key, default):
            self.problem(key, f"expected an object, got {_show(value)}")
        return {}


def _show(value: object) -> str:
    return shown(value, 40)


def parse_json(content: bytes, name: str) -> Any:
    """Return what a JSON document holds.

    Args:
        content: in UTF-8, a byte order mark before it or not.
        name: what to call it in messages.

    Raises:
        InputError: it isn't JSON in UTF-8, or an object names a field twice.
    """
    try:
        found = json.loads(content.removeprefix(BOM_UTF8).decode(), object_pairs_hook=_distinct)
        _refuse_halves(found, content)
    except (ValueError, RecursionError) as error:  # of the library: no JSON, no UTF-8, a number or depth without end
        raise InputError(f"{name}: not a JSON file in UTF-8: {error}") from error
    return found


def parse_line(line: str, place: str) -> Any:
    """Return what a line of JSON holds.

    Args:
        line: a text that was UTF-8.
        place: what to call the line in messages.

    Raises:
        InputError: it isn't JSON, or a text in it has half a character.
    """
    try:
        found = json.loads(line)
        _refuse_halves(found, line.encode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: expected JSON, got {line[:60]!r} ({error})") from error
    return found


def _refuse_halves(found: object, content: bytes) -> None:
    """Raise ValueError where a text of a document has half a character, which is no text."""
    if _SURROGATE.search(content):
        json.dumps(found, ensure_ascii=False).encode()


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of which each field has one value."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return made


def digest(data: object) -> str:
    """Return the SHA-256 of JSON data in hexadecimal, whatever the order of its fields and the layout of its file."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds; see `parse_json`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it isn't JSON in UTF-8, or the path is none.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"expected the path of a JSON file, got {shown(path)}")
    try:
        content = Path(path).read_bytes()
    except ValueError as error:  # no name of a file, as one with a null character
        raise InputError(f"{shown(path)}: {error}") from error
    return parse_json(content, str(path))


def write_json(path: str | os.PathLike[str], data: object) -> None:
    """Write a JSON file, whole or not at all; see `s2s_runtime.files.atomic_write.replacing`."""
    atomic_write.write_text(path, json.dumps(data, ensure_ascii=False, indent=1) + "\n")
