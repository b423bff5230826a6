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
    given: Sequence[Any] = texts if name == "chrf" else tokens
    utility = _UTILITIES[name]
    expected = [sum(share * utility(one, other) for share, other in zip(shares, given, strict=True)) for one in given]
    return [items[index] for index in sorted(range(len(items)), key=lambda index: -expected[index])]


def sentence_bleu(hypothesis: Sequence[Any], reference: Sequence[Any]) -> float:
    """Return BLEU of a hypothesis against one reference, from 0 to 1; counts of two and more tokens have 1 added.

    Those are the counts of Lin and Och (2004), so that short sequences without a common 4-gram are told apart.
    """
    if not hypothesis or not reference:
        return float(list(hypothesis) == list(reference))
    logs = 0.0
    for order in range(1, _BLEU_ORDER + 1):
        own, common = _common(hypothesis, reference, order)[::2]
        added = int(order > 1)
        if common + added == 0:
            return 0.0
        logs += math.log((common + added) / (own + added))
    brevity = min(0.0, 1 - len(reference) / len(hypothesis))
    return math.exp(brevity + logs / _BLEU_ORDER)


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """Return chrF of a text against one reference, from 0 to 1: up to 6 characters, recall twice as heavy (Popović)."""
    one, other = "".join(hypothesis.split()), "".join(reference.split())
    if not one or not other:
        return float(one == other)
    counts = [_common(one, other, order) for order in range(1, _CHRF_ORDER + 1)]
    usable = [(common / own, common / theirs) for own, theirs, common in counts if own and theirs]
    precision, recall = (sum(column) / len(usable) for column in zip(*usable, strict=True))
    if precision + recall == 0:
        return 0.0
    factor = _CHRF_BETA**2
    return float((1 + factor) * precision * recall / (factor * precision + recall))


def token_accuracy(hypothesis: Sequence[int], reference: Sequence[int]) -> float:
    """Return 1 less the edit distance as a share of the longer sequence."""
    longest = max(len(hypothesis), len(reference))
    return 1.0 - edit_distance(list(hypothesis), list(reference)) / longest if longest else 1.0


def _common(one: Sequence[Any], other: Sequence[Any], order: int) -> tuple[int, int, int]:
    """Return how many n-grams of an order each has, and how many of them are common."""
    own, theirs = (Counter(tuple(x[i : i + order]) for i in range(len(x) - order + 1)) for x in (one, other))
    return own.total(), theirs.total(), (own & theirs).total()


_UTILITIES: Final[Mapping[Utility, Callable[[Any, Any], float]]] = {
    "bleu": sentence_bleu,
    "chrf": sentence_chrf,
    "edit_distance": token_accuracy,
}
