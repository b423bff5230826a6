"""What the sections of a configuration share: checks of single values, each giving one line per problem."""

from __future__ import annotations

import dataclasses
import math
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def wrong_types(section: Any) -> list[str]:
    """Fields whose value is of another type than the one annotated, or no finite number; choices not looked at."""
    hints = get_type_hints(type(section))
    found = []
    for field in dataclasses.fields(section):
        value, allowed = getattr(section, field.name), _alternatives(hints[field.name])
        if not any(_is_a(value, each) for each in allowed):
            names = " or ".join("none" if each is type(None) else each.__name__ for each in allowed)
            found.append(f"{field.name}: expected {names}, got {value!r}")
        elif isinstance(value, float) and not math.isfinite(value):
            found.append(f"{field.name}: expected a finite number, got {value}")
    return found


def optional_fields(section: type) -> set[str]:
    """Names of the fields that may be None."""
    hints = get_type_hints(section)
    return {field.name for field in dataclasses.fields(section) if type(None) in _alternatives(hints[field.name])}


def wrong_choices(section: Any, **choices: Any) -> list[str]:
    """Fields whose value is none of the given `Literal`; None passes where a field may be None."""
    found = []
    for name, literal in choices.items():
        value, allowed = getattr(section, name), get_args(literal)
        if value not in allowed and not (value is None and name in optional_fields(type(section))):
            found.append(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")
    return found


def below(section: Any, least: int, *names: str) -> list[str]:
    """Fields whose value is less than `least`; None passes."""
    values = {name: getattr(section, name) for name in names}
    return [
        f"{name}: expected at least {least}, got {value}"
        for name, value in values.items()
        if value is not None and value < least
    ]


def above(section: Any, most: int, *names: str) -> list[str]:
    """Fields whose value is more than `most`; None passes."""
    values = {name: getattr(section, name) for name in names}
    return [
        f"{name}: expected at most {most}, got {value}"
        for name, value in values.items()
        if value is not None and value > most
    ]


def _alternatives(hint: Any) -> list[Any]:
    """The types that a hint stands for; a `Literal` stands for that of its values."""
    if get_origin(hint) in (Union, types.UnionType):
        return [each for part in get_args(hint) for each in _alternatives(part)]
    if get_origin(hint) is Literal:
        return [type(get_args(hint)[0])]
    return [hint]


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
