"""What callers hand to a vocabulary, checked: texts, ids, symbols."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import get_args

from s2s_runtime.errors import InputError, OptionError, VocabularyError
from s2s_runtime.options.types import UnknownPolicy
from s2s_runtime.spelling import shown


def check_text(text: object) -> None:
    """Raise an InputError where this is no text."""
    if not isinstance(text, str):
        raise InputError(f"expected a text, got {shown(text)}")


def check_policy(unknown: object) -> None:
    """Raise an OptionError where this doesn't say what becomes of unknown symbols."""
    if unknown is not None and not (isinstance(unknown, str) and unknown in get_args(UnknownPolicy)):
        allowed = " or ".join(map(repr, get_args(UnknownPolicy)))
        raise OptionError(f"unknown: expected {allowed} or None, got {shown(unknown)}")


def listed_ids(ids: Iterable[int]) -> list[int]:
    """Return ids as a list of Python's integers.

    Raises:
        VocabularyError: they are none.
    """
    try:
        return list(map(operator.index, ids))
    except TypeError:
        raise VocabularyError(f"expected ids, which are integers, got {shown(ids)}") from None


def symbols_at(ids: Iterable[int], symbols: Sequence[str]) -> list[str]:
    """Return the symbol of each id.

    Raises:
        VocabularyError: an id is no integer, or there is no symbol of that number.
    """
    listed = ids if type(ids) is list else listed_ids(ids)
    try:
        found = [symbols[token] for token in listed]
    except (IndexError, TypeError):
        found = []
    if len(found) < len(listed) or min(listed, default=0) < 0:
        wrong = next(token for token in listed_ids(listed) if not 0 <= token < len(symbols))
        raise VocabularyError(f"id {wrong} is outside the vocabulary: expected 0 to {len(symbols) - 1}")
    return found


def listed_symbols(symbols: Iterable[str]) -> list[str]:
    """Return symbols as a list.

    Raises:
        InputError: one is no text.
    """
    try:
        listed = list(symbols)
    except TypeError:
        raise InputError(f"expected a list of symbols, got {shown(symbols)}") from None
    if {*map(type, listed)} - {str}:  # seldom: what a search writes is looked at every time
        wrong = [symbol for symbol in listed if not isinstance(symbol, str)]
        if wrong:
            raise InputError(f"expected symbols, which are texts, got {shown(wrong[0])}")
    return listed
