"""Reading the ids of many texts, where nothing is to be said of any of them."""

from __future__ import annotations

from collections.abc import Callable

from s2s_runtime.vocabulary.vocabulary import Vocabulary


def known_ids(vocabulary: Vocabulary) -> Callable[[str], list[int | None]]:
    """Return a function that gives the ids of a text's symbols, None for those that the vocabulary lacks.

    It gives what `Vocabulary.symbol_ids` does, the symbols aside. Where a text is only cut, it does nothing else.
    """
    changes = vocabulary.lowercase or vocabulary.normalization or vocabulary.removed or vocabulary.separators
    id_of = vocabulary._ids.get  # `id_of` would be a call more for each symbol, which takes as long as all else
    if vocabulary.unit == "symbol" and not changes:
        return lambda text: list(map(id_of, text.split()))
    if vocabulary.unit == "char" and not changes:
        return lambda text: list(map(id_of, text))
    return lambda text: vocabulary.symbol_ids(text)[1]
