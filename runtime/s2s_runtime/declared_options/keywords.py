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
    """Return the function with better errors: for a keyword argument that it lacks, it names the nearest that it has.

    Args:
        function: takes keyword arguments.
        options: the dataclass whose fields it takes as keyword arguments besides.

    Raises:
        UnknownOptionError: it is called with such an argument; also a TypeError, as calls of other functions raise.
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
    """Return `known_keywords` as a decorator for functions that take the fields of a class of options."""
    return lambda function: known_keywords(function, options)


def unknown_name(name: str, owner: str, names: Iterable[str], options: type | None = None) -> str:
    """Return a message about a name that doesn't exist: it names the nearest one, or what another library calls so.

    Args:
        name: as given.
        owner: what was called with it.
        names: the names that it has.
        options: a class of options that say what others call them.
    """
    said = f"{name}: no such option of {owner}"
    for known, declaration in () if options is None else declared(options).items():
        others = [library for library, theirs in declaration.option.elsewhere.items() if name in _python_names(theirs)]
        if others:
            return f"{said}; what {others[0]} calls {name} is {known} here"
    every = sorted(names)
    listed = f"; help({options.__name__}) lists them" if options else f"; it has {', '.join(every)}"
    return said + (did_you_mean(name, every) or listed)


def _python_names(theirs: str) -> list[str]:
    """Return names of another library, such as `--max-len-a, --max-len-b`, as keyword arguments would be written."""
    return [flag.strip().lstrip("-").replace("-", "_") for flag in theirs.split(",")]


def _called(function: Callable[..., Any]) -> str:
    owner, _, name = function.__qualname__.rpartition(".")
    return owner if name == "__init__" else name
