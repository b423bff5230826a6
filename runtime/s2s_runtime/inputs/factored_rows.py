"""Rows of a bundle whose texts have factors: a text says what several inputs of the encoder read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import InputError
from s2s_runtime.options.types import UnknownPolicy
from s2s_runtime.vocabulary.factors import FactoredVocabulary, Units
from s2s_runtime.vocabulary.vocabulary import Vocabulary

Source = NDArray[Any]
ReadUnits = tuple[Source, list[str], tuple[Source, ...]]


def factored(vocabulary: Vocabulary | None) -> FactoredVocabulary:
    """Return a vocabulary of which it is known that it has factors."""
    return cast("FactoredVocabulary", vocabulary)


def expected_names(given: Any, manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the sources that a mapping, or rows that are listed, are expected to have.

    Factors are among these where the caller gives them as ids; else they stand in the texts.
    """
    first = given if isinstance(given, Mapping) else given[0] if len(given) else None
    has_factors = isinstance(first, Mapping) and not first.keys().isdisjoint(manifest.factor_names)
    return manifest.source.names if has_factors else manifest.given_names


def read_text(vocabulary: Vocabulary | None, text: str, policy: UnknownPolicy | None) -> ReadUnits:
    """Return the ids of a text, those of its factors, and what the vocabulary lacks.

    Raises:
        InputError: a word has more factors or fewer.
        UnknownSymbolError: the vocabulary lacks a symbol or a factor, which is not to be replaced or left out.
    """
    return read_units(vocabulary, factored(vocabulary).units(text), policy, text)


def read_units(vocabulary: Vocabulary | None, units: Units, policy: UnknownPolicy | None, text: str) -> ReadUnits:
    """Return the same of a part of a text."""
    ids, factors, missing = factored(vocabulary).resolve_units(units, policy, text)
    return np.array(ids, np.int64), missing, tuple(np.array(own, np.int64) for own in factors)


def beside_units(
    index: int, factors: Sequence[Source], others: Mapping[str, Source], manifest: Manifest
) -> tuple[Source, ...]:
    """Return what the encoder reads beside the first source, in the bundle's order.

    Args:
        index: of the row.
        factors: ids of each factor, where the row is a text; else none.
        others: what the caller gave beside the first source, by name.
        manifest: of the bundle.

    Raises:
        InputError: factors are there twice, or not at all.
    """
    vocabulary = factored(manifest.source_vocabulary)
    is_twice = not others.keys().isdisjoint(vocabulary.factor_names)
    if is_twice == bool(factors):
        own = ", ".join(f"{name!r}: [...]" for name in (manifest.source.name, *vocabulary.factor_names))
        problem = "factors both in the text and beside it" if is_twice else "ids without their factors"
        raise InputError.at("inputs", index, f"expected words as {vocabulary.form!r}, or ids {{{own}}}; got {problem}")
    given = {**others, **dict(zip(vocabulary.factor_names, factors, strict=False))}
    return tuple(given[other.name] for other in manifest.source.others)
