"""Sampling: frequencies and grids of numbers drawn, against the definitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from s2s_runtime import Model
from s2s_runtime.search.sampling import Sampler

SOURCES = ["abcab", "edc", "aaaaaa", "dcbe"]


def test_sampling_depends_on_the_seed_only(tiny: Model) -> None:
    """Same seed, same samples, whatever else is in the batch; other seeds, others; samples are ranked and distinct."""
    options = {"sampling_temperature": 2.0, "num_hypotheses": 4}
    together = tiny.generate(["abcde", "cde", "a"], seed=7, **options)
    [alone] = tiny.generate(["cde"], seed=7, **options)
    assert [h.ids for h in alone.hypotheses] == [h.ids for h in together[1].hypotheses]
    [other] = tiny.generate(["cde"], seed=8, **options)
    assert [h.ids for h in alone.hypotheses] != [h.ids for h in other.hypotheses]
    scores = [h.score for h in alone.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert len({h.text for h in alone.hypotheses}) == len(alone.hypotheses)


def test_sampling_draws_from_the_softmax(table_model: Callable[..., Model]) -> None:
    """Over many samples the frequencies are the probabilities; temperature, top-k and top-p change them as defined."""
    model = table_model(6, {(): {1: 0.5, 2: 0.3, 3: 0.15, 0: 0.05}}, max_length=1)

    def frequencies(**options: Any) -> list[float]:
        sampler = model._steps
        logits = np.repeat(sampler.logits(np.ones((1, 1)), np.zeros((1, 0), np.int64)), 4000, axis=0)
        numbers = np.random.default_rng(3).random(4000, dtype=np.float32)
        drawn = Sampler(**options).draw(logits.astype(np.float32), numbers)
        return [float((drawn == token).mean()) for token in (1, 2, 3, 0)]

    assert frequencies() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    assert frequencies(top_k=2) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert frequencies(top_p=0.6) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert frequencies(top_p=0.4) == [1, 0, 0, 0]
    flat = np.sqrt([0.5, 0.3, 0.15, 0.05])
    assert frequencies(temperature=2.0) == pytest.approx(flat / flat.sum(), abs=0.03)


def test_a_draw_never_takes_what_has_no_weight() -> None:
    """Whatever the number, tokens at -inf are never drawn, the first and the last of the vocabulary neither."""
    logits = np.full((4, 9), -np.inf, np.float32)
    logits[:, [2, 3, 6]] = [0.0, -30.0, 1.0]
    numbers = np.array([0.0, 0.5, 1 - 2**-22, np.finfo(np.float32).tiny], np.float32)
    assert Sampler().draw(logits, numbers).tolist() == [2, 6, 6, 2]


def drawn_by_definition(
    probabilities: Mapping[int, float], temperature: float, top_k: int | None, top_p: float, min_p: float
) -> dict[int, float]:
    """Probability of each token that may be drawn, by the definitions alone, one after the other."""
    warm = {token: probability ** (1 / temperature) for token, probability in probabilities.items()}
    ranked = sorted(warm, key=lambda token: -warm[token])[:top_k]
    whole = sum(warm[token] for token in ranked)
    before = {token: sum(warm[other] for other in ranked[:rank]) / whole for rank, token in enumerate(ranked)}
    kept = [token for token in ranked if before[token] < top_p and warm[token] >= min_p * warm[ranked[0]]]
    return {token: warm[token] / sum(warm[other] for other in kept) for token in kept}


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("top_p", [1.0, 0.75])
@pytest.mark.parametrize("min_p", [0.0, 0.1, 0.35, 0.7, 1.0])
def test_min_p_keeps_a_share_of_the_likeliest(
    temperature: float, top_k: int | None, top_p: float, min_p: float
) -> None:
    """Over a grid of numbers drawn, each token comes as often as temperature, top-k, top-p, min-p in that order say."""
    probabilities, points = {4: 0.41, 2: 0.26, 0: 0.19, 1: 0.09, 3: 0.05}, 2000
    logits = np.log(np.array([[probabilities[token] for token in range(5)]], np.float32)) - 3
    sampler = Sampler(temperature, top_k, top_p, min_p)
    drawn = sampler.draw(np.repeat(logits, points, axis=0), ((np.arange(points) + 0.5) / points).astype(np.float32))
    expected = drawn_by_definition(probabilities, temperature, top_k, top_p, min_p)
    assert set(drawn.tolist()) == set(expected)
    for token, probability in expected.items():
        assert (drawn == token).mean() == pytest.approx(probability, abs=1.5 / points)


def typical_by_definition(probabilities: Mapping[int, float], mass: float, epsilon: float) -> dict[int, float]:
    """Probability of each token, by the definitions of typical sampling and then of epsilon sampling."""
    entropy = -sum(p * np.log(p) for p in probabilities.values())
    ranked = sorted(probabilities, key=lambda token: abs(-np.log(probabilities[token]) - entropy))
    kept, reached = [], 0.0
    for token in ranked:
        kept.append(token)
        reached += probabilities[token]
        if reached >= mass:
            break
    whole = sum(probabilities[token] for token in kept)
    likeliest = max(kept, key=lambda token: probabilities[token])
    kept = [token for token in kept if probabilities[token] / whole >= epsilon] or [likeliest]
    return {token: probabilities[token] / sum(probabilities[other] for other in kept) for token in kept}


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("mass", [1.0, 0.9, 0.5, 0.2])
@pytest.mark.parametrize("epsilon", [0.0, 0.12, 0.3, 0.9])
def test_typical_and_epsilon_follow_their_definitions(
    temperature: float, top_k: int | None, mass: float, epsilon: float
) -> None:
    """Over a grid of numbers drawn, each token comes as often as temperature, top-k, typical, epsilon in order say."""
    probabilities, points = {4: 0.47, 2: 0.24, 0: 0.17, 1: 0.08, 3: 0.04}, 2000
    logits = np.log(np.array([[probabilities[token] for token in range(5)]], np.float32)) + 2
    sampler = Sampler(temperature, top_k, typical_p=mass, epsilon=epsilon)
    drawn = sampler.draw(np.repeat(logits, points, axis=0), ((np.arange(points) + 0.5) / points).astype(np.float32))
    expected = typical_by_definition(drawn_by_definition(probabilities, temperature, top_k, 1.0, 0.0), mass, epsilon)
    assert set(drawn.tolist()) == set(expected)
    for token, probability in expected.items():
        assert (drawn == token).mean() == pytest.approx(probability, abs=1.5 / points)


def test_min_p_over_whole_sequences(table_model: Callable[..., Model]) -> None:
    """Every sequence comes as often as the product of its steps says, the bound being that of each step anew."""
    table = {
        (): {2: 0.5, 3: 0.3, 4: 0.2},
        (2,): {2: 0.2, 3: 0.2, 4: 0.6},
        (3,): {2: 0.35, 3: 0.3, 4: 0.35},
        (4,): {2: 1.0},
    }
    model = table_model(6, table, max_length=2, end_ids=())
    options = {"sampling_temperature": 1.5, "sampling_min_p": 0.55}
    expected = {
        (first, second): one * other
        for first, one in drawn_by_definition(table[()], 1.5, None, 1.0, 0.55).items()
        for second, other in drawn_by_definition(table[(first,)], 1.5, None, 1.0, 0.55).items()
    }
    assert 1 < len(expected) < 7  # some of the seven that can be written are out
    found = Counter(tuple(model.generate([[1]], seed=seed, **options)[0].ids) for seed in range(1000))
    assert set(found) == set(expected)
    for sequence, probability in expected.items():
        assert found[sequence] / 1000 == pytest.approx(probability, abs=0.04)


def test_min_p_draws_by_the_seed_whatever_is_beside(tiny: Model) -> None:
    """Same seed, same samples alone and in any batch; a min-p of 1 leaves the likeliest token alone."""
    options = {"sampling_temperature": 3.0, "sampling_min_p": 0.2, "num_hypotheses": 4, "seed": 7}
    together = tiny.generate(["abcde", "cde", "a"], **options)
    [alone] = tiny.generate(["cde"], **options)
    assert [each.ids for each in alone.hypotheses] == [each.ids for each in together[1].hypotheses]
    assert len(alone.hypotheses) > 1
    expected = [result.ids for result in tiny.generate(SOURCES)]
    assert [result.ids for result in tiny.generate(SOURCES, sampling_min_p=1, sampling_temperature=9)] == expected


def test_top_k_of_one_is_greedy(tiny: Model) -> None:
    """Sampling among one token takes the likeliest."""
    expected = [result.ids for result in tiny.generate(SOURCES)]
    assert [result.ids for result in tiny.generate(SOURCES, sampling_top_k=1)] == expected
