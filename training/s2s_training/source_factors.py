"""Source factors of a run: how its texts are cut, and what the numbers of their symbols are.

Until a vocabulary is made a symbol of the source and its factors are one text, with line feeds between, which no symbol
holds: such a unit is counted and numbered as other symbols are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.vocabulary.factors import Factor, FactoredVocabulary, own_fields
from s2s_runtime.vocabulary.vocabulary import Vocabulary
from s2s_training.config.data import DataConfig

_BETWEEN: Final = "\n"
_UNKNOWN: Final = "<unk>"
Unit = int | tuple[int, ...]
"""The id of a symbol, or with factors its id and those of its factors."""


def factor_name(number: int) -> str:
    """Return the name of the model's input that reads a factor; factors are counted from 1."""
    return f"factor_{number}"


def with_factors(cutter: Vocabulary, data: DataConfig) -> Vocabulary:
    """Return what cuts the sources of a run, given what cuts their words; itself where they have no factors."""
    if not data.source_factors:
        return cutter
    numbers = range(1, data.source_factors + 1)
    factors = (Factor("symbol", (_UNKNOWN,), unknown=_UNKNOWN, name=factor_name(number)) for number in numbers)
    return FactoredVocabulary(**own_fields(cutter), factors=tuple(factors), separator=data.factor_separator)


def source_check(data: DataConfig) -> Callable[[str], object] | None:
    """Return what raises an InputError where a word of a source lacks a factor; None where words have none."""
    cutter = _word_cutter(data)
    return cutter.split if isinstance(cutter, FactoredVocabulary) else None


def without_factors(texts: Sequence[str], data: DataConfig) -> Sequence[str]:
    """Return the words of each source."""
    cutter = _word_cutter(data)
    return list(map(cutter.without_factors, texts)) if isinstance(cutter, FactoredVocabulary) else texts


def _word_cutter(data: DataConfig) -> Vocabulary:
    """Return what cuts sources into words, whatever a run cuts these into."""
    return with_factors(Vocabulary("symbol", (_UNKNOWN,), unknown=_UNKNOWN), data)


def cut_units(vocabulary: Vocabulary, text: str) -> list[str]:
    """Return the symbols of a text, with their factors where these stand in it.

    What a sentencepiece model doesn't know is the unknown symbol, where the vocabulary has all pieces.
    """
    if not isinstance(vocabulary, FactoredVocabulary):
        return vocabulary.split(text)
    symbols, ids, factors = vocabulary.units(text)
    if vocabulary.model is not None:
        symbols = [_UNKNOWN if token is None else symbol for symbol, token in zip(symbols, ids, strict=True)]
    return [_BETWEEN.join((symbol, *beside)) for symbol, beside in zip(symbols, factors, strict=True)]


def counts_apart(counts: Counter[str], factors: int) -> list[Counter[str]]:
    """Return how often each symbol occurs, then each symbol of every factor, from the counts of units."""
    apart = [Counter[str]() for _ in range(1 + factors)]
    for unit, count in counts.items():
        for counter, part in zip(apart, unit.split(_BETWEEN) if factors else (unit,), strict=True):
            counter[part] += count
    return apart


def shown_unit(unit: str, vocabulary: Vocabulary) -> str:
    """Return a unit as it stands in a text."""
    return unit.replace(_BETWEEN, vocabulary.separator) if isinstance(vocabulary, FactoredVocabulary) else unit


def unit_ids(units: Sequence[str], vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Return the id in a vocabulary of each unit, (units,) int32; -1 of one that it has no id for.

    Where it has factors: (units, 1 + factors), the symbol's id first.
    """
    if not isinstance(vocabulary, FactoredVocabulary):
        return np.array([_id(vocabulary, unit) for unit in units], np.int32)
    columns = (vocabulary, *vocabulary.factors)
    rows = [[_id(*pair) for pair in zip(columns, unit.split(_BETWEEN), strict=True)] for unit in units]
    return np.array(rows, np.int32).reshape(-1, len(columns))


def encode_units(vocabulary: Vocabulary, text: str) -> list[Unit]:
    """Return the ids that a model reads for a text; with factors, a tuple for each symbol."""
    if not isinstance(vocabulary, FactoredVocabulary):
        return list(vocabulary.encode_sentence(text))
    ids, factors, _ = vocabulary.look_up_units(text)
    return list(zip(ids, *factors, strict=True))


def _id(vocabulary: Vocabulary, symbol: str) -> int:
    known = vocabulary.id_of(symbol)
    unknown = -1 if vocabulary.unknown_id is None else vocabulary.unknown_id
    return unknown if known is None else known
