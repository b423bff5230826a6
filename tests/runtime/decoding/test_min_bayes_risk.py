"""Minimum Bayes risk: expected utilities by enumeration, utilities by others' implementations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sacrebleu

from s2s_runtime import Model, OptionError
from s2s_runtime.decoding.min_bayes_risk import sentence_bleu, sentence_chrf


def edits(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Edit distance by its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(edits(one[1:], other) + 1, edits(one, other[1:]) + 1, edits(one[1:], other[1:]) + (one[0] != other[0]))


def bleu(one: str, other: str) -> float:
    """BLEU of sacrebleu, counts smoothed by 1."""
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="add-k", smooth_value=1, effective_order=True)
    return float(metric.sentence_score(one, [other]).score) / 100


def test_utilities_are_those_of_sacrebleu() -> None:
    """Over random sequences of few symbols, so that n-grams of all orders match and fail to."""
    random = np.random.default_rng(0)
    for _ in range(300):
        one, other = ("".join(random.choice(list("ab c"), random.integers(1, 12))).strip() or "a" for _ in range(2))
        expected = sacrebleu.sentence_chrf(one, [other]).score / 100
        assert sentence_chrf(one, other) == pytest.approx(expected, abs=1e-9), (one, other)
        tokens = list(one.replace(" ", "d")), list(other.replace(" ", "d"))
        assert sentence_bleu(*tokens) == pytest.approx(bleu(*map(" ".join, tokens)), abs=1e-9), tokens


@pytest.mark.parametrize("utility", ["edit_distance", "bleu", "chrf"])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_is_that_of_enumeration(random_model: Callable[..., Model], utility: Any, seed: int) -> None:
    """A beam that holds every output: all probabilities, all utilities; the order is that of the expected ones."""
    model = random_model(seed, 4, scale=1.0, max_length=3)
    options = {"beam_size": 40, "num_hypotheses": 40, "patience": 2.0, "length_penalty": 0.5}
    [plain] = model.generate([[3]], **options)
    [ranked] = model.generate([[3]], min_bayes_risk=utility, **options)
    ids = [tuple(h.ids) for h in plain.hypotheses]
    assert len(ids) == 1 + 2 + 4 + 8
    totals = [
        score.log_probability for score in (model.score([[3]], [list(each)], add_end=len(each) < 3)[0] for each in ids)
    ]
    shares = np.exp(totals) / np.exp(totals).sum()

    def like(one: tuple[int, ...], other: tuple[int, ...]) -> float:
        if one == other:
            return 1.0
        if not one or not other:
            return 0.0
        if utility == "edit_distance":
            return 1 - edits(one, other) / max(len(one), len(other))
        texts = [" ".join(map(str, each)) for each in (one, other)]
        return bleu(*texts) if utility == "bleu" else sacrebleu.sentence_chrf(texts[0], [texts[1]]).score / 100

    expected = {one: sum(share * like(one, other) for share, other in zip(shares, ids, strict=True)) for one in ids}
    found = [expected[tuple(h.ids)] for h in ranked.hypotheses]
    assert sorted(map(tuple, ids)) == sorted(tuple(h.ids) for h in ranked.hypotheses)
    assert found == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-6)
    assert {tuple(h.ids): h.score for h in ranked.hypotheses} == {tuple(h.ids): h.score for h in plain.hypotheses}


def test_samples_are_put_in_order_too(tiny: Model) -> None:
    """Alone as in company; and one source after a state gives the same."""
    options: dict[str, Any] = {"sampling_temperature": 2.0, "num_hypotheses": 6, "seed": 2, "min_bayes_risk": "chrf"}
    together = tiny.generate(["abcde", "bad", "e"], **options)
    assert together[1].to_dict() == tiny.generate(["bad"], **options)[0].to_dict()
    assert tiny.generate_from(tiny.encode(["bad"]), **options)[0].ids == together[1].ids
    del options["min_bayes_risk"]
    assert {h.text for h in together[1].hypotheses} == {h.text for h in tiny.generate(["bad"], **options)[0].hypotheses}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_bayes_risk": "ter"}, "min_bayes_risk: expected 'bleu' or 'chrf' or 'edit_distance', got 'ter'"),
        ({"min_bayes_risk": "bleu"}, "min_bayes_risk: needs num_hypotheses above 1, got num_hypotheses 1"),
        (
            {"min_bayes_risk": "bleu", "num_hypotheses": 2, "return_alternatives": True},
            "min_bayes_risk: can't be combined with return_alternatives",
        ),
    ],
)
def test_what_it_needs_is_said(tiny: Model, options: dict[str, Any], message: str) -> None:
    """Before anything runs."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], **options)
    assert message in str(caught.value)
