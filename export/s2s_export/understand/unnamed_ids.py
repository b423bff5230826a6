"""Ids that a vocabulary has no symbol for: a model's layers may be wider than the symbols of its author."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyError


def with_names(symbols: Mapping[int, str], size: int | None = None) -> tuple[str, ...]:
    """Return the symbol of each id, `<id>` where it has none.

    Args:
        symbols: those that are known, by their ids from 0.
        size: how many ids there are; None = up to the largest one known.

    Raises:
        VocabularyError: the size is not given, and most ids would have none.
    """
    if size is None:
        size = max(symbols) + 1
        if size > 2 * len(symbols) + 100:
            raise VocabularyError(
                f"ids go up to {size - 1}, but only {len(symbols)} have symbols; expected one for each id"
            )
    taken = set(symbols.values())
    return tuple(symbols[i] if i in symbols else free_name(f"<{i}>", taken) for i in range(size))


def free_name(name: str, taken: Set[str]) -> str:
    """Return the name, in more brackets where it is an ordinary symbol already."""
    while name in taken:
        name = f"<{name}>"
    return name


def widened(vocabulary: Vocabulary | None, size: int | None) -> Vocabulary | None:
    """Return a vocabulary with a name for each of the ids that a model has; as it is where it has as many."""
    if vocabulary is None or size is None or len(vocabulary) >= size:
        return vocabulary
    return replace(vocabulary, symbols=with_names(dict(enumerate(vocabulary.symbols)), size))
