"""Weights of phrases, and phrases that must occur: by enumeration of every output there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from s2s_runtime import Model, OptionError

Output = tuple[int, ...]


def outputs_of(model: Model, source: int, longest: int) -> Iterator[tuple[Output, float]]:
    """Every output with its end, or as long as a target may be, and its log-probability; the end is 0."""
    alive: list[tuple[Output, float]] = [((), 0.0)]
    for length in range(1, longest + 1):
        extended = []
        for tokens, total in alive:
            fed = np.array([tokens], np.int64).reshape(1, -1)
            logits = np.asarray(model._steps.logits(np.array([[source]]), fed)[0], np.float64)  # type: ignore[attr-defined]
            scores = total + logits - np.logaddexp.reduce(logits)
            extended += [((*tokens, token), float(scores[token])) for token in range(len(logits) - 1)]
        yield from (each for each in extended if each[0][-1] == 0 or length == longest)
        alive = [each for each in extended if each[0][-1] != 0]


def count_of(phrase: Output, tokens: Output) -> int:
    """How often a phrase occurs, overlapping itself or not."""
    return sum(tokens[i : i + len(phrase)] == phrase for i in range(len(tokens)))


def drawn_phrases(random: np.random.Generator, size: int, count: int) -> list[Output]:
    """Phrases of 1 to 3 ids that are no start and no end."""
    return [tuple(random.integers(1, size - 1, random.integers(1, 4)).tolist()) for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_log_probabilities_and_weights(random_model: Callable[..., Model], seed: int) -> None:
    """Every hypothesis of a beam that holds all outputs: its weights times how often they occur, however they overlap.

    The best is the best of all outputs; a narrow beam, samples and greedy search have such scores too, and `score`.
    """
    random, size, longest = np.random.default_rng(seed), 4 + seed % 2, 2 + seed % 4
    model = random_model(seed, size, max_length=longest)
    bias = {phrase: float(random.normal(0, 3)) for phrase in drawn_phrases(random, size, 1 + seed % 4)}
    alpha = [0.0, 0.7, 1.0][seed % 3]
    every = {
        tokens: (total + sum(weight * count_of(phrase, tokens) for phrase, weight in bias.items()))
        / len(tokens) ** alpha
        for tokens, total in outputs_of(model, 3, longest)
    }
    options = {"bias": bias, "length_penalty": alpha, "return_end_token": True, "return_token_scores": True}
    beam = len(every)
    [whole] = model.generate([[3]], beam_size=beam, num_hypotheses=beam, patience=2.0, **options)
    assert tuple(whole.ids) == max(every, key=lambda tokens: every[tokens])
    searches: list[dict[str, Any]] = [
        {"beam_size": 3, "num_hypotheses": 3},
        {},
        {"sampling_temperature": 2.0, "num_hypotheses": 4, "seed": seed},
        {"prefix": [[1]], "beam_size": 2},
    ]
    for result in [whole, *(model.generate([[3]], **search, **options)[0] for search in searches)]:
        for hypothesis in result.hypotheses:
            assert hypothesis.score == pytest.approx(every[tuple(hypothesis.ids)], abs=1e-3)
            [forced] = model.score([[3]], [hypothesis.ids], add_end=False, bias=bias, length_penalty=alpha)
            assert forced.score == pytest.approx(hypothesis.score, abs=1e-4)
            assert forced.token_scores == pytest.approx(hypothesis.token_scores, abs=1e-4)


@pytest.mark.parametrize("seed", range(24))
def test_every_output_holds_what_is_required(random_model: Callable[..., Model], seed: int) -> None:
    """Of any beam; one that holds all outputs finds the best of those that hold the phrases, and finds them all."""
    random, size, longest = np.random.default_rng(seed), 4 + seed % 2, 3 + seed % 3
    model = random_model(seed, size, max_length=longest)
    phrases = drawn_phrases(random, size, 1 + seed % 3)
    every = {
        tokens: total
        for tokens, total in outputs_of(model, 3, longest)
        if all(count_of(phrase, tokens) for phrase in phrases)
    }
    if not every:
        with pytest.raises(
            OptionError, match=r"required_phrases: take a target of at least \d tokens, but it may have"
        ):
            model.generate([[3]], required_phrases=phrases, beam_size=2)
        return
    beam = 4**longest + 4
    options = {"required_phrases": phrases, "length_penalty": 0, "return_end_token": True}
    [whole] = model.generate([[3]], beam_size=beam, num_hypotheses=beam, patience=3.0, **options)
    assert tuple(whole.ids) == max(every, key=lambda tokens: every[tokens])
    assert {tuple(h.ids): pytest.approx(h.score, abs=1e-3) for h in whole.hypotheses} == every
    for narrow in (2, 3, 7):
        results = model.generate([[3], [5, 6], [3]], beam_size=narrow, num_hypotheses=narrow, **options)
        assert (
            results[0].to_dict()
            == results[2].to_dict()
            == model.generate([[3]], beam_size=narrow, num_hypotheses=narrow, **options)[0].to_dict()
        )
        for hypothesis in [h for result in results for h in result.hypotheses]:
            assert all(count_of(phrase, tuple(hypothesis.ids)) for phrase in phrases)
        scores = [h.score for h in results[0].hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_a_beam_is_shared_out(tiny: Model) -> None:
    """Phrases that the model would seldom write are written where they fit it best, not only where they have to be."""
    [result] = tiny.generate(["abcd"], required_phrases=["EE"], beam_size=8)
    forced = tiny.score(["abcd"] * 5, ["ABCDEE", "EEABCD", "ABEECD", "AEEBCD", "ABCEED"])
    assert "EE" in result.text
    assert result.score >= max(score.score for score in forced) - 1e-4


def test_the_prefix_counts(tiny: Model) -> None:
    """What a forced prefix holds is held; what it leaves too little room for is an error."""
    [result] = tiny.generate(["ab"], required_phrases=["DC", "CD"], prefix=["DCD"], beam_size=2)
    assert result.text == tiny.generate(["ab"], prefix=["DCD"], beam_size=2)[0].text
    with pytest.raises(OptionError, match="required_phrases: take a target of at least 6 tokens, but it may have 5"):
        tiny.generate(["ab"], required_phrases=["DCD"], prefix=["AAA"], beam_size=2, max_length=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias": ["A"]}, "bias: expected a mapping of texts, or tuples of tokens, to finite numbers, got ['A']"),
        ({"bias": {"A": float("inf")}}, "bias: expected a mapping of texts, or tuples of tokens, to finite numbers"),
        ({"bias": {"": 1}}, "bias: expected phrases of at least one token, got an empty one"),
        ({"bias": {"X": 1}}, "bias: the character 'X' of 'X' is not in the target vocabulary"),
        ({"bias": {(99,): 1}}, "bias: expected symbols or ids from 0 to 7, got 99"),
        ({"required_phrases": ["A"]}, "required_phrases: has no effect without beam_size above 1"),
        ({"required_phrases": [""], "beam_size": 2}, "required_phrases[0]: expected at least one token, got none"),
        ({"required_phrases": "A", "beam_size": 2}, "required_phrases: expected a list, got 'A'"),
        ({"required_phrases": [[3, 1]], "beam_size": 2}, "required_phrases[0]: holds an end token"),
        (
            {"required_phrases": ["AB"], "beam_size": 2, "suppress_tokens": ["B"]},
            "required_phrases[0]: with a token that is never written",
        ),
        ({"required_phrases": ["A"] * 11, "beam_size": 2}, "required_phrases: expected at most 10, got 11"),
        (
            {"required_phrases": ["A"], "beam_size": 2, "no_repeat_ngram_size": 2},
            "required_phrases: can't be combined with no_repeat_ngram_size, which may keep them out",
        ),
        (
            {"required_phrases": ["ABC", "BCD"], "beam_size": 2, "max_length": 3},
            "required_phrases: take a target of at least 4 tokens, but it may have 3",
        ),
    ],
)
def test_what_cannot_be_is_one_error(tiny: Model, options: dict[str, Any], message: str) -> None:
    """Before anything runs, and it says why."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], **options)
    assert message in str(caught.value)
