"""Telling apart what callers give: lists of texts or ids, arrays, columns of tables, and what is none of these.

Known by what they can do, not by their types: nothing of pandas, polars or Arrow is imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import Any, Final

import numpy as np

from s2s_runtime.declared_options.checks import has_items
from s2s_runtime.errors import InputError
from s2s_runtime.spelling import shown

_TEXT_KINDS: Final = "UTO"  # numpy's fixed and variable strings, and Python objects
_MASKED: Final = "got a masked array, whose masked values would be read; give array.filled(the padding id)"
_TO_LIST: Final = ("to_pylist", "to_list")  # of an Arrow array, of a column of pandas or polars


def rows_in(given: object, label: str = "inputs") -> list[Any] | np.ndarray[Any, Any]:
    """Return the rows of what was given for one input of the encoder: an array of numbers as it is, all else as a list.

    Args:
        given: a list or any other iterable; an array; a column of texts or of lists (pandas, polars, Arrow).
        label: what messages call it.

    Raises:
        InputError: one text, bytes, a table, a set, a mapping, a masked array, or nothing with rows.
    """
    if type(given) is list:
        return given.copy()
    refuse_unlisted(given, label)
    if isinstance(given, np.ndarray):
        texts = given.dtype.kind in _TEXT_KINDS and given.ndim == 1
        return given.tolist() if texts else given
    column = next((getattr(given, name) for name in _TO_LIST if callable(getattr(given, name, None))), None)
    if column is not None and getattr(given, "ndim", 1) == 1:
        return list(column())
    return list(given)  # type: ignore[call-overload, no-any-return]


def refuse_unlisted(given: object, label: str) -> None:
    """Refuse what has no rows, or whose rows aren't what a caller means.

    Raises:
        InputError: says which and what to give.
    """
    if isinstance(given, str):
        raise InputError(f"{label}: expected a list of texts, got one text {shown(given)}; put it in a list")
    refuse_bytes(given, label)
    if is_table(given):
        names: Any = getattr(given, "column_names", None) or getattr(given, "columns", ())
        name = next(iter(names), "text")
        raise InputError(
            f"{label}: expected a list, an array or a column, got a table ({_type(given)}); give a column of it, "
            f"such as table[{name!r}]"
        )
    if _is_masked(given):
        raise InputError(f"{label}: expected a list, an array or a column, {_MASKED}")
    if isinstance(given, Set):
        raise InputError(f"{label}: expected a list, got a {_type(given)}, which has no order; give sorted(...)")
    if isinstance(given, Mapping):
        raise InputError(f"{label}: expected a list, got a mapping of {len(given)} names; give the rows of one of them")
    if not has_items(given):
        raise InputError(f"{label}: expected a list, an array or a column, got {_short(given)}")


def refuse_bytes(given: object, label: str) -> None:
    """Refuse bytes, which are neither a text nor ids, although Python gives their values as numbers.

    Raises:
        InputError: bytes were given.
    """
    problem = _bytes_problem(given)
    if problem:
        raise InputError(f"{label}: expected a list, an array or a column, {problem}")


def is_table(given: object) -> bool:
    """Return whether something has named columns, as the tables of pandas, polars and Arrow have."""
    if isinstance(given, Mapping):
        return False
    return hasattr(given, "column_names") or (hasattr(given, "columns") and hasattr(given, "shape"))


def row_in(given: object) -> object:
    """Return a row as it is, or as Python has it where it is a value of an Arrow array.

    Raises:
        InputError: bytes, a masked array, or a missing value; says what was got, not which row nor what was expected.
    """
    if isinstance(given, str | list) or type(given) is np.ndarray:
        return given
    if hasattr(given, "as_py"):
        return row_in(given.as_py())
    problem = _bytes_problem(given) or (_MASKED if _is_masked(given) else "")
    if problem:
        raise InputError(problem)
    if given is None or (isinstance(given, float) and math.isnan(given)) or _type(given) in ("NAType", "NaTType"):
        raise InputError(f"got a missing value ({given!r}); fill it or leave it out")
    if isinstance(given, Set | Mapping):
        raise InputError(f"got {_short(given)}")
    return given


def _is_masked(given: object) -> bool:
    # np.ma is imported when it is named, which takes as long as reading a bundle: not for what can't be one
    return isinstance(given, np.ndarray) and type(given) is not np.ndarray and isinstance(given, np.ma.MaskedArray)


def _bytes_problem(given: object) -> str:
    if not isinstance(given, bytes | bytearray | memoryview):
        return ""
    return f'got {_type(given)}; a text: bytes(...).decode("utf-8"), ids of one byte each: list(...)'


def _type(given: object) -> str:
    return type(given).__name__


def _short(given: object) -> str:
    words = repr(given)
    return f"{_type(given)} {words if len(words) < 40 else words[:36] + '...'}"
