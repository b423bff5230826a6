"""Minimum Bayes risk: of several hypotheses, the one that is most like all of them, by how probable each is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from s2s_runtime.error_rates import edit_distance
from s2s_runtime.options.types import Utility

_Item = TypeVar("_Item")
_Counts = list[Counter[tuple[Any, ...]]]
_BLEU_ORDER: Final = 4
_CHRF_ORDER: Final = 6
_CHRF_BETA: Final = 2


def by_utility(
    items: Sequence[_Item],
    texts: Sequence[str],
    tokens: Sequence[Sequence[int]],
    weights: Sequence[float],
    name: Utility,
) -> list[_Item]:
    """Return items, the one of highest expected utility first; of equal ones, the one that came first.

    The expected utility of a hypothesis is the mean of its utility against each, itself too, weighted by their shares
    of the probability.

    Args:
        items: what is put in order, one for each hypothesis.
        texts: of the hypotheses.
        tokens: their ids, without an end token.
        weights: their log-probabilities.
        name: of the utility.
    """
    shares = np.exp(np.array(weights, np.float64) - max(weights))
    shares /= shares.sum()
    prepare, utility = _UTILITIES[name]
    given: Sequence[Any] = texts if name == "chrf" else tokens
    prepared = [prepare(hypothesis) for hypothesis in given]
    expected = [
        sum(share * utility(one, other) for share, other in zip(shares, prepared, strict=True)) for one in prepared
    ]
    return [items[index] for index in sorted(range(len(items)), key=lambda index: -expected[index])]


def sentence_bleu(hypothesis: Sequence[Any], reference: Sequence[Any]) -> float:
    """Return BLEU of a hypothesis against one reference, from 0 to 1; counts of two and more tokens have 1 added.

    Those are the counts of Lin and Och (2004), so that short sequences without a common 4-gram are told apart.
    """
    return _bleu(_bleu_counts(hypothesis), _bleu_counts(reference))


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """Return chrF of a text against one reference, from 0 to 1: up to 6 characters, recall twice as heavy (Popović)."""
    return _chrf(_chrf_counts(hypothesis), _chrf_counts(reference))


def _counts(items: Sequence[Any], longest: int) -> _Counts:
    """Return how often each n-gram occurs, for each order up to the longest."""
    whole = tuple(items)
    return [Counter(whole[i : i + n] for i in range(len(whole) - n + 1)) for n in range(1, longest + 1)]


def _bleu_counts(tokens: Sequence[Any]) -> _Counts:
    return _counts(tokens, _BLEU_ORDER)


def _chrf_counts(text: str) -> _Counts:
    return _counts("".join(text.split()), _CHRF_ORDER)


def _bleu(hypothesis: _Counts, reference: _Counts) -> float:
    lengths = hypothesis[0].total(), reference[0].total()
    if not all(lengths):
        return float(not any(lengths))
    logs = 0.0
    for order, (own, theirs) in enumerate(zip(hypothesis, reference, strict=True), 1):
        common, added = (own & theirs).total(), int(order > 1)
        if common + added == 0:
            return 0.0
        logs += math.log((common + added) / (own.total() + added))
    brevity = min(0.0, 1 - lengths[1] / lengths[0])
    return math.exp(brevity + logs / _BLEU_ORDER)


def _chrf(hypothesis: _Counts, reference: _Counts) -> float:
    if not hypothesis[0] or not reference[0]:
        return float(hypothesis == reference)
    usable = [(own, theirs) for own, theirs in zip(hypothesis, reference, strict=True) if own and theirs]
    common = [(own & theirs).total() for own, theirs in usable]
    precision = sum(c / own.total() for c, (own, _) in zip(common, usable, strict=True)) / len(usable)
    recall = sum(c / theirs.total() for c, (_, theirs) in zip(common, usable, strict=True)) / len(usable)
    if precision + recall == 0:
        return 0.0
    factor = _CHRF_BETA**2
    return float((1 + factor) * precision * recall / (factor * precision + recall))


def token_accuracy(hypothesis: Sequence[int], reference: Sequence[int]) -> float:
    """Return 1 less the edit distance as a share of the longer sequence."""
    longest = max(len(hypothesis), len(reference))
    return 1.0 - edit_distance(list(hypothesis), list(reference)) / longest if longest else 1.0


# what is made of each hypothesis once, and what compares two of those
_UTILITIES: Final[Mapping[Utility, tuple[Callable[[Any], Any], Callable[[Any, Any], float]]]] = {
    "bleu": (_bleu_counts, _bleu),
    "chrf": (_chrf_counts, _chrf),
    "edit_distance": (list, token_accuracy),
}
