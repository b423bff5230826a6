"""Draws without replacement: inclusion probabilities by enumeration, and what holds of every draw."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from s2s_runtime import DecodingOptions, Model, OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.plan import make_plan
from s2s_runtime.search.sampling import Sampler
from s2s_runtime.varied_beams.stochastic_beam import conditioned, stochastic_beam_search

Sequences = Mapping[tuple[int, ...], float]


class OneEach(Sampler):
    """A sampler whose sentences draw differently: many draws in one batch."""

    def generators(self, sentences: int, samples: int) -> list[np.random.Generator]:
        """Return a generator for each, by its number."""
        return [np.random.default_rng([11, i]) for i in range(sentences * samples)]


def draws(model: Model, count: int, **options: Any) -> list[list[tuple[int, ...]]]:
    """Return the sequences of so many draws, each in the order of scores."""
    asked = DecodingOptions(stochastic_beams=True, **options)
    plan = make_plan(asked, model.manifest)
    assert plan.sampler is not None
    many = {name: getattr(plan.sampler, name) for name in ("temperature", "top_k", "top_p")}
    limits = np.full(count, asked.max_length or model.manifest.target.max_length)
    batch = Batch(np.full((count, 1), 3), np.ones((count, 1), np.bool_), limits, None, np.arange(count))
    found = stochastic_beam_search(model.step_model, batch, replace(plan, sampler=OneEach(**many)))
    return [[tuple(ended.ids) for ended in hypotheses] for hypotheses in found]


def every_sequence(model: Model, longest: int, temperature: float = 1.0, top_k: int | None = None) -> Sequences:
    """Return the probability of each output, by enumeration; the start token, the last, is never written."""
    found: dict[tuple[int, ...], float] = {}
    alive = {(): 1.0}
    for length in range(1, longest + 1):
        extended: dict[tuple[int, ...], float] = {}
        for tokens, probability in alive.items():
            logits = model.step_model.logits(np.array([[3]]), np.array([tokens], np.int64).reshape(1, -1))[0]
            warm = {token: math.exp(logit / temperature) for token, logit in enumerate(logits[:-1])}
            kept = sorted(warm, key=lambda token: -warm[token])[:top_k]
            for token in kept:
                share = probability * warm[token] / sum(warm[other] for other in kept)
                ends = token == 0 or length == longest
                (found if ends else extended)[*tokens, token] = share
        alive = extended
    return found


def log_probability(model: Model, ids: tuple[int, ...]) -> float:
    """Return the model's log-probability of an output, tokens that are never written counted as everywhere."""
    total = 0.0
    for length, token in enumerate(ids):
        logits = model.step_model.logits(np.array([[3]]), np.array([ids[:length]], np.int64).reshape(1, -1))[0]
        total += float(logits[token] - np.logaddexp.reduce(logits))
    return total


def inclusion(sequences: Sequences, count: int) -> dict[tuple[int, ...], float]:
    """Return the probability of each to be among so many drawn one after the other, none twice."""
    total: Counter[tuple[int, ...]] = Counter()
    for drawn in itertools.permutations(sequences, count):
        probability, left = 1.0, 1.0
        for tokens in drawn:
            probability *= sequences[tokens] / left
            left -= sequences[tokens]
        for tokens in drawn:
            total[tokens] += probability
    return total


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, {"beam_size": 2}),
        (1, {"beam_size": 3}),
        (2, {"beam_size": 3, "sampling_temperature": 2.0}),
        (3, {"beam_size": 2, "sampling_top_k": 2}),
    ],
)
def test_sequences_are_drawn_without_replacement(
    random_model: Callable[..., Model], seed: int, options: dict[str, Any]
) -> None:
    """Each output is drawn as often as enumeration of all orders of drawing says, in 4,000 draws."""
    longest, count = 3, 4000
    model = random_model(seed, 4, scale=1.0, max_length=longest)  # 15 outputs
    drawn = draws(model, count, num_hypotheses=options["beam_size"], **options)
    assert all(len(set(each)) == len(each) for each in drawn)
    temperature = options.get("sampling_temperature", 1.0)
    sequences = every_sequence(model, longest, temperature, options.get("sampling_top_k"))
    assert sum(sequences.values()) == pytest.approx(1)
    counts = Counter(tokens for each in drawn for tokens in each)
    assert set(counts) <= set(sequences)
    for tokens, probability in inclusion(sequences, options["beam_size"]).items():
        spread = math.sqrt(probability * (1 - probability) / count)
        assert counts[tokens] / count == pytest.approx(probability, abs=4.5 * spread + 1e-3), tokens


def test_the_first_drawn_is_an_ordinary_sample(random_model: Callable[..., Model]) -> None:
    """Of a larger beam, one hypothesis is drawn with the probability that the model gives it."""
    model, count = random_model(5, 4, scale=1.0, max_length=3), 4000
    counts = Counter(tokens for [tokens] in draws(model, count, beam_size=4, num_hypotheses=1))
    for tokens, probability in every_sequence(model, 3).items():
        assert counts[tokens] / count == pytest.approx(probability, abs=4.5 * math.sqrt(probability / count) + 1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_that_holds_all_outputs_draws_all(random_model: Callable[..., Model], seed: int) -> None:
    """Every possible output comes once, with the score that enumeration gives it."""
    longest = 1 + seed % 4
    model = random_model(seed, 4, max_length=longest)
    every = every_sequence(model, longest)
    [result] = model.generate(
        [[3]],
        stochastic_beams=True,
        beam_size=len(every) + 3,
        num_hypotheses=len(every) + 3,
        length_penalty=0,
        seed=seed,
        return_end_token=True,
    )
    assert {tuple(h.ids) for h in result.hypotheses} == set(every)
    for h in result.hypotheses:
        assert h.score == pytest.approx(log_probability(model, tuple(h.ids)), abs=1e-4)


def test_the_highest_of_what_follows_is_that_of_the_beam() -> None:
    """Moving sums keeps their order and makes the highest of each row what it has to be; -inf stays."""
    random = np.random.default_rng(0)
    sums = random.gumbel(size=(200, 6)) * 3
    sums[::3, 2] = -np.inf
    highest = random.normal(0, 3, 200)
    moved = conditioned(sums, highest)
    np.testing.assert_allclose(moved.max(axis=1), highest, rtol=1e-9)
    np.testing.assert_array_equal(np.argsort(moved, axis=1), np.argsort(sums, axis=1))
    assert np.isneginf(moved[::3, 2]).all()
    blocked = conditioned(np.full((1, 3), -np.inf), np.zeros(1))
    assert np.isneginf(blocked).all()


def test_draws_depend_on_the_seed_only(tiny: Model) -> None:
    """Same seed, same sequences, whatever is beside; other seeds, others; scores are those of `score`."""
    options = {"stochastic_beams": True, "beam_size": 5, "num_hypotheses": 5, "sampling_temperature": 2.0}
    together = tiny.generate(["abcde", "cde", "a"], seed=7, **options)
    [alone] = tiny.generate(["cde"], seed=7, **options)
    assert [h.ids for h in alone.hypotheses] == [h.ids for h in together[1].hypotheses]
    assert len({h.text for h in alone.hypotheses}) == 5
    [other] = tiny.generate(["cde"], seed=8, **options)
    assert [h.ids for h in alone.hypotheses] != [h.ids for h in other.hypotheses]
    scores = [h.score for h in alone.hypotheses]
    assert scores == sorted(scores, reverse=True)
    for h in alone.hypotheses:
        assert h.score == pytest.approx(tiny.score(["cde"], [h.ids])[0].score, abs=1e-4)
    assert together.obstacles == ["sampling"]


def test_draws_keep_to_constraints(tiny: Model) -> None:
    """Lists of outputs hold all that is drawn; where nothing may follow, a sequence stops and keeps its place."""
    options = {"stochastic_beams": True, "beam_size": 4, "num_hypotheses": 4, "seed": 1}
    listed = ["BAD", "BED", "DEAD", "ACE"]
    [result] = tiny.generate(["bad"], allowed_sequences=listed, sampling_temperature=3.0, **options)
    assert sorted(h.text for h in result.hypotheses) == sorted(listed)
    [stopped] = tiny.generate(["bad"], allowed_next=lambda step, tokens: [3, 4] if step < 2 else [], **options)
    assert {(h.text, h.finish_reason) for h in stopped.hypotheses} == {(t, "stopped") for t in ("AA", "AB", "BA", "BB")}
    [begun] = tiny.generate(["bad"], prefix=["CC"], **options)
    assert all(h.text.startswith("CC") for h in begun.hypotheses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 2, "num_hypotheses": 3}, "num_hypotheses: expected at most beam_size * patience = 2"),
        ({"beam_size": 4, "beam_groups": 2}, "stochastic_beams: can't be combined with beam_groups"),
        ({"beam_size": 4, "patience": 2}, "stochastic_beams: can't be combined with patience"),
        ({"return_alternatives": True}, "return_alternatives: can't be combined with sampling"),
        ({"beam_size": 2, "engine": "graph"}, "engine: 'graph' can't do what was asked for (sampling)"),
    ],
)
def test_what_makes_no_sense_is_refused(tiny: Model, options: dict[str, Any], message: str) -> None:
    """One line that says what was wrong."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], stochastic_beams=True, **options)
    assert message in str(caught.value)
