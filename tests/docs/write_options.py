"""Writes what is made of declared options and stands in files: `make tables`.

The `TypedDict` of keyword arguments, which type checkers read and can't derive, and the tables of the guide. A test
tells when this has to be run again.
"""

import ast
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from page_tables import with_table

from s2s_runtime.declared_options.declared import DeclaredOption, declared, taken_by
from s2s_runtime.declared_options.docs import class_source, expected, meaning, shown_default
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import BEAM_GRAPH, GREEDY_GRAPH

ROOT = Path(__file__).parents[2]
VALUES = ROOT / "runtime" / "s2s_runtime" / "options" / "values.py"
GUIDE = ROOT / "docs" / "decoding.md"
_HEAD = '''\
"""Decoding options as keyword arguments, for type checkers and editors.

Written by `make tables` from the declarations beside it: change those, and run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from s2s_runtime.options.types import (
    AllowedNext,
    BatchUnit,
    Callback,
    CancelSignal,
    Engine,
    ErrorPolicy,
    LanguageModel,
    LengthPenaltyKind,
    LexiconOutputs,
    LexiconUse,
    LogitsProcessor,
    LongPolicy,
    Phrase,
    Prefix,
    Token,
    UnknownPolicy,
    Utility,
)
'''


def values_module() -> str:
    """The module of the two TypedDicts."""
    every = typed_dict(
        "OptionValues", "The fields of `DecodingOptions`; all may be left out.", tuple(declared(DecodingOptions))
    )
    scoring = typed_dict(
        "ScoreValues",
        "The decoding options that apply to `Model.score`, with the meanings and defaults of `DecodingOptions`.",
        taken_by(DecodingOptions, "score"),
    )
    return f"{_HEAD}\n\n{every}\n\n{scoring}"


def typed_dict(name: str, summary: str, names: Sequence[str]) -> str:
    """A TypedDict of some options, with their types as they are written and their meanings."""
    hints = annotations(DecodingOptions)
    lines = [f"class {name}(TypedDict, total=False):", f'    """{summary}"""', ""]
    for each in names:
        lines += [f"    {each}: {hints[each]}", *docstring(meaning(DecodingOptions)[each]), ""]
    return "\n".join(lines)


def docstring(text: str) -> list[str]:
    """The lines of the docstring of a field."""
    indent = " " * 4
    return textwrap.wrap(f'"""{text}"""', 120, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def annotations(kind: type) -> dict[str, str]:
    """The types of the options of a class as they are written, the metadata left out."""
    found = {}
    for base in reversed(kind.__mro__):
        node = class_source(base)
        for field in [] if node is None else node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.annotation, ast.Subscript):
                found[ast.unparse(field.target)] = ast.unparse(field.annotation.slice.elts[0])
    return found


def options() -> str:
    """One row for each option."""
    meanings = meaning(DecodingOptions)
    rows = [
        f"| `{name}` | {_cell(expected(each))}; default: `{shown_default(each)}` | {_cell(meanings[name])} |"
        for name, each in declared(DecodingOptions).items()
    ]
    return "\n".join(["| option | values | meaning |", "| --- | --- | --- |", *rows])


def engines() -> str:
    """One row for each option that an engine can't serve."""
    rows = [
        f"| `{name}` | {_without(each, GREEDY_GRAPH)} | {_without(each, BEAM_GRAPH)} |"
        for name, each in declared(DecodingOptions).items()
        if each.option.engines
    ]
    return "\n".join(["| option | greedy search | beam search |", "| --- | --- | --- |", *rows])


def _without(each: DeclaredOption, engine: str) -> str:
    return "" if engine in each.option.engines else "step by step"


def names() -> str:
    """One row for each option that another library has too."""
    libraries = ("CTranslate2", "fairseq", "Hugging Face")
    rows = [f"| here | {' | '.join(libraries)} |", "| --- " * (len(libraries) + 1) + "|"]
    for name, each in declared(DecodingOptions).items():
        theirs = [each.option.elsewhere.get(library, "") for library in libraries]
        if any(theirs):
            rows.append(f"| `{name}` | {' | '.join(map(_code, theirs))} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    """A text as a cell of a table; what stands in backticks is as it should be."""
    parts = text.replace("|", r"\|").split("`")
    parts[::2] = [re.sub(r"([*_<])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _code(theirs: str) -> str:
    """Names in another library; what stands in brackets is no name."""
    names = (name.partition(" (") for name in theirs.split(", ") if name)
    return ", ".join(f"`{name}`{bracket}{note}" for name, bracket, note in names)


TABLES: Sequence[Callable[[], str]] = (options, engines, names)


def guide(text: str) -> str:
    """The page of the guide with all tables as they have to be."""
    for table in TABLES:
        text = with_table(text, table)
    return text


if __name__ == "__main__":
    VALUES.write_text(values_module(), encoding="utf-8")
    GUIDE.write_text(guide(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
