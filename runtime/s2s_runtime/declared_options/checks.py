"""Whether options are what their declaration says: types, ranges, choices, and what has no effect without another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, TypeGuard, get_args, get_origin

from s2s_runtime.declared_options.declared import DeclaredOption, changed, declared, differs, type_name
from s2s_runtime.spelling import shown


def option_problems(options: Any) -> list[str]:
    """Return what is wrong with an instance of a dataclass of options, one line for each problem.

    Only values that differ from the defaults are checked: checking all of them takes as long as writing some tokens.
    What an option needs is checked only where all values are right by themselves. Numbers of other types, such as
    numpy's, become Python's own: those overflow, and round, as what is computed with them wouldn't.
    """
    given = changed(options)
    if not given:
        return []
    known = declared(options.__class__)
    own = [known[name] for name in given if name in known]
    problems = [value_problem(declaration, getattr(options, declaration.name)) for declaration in own]
    if wrong := [problem for problem in problems if problem]:
        return wrong
    for declaration in own:
        _make_plain(options, declaration.name)
    return [need for option in own for need in _unmet(option, options)]


def _make_plain(options: Any, name: str) -> None:
    """Let an option hold a number of Python's own where it holds another."""
    value = getattr(options, name)
    if isinstance(value, Real) and not isinstance(value, int | float):
        plain = int(value) if isinstance(value, Integral) else float(value)
        object.__setattr__(options, name, plain)  # options are frozen for everybody else


def verb_problems(options: Any, verb: str) -> list[str]:
    """Return the options asked for that a verb can't serve, one line for each problem."""
    refused = (option for option in declared(options.__class__).values() if verb in option.option.not_for)
    asked = ((declaration, getattr(options, declaration.name)) for declaration in refused)
    return [
        f"{declaration.name}: expected {declaration.default} for {verb}, got {shown(value)}"
        for declaration, value in asked
        if differs(value, declaration.default)
    ]


def value_problem(declaration: DeclaredOption, value: Any, name: str = "") -> str:
    """Return what is wrong with a value of an option by itself, or "" where nothing is.

    Args:
        declaration: the option.
        value: what was given for it.
        name: what a message calls it; by default its name.
    """
    if value is None and declaration.optional:
        return ""
    expected, allowed = expectation(declaration)
    return "" if allowed(value) else f"{name or declaration.name}: expected {expected}, got {shown(value)}"


def expectation(declaration: DeclaredOption) -> tuple[str, Callable[[Any], bool]]:
    """Return which values an option takes, in words and as a test."""
    kinds = [_kind(hint, declaration) for hint in declaration.types]
    words = declaration.option.expected or " or ".join(words for words, _ in kinds)
    return words, declaration.option.allowed or (lambda value: any(test(value) for _, test in kinds))


def is_integer(value: object) -> bool:
    """Return whether a value is an integer; numpy's integers are, truth values aren't."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether a value is a finite number; numpy's numbers may be, truth values aren't."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def has_items(value: object) -> TypeGuard[Iterable[Any]]:
    """Return whether there is anything to go through in a value.

    Its type doesn't tell: an array without an axis, and a tensor of a model to be built, only say so when asked.
    """
    try:
        iter(value)  # type: ignore[call-overload]
    except (TypeError, NotImplementedError):
        return False
    return True


def is_list(value: object) -> bool:
    """Return whether a value is a list, a tuple or an array; a text isn't, nor are bytes."""
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


def _kind(hint: Any, declaration: DeclaredOption) -> tuple[str, Callable[[Any], bool]]:
    """Return one alternative of a type, in words and as a test."""
    option, origin = declaration.option, get_origin(hint) or hint
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


def _unmet(declaration: DeclaredOption, options: Any) -> Iterator[str]:
    """Yield what an option needs and the others don't give, one line for each problem."""
    name = declaration.name
    if not differs(getattr(options, name), declaration.default):
        return
    for need in declaration.option.needs:
        if isinstance(need, str):
            words, present, got = need, bool(getattr(options, need)), None
        else:
            words, present, got = need.words, need.present(options), need.got
        if not present and got is None:
            yield f"{name}: has no effect without {words}; give that too or leave {name} out"
        elif not present and got is not None:
            yield f"{name}: needs {words}, got {got(options)}"
