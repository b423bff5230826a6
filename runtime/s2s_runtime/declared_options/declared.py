"""The options that a dataclass declares, read from its fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from inspect import isclass
from operator import attrgetter
from types import MappingProxyType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from s2s_runtime.declared_options.option import Option

MISSING = dataclasses.MISSING


class DeclaredOption(NamedTuple):
    """A field that is an option.

    Attributes:
        name: of the field.
        types: its alternatives, without None.
        optional: whether it may be None.
        default: its value unless given; `MISSING` where it has to be given.
        option: what else is known of it.
    """

    name: str
    types: tuple[Any, ...]
    optional: bool
    default: Any
    option: Option


@cache
def defaults(kind: type) -> Mapping[str, Any]:
    """Return the defaults of a dataclass by field; `MISSING` where there is none."""
    return {field.name: _default(field) for field in dataclasses.fields(kind)}


@cache
def declared(kind: type) -> Mapping[str, DeclaredOption]:
    """Return the options of a dataclass by name, in the order of its fields; other fields are left out."""
    hints = get_type_hints(kind, include_extras=True)
    given = defaults(kind)
    options_by_name = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        options = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Option)]
        if get_origin(hint) is Annotated and options:
            types = alternatives(get_args(hint)[0])
            own = tuple(type_ for type_ in types if type_ is not type(None))
            optional = len(own) < len(types)
            options_by_name[field.name] = DeclaredOption(field.name, own, optional, given[field.name], options[0])
    return MappingProxyType(options_by_name)


@cache
def names_where(kind: type, **wanted: Any) -> tuple[str, ...]:
    """Return the names of the options whose metadata have these values."""
    return tuple(
        name
        for name, declaration in declared(kind).items()
        if all(getattr(declaration.option, key) == value for key, value in wanted.items())
    )


@cache
def taken_by(kind: type, verb: str) -> tuple[str, ...]:
    """Return the names of the options that a verb such as "score" takes; verbs that take all options aren't listed."""
    return tuple(name for name, declaration in declared(kind).items() if verb in declaration.option.verbs)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types that a type hint is a union of, or the hint itself where it is no union."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def differs(value: Any, default: Any) -> bool:
    """Return whether a value differs from the default; an empty list doesn't differ from an empty tuple."""
    if value is default:
        return False
    if value is None or default is None or default is MISSING:
        return True
    if isinstance(default, tuple):
        return len(value) != len(default) or list(value) != list(default)
    return bool(value != default)


def changed(options: Any) -> list[str]:
    """Return the names of the fields of an instance that hold another object than their default."""
    get, known = _reader(options.__class__)
    return [
        name for name, value, default in zip(known, get(options), known.values(), strict=True) if value is not default
    ]


@cache
def _reader(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], Mapping[str, Any]]:
    """Return a function that reads all fields of an instance at once, and their defaults; for two fields or more."""
    known = defaults(kind)
    return attrgetter(*known), known


def given_values(options: Any) -> dict[str, Any]:
    """Return the fields of an instance that differ from their defaults, by name."""
    known = defaults(options.__class__)
    values = {name: getattr(options, name) for name in changed(options)}
    return {name: value for name, value in values.items() if differs(value, known[name])}


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def type_name(hint: Any) -> str:
    """Return a type as a person writes it."""
    return hint.__name__ if isclass(hint) and not get_args(hint) else str(hint).replace("typing.", "")
