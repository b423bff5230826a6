"""The meanings of options, in words: the docstrings below the fields, and the documentation made of them."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, TypeVar, get_args, get_origin

from s2s_runtime.declared_options.checks import expectation
from s2s_runtime.declared_options.declared import MISSING, DeclaredOption, declared
from s2s_runtime.declared_options.keywords import known_keywords

Kind = TypeVar("Kind")
_SENTENCE_END = re.compile(r"(?<=[.])\s+(?=[A-Z\"-])")
_WIDTH = 100


def declares_options(kind: type[Kind]) -> type[Kind]:
    """Add to a dataclass of options its docstring and the errors of its constructor.

    Its docstring tells each option's meaning, default and bounds, for `help()` and notebooks, and a keyword argument
    that it doesn't have is an error that names the nearest one.
    """
    kind.__doc__ = _ClassDoc(kind.__doc__ or "")  # type: ignore[assignment]
    kind.__init__.__annotations__ = {name: bare(hint) for name, hint in kind.__init__.__annotations__.items()}
    kind.__init__ = known_keywords(kind.__init__, kind)  # type: ignore[method-assign]
    return kind


def bare(hint: Any) -> Any:
    """Return a type without its metadata, which nobody reads in a signature."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


class _ClassDoc:
    """A docstring that is put together when it is read: the meanings stand in the source, which takes time to read."""

    def __init__(self, summary: str) -> None:
        self._summary = summary

    def __get__(self, instance: object, kind: type) -> str:
        return class_doc(kind, self._summary)


def class_doc(kind: type, summary: str) -> str:
    """Return the docstring of a class of options, which lists each with its default, its bounds and its meaning."""
    meanings = meaning(kind)
    lines = [inspect.cleandoc(summary), "", "Options:"]
    for name, declaration in declared(kind).items():
        lines.append(f"    {name} = {shown_default(declaration)}  ({expected(declaration)})")
        lines += textwrap.wrap(meanings[name], _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)


@cache
def meaning(kind: type) -> Mapping[str, str]:
    """Return what the options of a class mean, by name: the docstrings below their fields, each on one line.

    The meanings are empty where the source isn't there.
    """
    meanings = dict.fromkeys(declared(kind), "")
    for base in reversed(kind.__mro__):
        meanings |= {name: text for name, text in _field_docs(base).items() if name in meanings}
    return meanings


@cache
def _field_docs(kind: type) -> Mapping[str, str]:
    node = class_source(kind)
    body = [] if node is None else node.body
    docs = {}
    for field, doc in pairwise(body):
        match field, doc:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
    return docs


def class_source(kind: type) -> ast.ClassDef | None:
    """Return the statement that defines a class at the outermost level of its module; None where there is no source."""
    module = sys.modules.get(kind.__module__)
    if module is None or not hasattr(module, "__file__"):
        return None
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError):  # installed without its source
        return None
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__), None)


def first_sentence(text: str) -> str:
    """Return the first sentence of a text."""
    return _SENTENCE_END.split(text, maxsplit=1)[0]


def shown_default(declaration: DeclaredOption) -> str:
    """Return the default of an option as it is written in Python."""
    return "(has to be given)" if declaration.default is MISSING else repr(declaration.default)


def expected(declaration: DeclaredOption) -> str:
    """Return the values that an option allows, in words."""
    return expectation(declaration)[0] + (", or None" if declaration.optional else "")
