"""Names of keyword arguments that nobody has: the nearest one that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from s2s_runtime.declared_options.declared import declared, defaults
from s2s_runtime.errors import UnknownOptionError
from s2s_runtime.spelling import did_you_mean

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def known_keywords(function: Callable[Given, Returned], options: type | None = None) -> Callable[Given, Returned]:
    """The function, which names the nearest keyword argument where it gets one that it doesn't have.

    Args:
        function: takes keyword arguments.
        options: the dataclass whose fields it takes as keyword arguments besides.

    Raises:
        UnknownOptionError: when called so; a TypeError too, as calls of other functions raise.
    """
    code = function.__code__
    own = frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    @wraps(function)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        if kwargs:
            fields = () if options is None else defaults(options)
            for name in kwargs:
                if name not in own and name not in fields:
                    raise UnknownOptionError(unknown_name(name, _called(function), {*own, *fields} - {"self"}, options))
        return function(*args, **kwargs)

    return checked


def takes_options(options: type) -> Callable[[Callable[Given, Returned]], Callable[Given, Returned]]:
    """`known_keywords` as a decorator of what takes the fields of a class of options as keyword arguments."""
    return lambda function: known_keywords(function, options)


def unknown_name(name: str, owner: str, names: Iterable[str], options: type | None = None) -> str:
    """What to say of a name that nobody has: the nearest one, or that of what another library calls so.

    Args:
        name: as given.
        owner: what was given it.
        names: that it has.
        options: a class of options that say what others call them.
    """
    said = f"{name}: no such option of {owner}"
    for known, each in () if options is None else declared(options).items():
        others = [library for library, theirs in each.option.elsewhere.items() if name in _python_names(theirs)]
        if others:
            return f"{said}; what {others[0]} calls {name} is {known} here"
    every = sorted(names)
    listed = f"; help({options.__name__}) lists them" if options else f"; it has {', '.join(every)}"
    return said + (did_you_mean(name, every) or listed)


def _python_names(theirs: str) -> list[str]:
    """Names in another library, such as `--max-len-a, --max-len-b`, as keyword arguments would be written."""
    return [each.strip().lstrip("-").replace("-", "_") for each in theirs.split(",")]


def _called(function: Callable[..., Any]) -> str:
    owner, _, name = function.__qualname__.rpartition(".")
    return owner if name == "__init__" else name
