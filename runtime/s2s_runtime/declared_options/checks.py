"""Whether options are what their declaration says: types, ranges, choices, and what has no effect without another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin

from s2s_runtime.declared_options.declared import DeclaredOption, changed, declared, differs, type_name


def option_problems(options: Any) -> list[str]:
    """What is wrong with an instance of a dataclass of options, a line each.

    Defaults are sound: only what differs from them is looked at, as checking all takes as long as writing some tokens.
    What an option needs is looked at only where all values are sound.
    """
    given = changed(options)
    if not given:
        return []
    known = declared(options.__class__)
    own = [known[name] for name in given if name in known]
    problems = [value_problem(each, getattr(options, each.name)) for each in own]
    return [each for each in problems if each] or [each for one in own for each in _unmet(one, options)]


def verb_problems(options: Any, verb: str) -> list[str]:
    """What a verb can't do of what is asked for, a line each."""
    own = (each for each in declared(options.__class__).values() if verb in each.option.not_for)
    asked = ((each, getattr(options, each.name)) for each in own)
    return [
        f"{each.name}: expected {each.default} for {verb}, got {value!r}"
        for each, value in asked
        if differs(value, each.default)
    ]


def value_problem(each: DeclaredOption, value: Any, name: str = "") -> str:
    """What is wrong with a value of an option by itself; nothing where it is sound.

    Args:
        each: the option.
        value: given for it.
        name: what a message calls it; by default its name.
    """
    if value is None and each.optional:
        return ""
    expected, allowed = expectation(each)
    return "" if allowed(value) else f"{name or each.name}: expected {expected}, got {value!r}"


def expectation(each: DeclaredOption) -> tuple[str, Callable[[Any], bool]]:
    """What values of an option are, in words and as a test."""
    kinds = [_kind(hint, each) for hint in each.types]
    words = each.option.expected or " or ".join(words for words, _ in kinds)
    return words, each.option.allowed or (lambda value: any(test(value) for _, test in kinds))


def is_integer(value: object) -> bool:
    """Whether a value is an integer, numpy's among them; truth values aren't."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a finite number, numpy's among them; truth values aren't."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_list(value: object) -> bool:
    """Whether a value is a list, a tuple or an array; a text isn't, nor are bytes."""
    is_array = hasattr(value, "__array__") and getattr(value, "ndim", 0) > 0  # numpy's numbers have the first too
    return is_array or (isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview))


_KINDS: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    bool: ("True or False", lambda value: isinstance(value, bool)),
    str: ("a text", lambda value: isinstance(value, str)),
    Sequence: ("a list", is_list),
    list: ("a list", is_list),
    tuple: ("a list", is_list),
    Mapping: ("a mapping", lambda value: isinstance(value, Mapping)),
    Callable: ("a function", callable),
}


def _kind(hint: Any, each: DeclaredOption) -> tuple[str, Callable[[Any], bool]]:
    """One alternative of a type, in words and as a test."""
    option, origin = each.option, get_origin(hint) or hint
    if origin is int:
        return f"an integer{option.range}", lambda value: is_integer(value) and option.in_range(value)
    if origin is float:
        return f"a number{option.range}", lambda value: is_number(value) and option.in_range(value)
    if origin is Literal:
        choices = get_args(hint)
        return " or ".join(map(repr, choices)), lambda value: any(
            isinstance(value, type(choice)) and bool(value == choice) for choice in choices
        )
    if origin in _KINDS:
        return _KINDS[origin]
    return f"a {type_name(origin)}", lambda value: isinstance(value, origin)


def _unmet(each: DeclaredOption, options: Any) -> Iterator[str]:
    """What an option needs and doesn't find."""
    name = each.name
    if not differs(getattr(options, name), each.default):
        return
    for need in each.option.needs:
        if isinstance(need, str):
            words, present, got = need, bool(getattr(options, need)), None
        else:
            words, present, got = need.words, need.present(options), need.got
        if not present and got is None:
            yield f"{name}: has no effect without {words}; give that too or leave {name} out"
        elif not present and got is not None:
            yield f"{name}: needs {words}, got {got(options)}"
