"""Checks of what callers hand over: an argument of another kind is one error that names it, at the door."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from s2s_runtime.declared_options.checks import is_integer, is_list
from s2s_runtime.errors import S2SError
from s2s_runtime.spelling import shown


@dataclass(frozen=True)
class Expected:
    """What an argument has to be.

    Attributes:
        words: for messages.
        test: tells whether a value is one.
    """

    words: str
    test: Callable[[Any], bool]

    def __or__(self, other: Expected) -> Expected:
        """Return what is one or the other."""
        return Expected(f"{self.words} or {other.words}", lambda value: self.test(value) or other.test(value))


def an(type_: type, words: str) -> Expected:
    """Return what an instance of a type is."""
    return Expected(words, lambda value: isinstance(value, type_))


def is_symbolic(value: object) -> bool:
    """Return whether a value is a tensor of a graph, which looks like an array and has no items."""
    return hasattr(value, "_keras_history")


def is_path(value: object) -> bool:
    """Return whether a value is a path that the system can be asked about."""
    try:
        return isinstance(value, str | os.PathLike) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half a character
        return False


NONE: Final = Expected("None", lambda value: value is None)
TRUTH: Final = an(bool, "True or False")
TEXT: Final = an(str, "a text")
PATH: Final = Expected("a path", is_path)
INTEGER: Final = Expected("an integer", is_integer)
FUNCTION: Final = Expected("a function", callable)
TEXTS_BY_NAME: Final = Expected(
    "a mapping of names to texts",
    lambda value: isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair),
)
BY_NAME: Final = Expected(
    "a mapping by names", lambda value: isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
)


def one_of(*values: str) -> Expected:
    """Return what is one of some texts."""
    return Expected(" or ".join(map(repr, values)), lambda value: isinstance(value, str) and value in values)


def list_of(item: Expected, words: str) -> Expected:
    """Return what a list or tuple of items is; the words say what these are."""
    return Expected(
        f"a list of {words}", lambda value: is_list(value) and not is_symbolic(value) and all(map(item.test, value))
    )


def check_given(error: type[S2SError], **given: tuple[Any, Expected]) -> None:
    """Let arguments pass that are what is expected of them.

    Args:
        error: what is raised.
        given: by its name, what was given for an argument, and what it has to be.

    Raises:
        S2SError: of the type `error`; names each argument that is something else.
    """
    problems = [
        f"{name}: expected {expected.words}, got {shown(value)}"
        for name, (value, expected) in given.items()
        if not expected.test(value)
    ]
    if problems:
        raise error("; ".join(problems))
