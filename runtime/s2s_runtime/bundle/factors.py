"""The factors of a source's vocabulary beside the inputs that read them."""

from __future__ import annotations

from typing import cast

from s2s_runtime.bundle.specs import SourceSpec
from s2s_runtime.vocabulary.factors import FactoredVocabulary
from s2s_runtime.vocabulary.vocabulary import Vocabulary


def factor_problems(vocabulary: Vocabulary, source: SourceSpec) -> list[str]:
    """Return where factors are none of what is read beside the source, or are read in another way, a line each."""
    others, problems = {other.name: other for other in source.others}, []
    for factor in cast("FactoredVocabulary", vocabulary).factors:
        other = others.get(factor.name)
        where = f"vocabulary.source.factors: {factor.name!r}"
        if other is None:
            names = ", ".join(map(repr, others)) or "none"
            problems.append(f"{where}: expected one of what is read beside the source ({names})")
        elif other.kind != "ids" or not other.aligned or other.known:
            problems.append(f"{where}: expected an input of ids with as many steps as the source")
        elif other.size != len(factor):
            problems.append(f"{where}: expected {other.size} symbols (its size), got {len(factor)}")
    return problems
