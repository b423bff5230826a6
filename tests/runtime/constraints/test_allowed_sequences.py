"""Outputs that are one of a list: by enumeration of the list, and by a function that allows the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from s2s_runtime import Model, OptionError

SEARCHES: list[dict[str, Any]] = [
    {},
    {"beam_size": 2, "num_hypotheses": 2},
    {"beam_size": 7, "num_hypotheses": 7, "length_penalty": 0.3},
    {"sampling_temperature": 3.0, "num_hypotheses": 5, "seed": 1},
    {"return_alternatives": True, "num_hypotheses": 4, "beam_size": 2},
]


def drawn_sequences(seed: int, count: int, size: int) -> list[list[int]]:
    """Sequences of 0 to 5 ids that are no start and no end, some of them the beginnings of others, some twice."""
    random = np.random.default_rng(seed)
    drawn = [random.integers(1, size - 1, random.integers(0, 6)).tolist() for _ in range(count)]
    return [*drawn, drawn[0], drawn[-1][:2]]


@pytest.mark.parametrize("seed", range(12))
def test_outputs_are_among_them_whatever_the_search(random_model: Callable[..., Model], seed: int) -> None:
    """Whole, ended or as long as a target may be; and a beam as large as the list finds the best of it."""
    longest = 3 + seed % 4
    model = random_model(seed, 4 + seed % 3, max_length=longest)
    allowed = drawn_sequences(seed, 1 + seed * 2, 4 + seed % 3)
    fitting = {tuple(ids) for ids in allowed if len(ids) <= longest}
    for search in SEARCHES:
        for result in model.generate([[1], [2, 3], [4]], allowed_sequences=allowed, **search):
            for hypothesis in result.hypotheses:
                assert tuple(hypothesis.ids) in fitting
                assert hypothesis.finish_reason == ("length" if len(hypothesis.ids) == longest else "end")
    beam = max(2, len(fitting))
    [result] = model.generate([[2, 3]], allowed_sequences=allowed, beam_size=beam, num_hypotheses=beam)
    scores = {ids: model.score([[2, 3]], [ids], add_end=len(ids) < longest)[0].score for ids in fitting}
    assert {tuple(h.ids): pytest.approx(h.score, abs=1e-4) for h in result.hypotheses} == scores
    assert tuple(result.ids) == max(scores, key=lambda ids: scores[ids])


@pytest.mark.parametrize("seed", range(6))
def test_what_is_decided_is_what_the_model_would_be_asked_for(random_model: Callable[..., Model], seed: int) -> None:
    """Greedy search without scores leaves out the steps in which a single output is left; alone and in a batch."""
    model = random_model(seed, 6, max_length=3 + seed % 3)
    allowed, sources = drawn_sequences(seed, 12, 6), [[1], [2, 3], [4], [1, 2, 3]]
    for more in ({}, {"prefix": [next(ids for ids in allowed if 1 < len(ids) < 4)[:1]] * 4}, {"min_length": 2}):
        asked = model.generate(sources, allowed_sequences=allowed, return_scores=True, **more)
        expected = [(result.ids, result.hypotheses[0].finish_reason) for result in asked]
        for batch in (1, 4):
            found = model.generate(sources, allowed_sequences=allowed, max_batch_size=batch, **more)
            assert [(result.ids, result.hypotheses[0].finish_reason) for result in found] == expected


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_function_that_allows_the_same_gives_the_same(tiny: Model, beam_size: int) -> None:
    """Texts, symbols and ids mean the same, ended or not, in any order."""
    words = ["BAD", "BED", "DEAD", "A", "AB", "EEE"]
    vocabulary = tiny.target_vocabulary
    assert vocabulary is not None
    ids = [vocabulary.encode(word) for word in words]

    def allowed(step: int, tokens: list[int]) -> list[int]:
        return [*{word[step] for word in ids if word[:step] == tokens and len(word) > step}, *[1] * (tokens in ids)]

    texts = ["abc", "deed", "e", "bad"]
    expected = [r.to_dict() for r in tiny.generate(texts, allowed_next=allowed, beam_size=beam_size)]
    for given in (words, [list(word) for word in words], [*ids[::-1], ids[0]], tuple((*word, 1) for word in ids)):
        found = tiny.generate(texts, allowed_sequences=given, beam_size=beam_size)
        assert [r.to_dict() for r in found] == expected


def test_what_other_options_rule_out_is_left_out(tiny: Model) -> None:
    """Suppressed tokens and sequences, repeated n-grams, a least length; so no output is cut short by them."""
    words = ["BAD", "BED", "DEAD", "A", "EEEE"]
    for ruled_out, left in (
        ({"suppress_tokens": ["B"]}, {"DEAD", "A", "EEEE"}),
        ({"suppress_sequences": [["A", "D"], ["E", "E"]]}, {"BED", "A"}),
        ({"no_repeat_ngram_size": 1}, {"BAD", "BED", "A"}),
        ({"no_repeat_ngram_size": 1, "no_repeat_ngram_exclude": ["D"]}, {"BAD", "BED", "DEAD", "A"}),
        ({"min_length": 4}, {"DEAD", "EEEE"}),
        ({"max_length": 3}, {"BAD", "BED", "A"}),
        ({"prefix": ["D"]}, {"DEAD"}),
    ):
        options = {"beam_size": 9, "num_hypotheses": 9, "allowed_sequences": words, **ruled_out}
        [result] = tiny.generate(["abc"], **options)
        assert {hypothesis.text for hypothesis in result.hypotheses} == left, ruled_out
        streamed = "".join(tiny.stream("abc", allowed_sequences=words, **ruled_out))
        assert streamed in left


def test_an_empty_output_is_one_like_others(tiny: Model) -> None:
    """The empty text may be the only output, or one of several; an empty source has it in any case."""
    assert [r.text for r in tiny.generate(["abc", ""], allowed_sequences=[""])] == ["", ""]
    assert [r.text for r in tiny.generate(["abc", ""], allowed_sequences=["", "B"], min_length=1)] == ["B", ""]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allowed_sequences": []}, "allowed_sequences: expected at least one sequence, got none"),
        ({"allowed_sequences": "BAD"}, "allowed_sequences: expected a list, got 'BAD'"),
        ({"allowed_sequences": [5]}, "allowed_sequences[0]: expected a list of tokens, got 5"),
        ({"allowed_sequences": ["A", "AXE"]}, "allowed_sequences[1]: the character 'X' of 'AXE' is not in the target"),
        ({"allowed_sequences": [[99]]}, "allowed_sequences[0]: expected symbols or ids from 0 to 7, got 99"),
        ({"allowed_sequences": [[3, 1, 3]]}, "allowed_sequences[0]: holds an end token, after which nothing follows"),
        (
            {"allowed_sequences": ["AB", "B"], "min_length": 2, "suppress_tokens": ["A"]},
            "allowed_sequences: none of the 2 may be written: 1 with a token that is never written (see "
            "suppress_tokens and allow_unknown), 1 shorter than min_length 2",
        ),
        (
            {"allowed_sequences": ["DEAD"], "max_length": 3},
            "allowed_sequences: the shortest that fits has 4 tokens, but the target may have 3",
        ),
        (
            {"allowed_sequences": ["DEAD", "BAD"], "prefix": ["A"]},
            "allowed_sequences: none of those that may be written begins with the prefix",
        ),
        ({"allowed_sequences": ["A"], "end_tokens": []}, "allowed_sequences: needs an end token"),
        ({"allowed_sequences": ["A"], "suppress_tokens": ["</s>"]}, "allowed_sequences: needs an end token"),
        (
            {"allowed_sequences": ["A"], "allowed_next": lambda step, tokens: [1]},
            "allowed_sequences: can't be combined with allowed_next",
        ),
    ],
)
def test_what_cannot_be_met_is_one_error(tiny: Model, options: dict[str, Any], message: str) -> None:
    """Before anything runs, and it says why."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], **options)
    assert message in str(caught.value)
