"""Whether the fields of a dataclass that anybody may build hold what their annotations say."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from s2s_runtime.declared_options.checks import is_integer, is_list, is_number
from s2s_runtime.spelling import shown

_TESTS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    bool: ("True or False", lambda value: isinstance(value, bool)),
    int: ("an integer", is_integer),
    float: ("a number", is_number),
    str: ("a text", lambda value: isinstance(value, str)),
    bytes: ("bytes", lambda value: isinstance(value, bytes)),
    type(None): ("None", lambda value: value is None),
}


def field_problems(instance: Any) -> list[str]:
    """Return which fields of a dataclass hold something else than their annotations say, one line for each."""
    problems = []
    for name, tests in _expected(instance.__class__).items():
        value = getattr(instance, name)
        if not any(test(value) for _, test in tests):
            problems.append(f"{name}: expected {' or '.join(words for words, _ in tests)}, got {shown(value)}")
    return problems


@cache
def _expected(kind: type[Any]) -> dict[str, list[tuple[str, Callable[[Any], bool]]]]:
    hints = get_type_hints(kind)
    return {
        field.name: [_test(hint) for hint in _alternatives(hints[field.name])] for field in fields(kind) if field.init
    }


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _test(hint: Any) -> tuple[str, Callable[[Any], bool]]:
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return " or ".join(map(repr, choices)), lambda value: isinstance(value, str) and value in choices
    if get_origin(hint) is tuple:
        words, test = _test(get_args(hint)[0])
        return f"a list of items that are {words}", lambda value: is_list(value) and all(map(test, value))
    if hint in _TESTS:
        return _TESTS[hint]
    return f"a {hint.__name__}", lambda value: isinstance(value, hint)
