"""Groups of beams: what Hugging Face's definition of diverse beam search finds, by a twin of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_beam import NextScores, rules_of

from s2s_runtime import Model, OptionError

Found = list[tuple[float, tuple[int, ...]]]


def diverse_beams(next_scores: NextScores, ends: set[int], longest: int, options: dict[str, Any]) -> Found:
    """Diverse beams as in `transformers`: its Hamming penalty, groups in order; stopped as the beams here are.

    At each step, for each group in order: log-probabilities of the next tokens less `diversity_penalty` times how often
    the beams of earlier groups took the token at this step; plus the group's sums, in which the penalties stay; the
    best of these. Tokens of a group that is done don't count. Each group keeps as many hypotheses as it has beams; the
    best of all, as counted with the penalties, are returned.
    """
    width = options["beam_size"] // options["beam_groups"]
    prefix = len(options["prefix"] or ())
    alive: list[Found] = [[(0.0, ())] for _ in range(options["beam_groups"])]
    ended: list[Found] = [[] for _ in alive]
    done = [False] * len(alive)
    for length in range(1, longest + 1):
        taken: Counter[int] = Counter()
        norm = length ** options["length_penalty"]
        for group, beams in enumerate(alive):
            if done[group]:
                continue
            extended = [
                (total + score - options["diversity_penalty"] * taken[token], (*tokens, token))
                for total, tokens in beams
                for token, score in enumerate(next_scores(tokens))
                if score > -math.inf
            ]
            best = sorted(extended, key=lambda item: -item[0])[: width * (1 + len(ends))]
            going = [item for item in best if item[1][-1] not in ends][:width]
            ended[group] += [(total / norm, tokens) for total, tokens in best[:width] if tokens[-1] in ends]
            if length == longest:
                ended[group] += [(total / norm, tokens) for total, tokens in going]
            enough = len(ended[group]) >= width and bool(going) and bool(ended[group])
            bound = going[0][0] / longest ** options["length_penalty"] if going else 0.0
            done[group] = not going or (enough and bound <= max(ended[group])[0])
            if length > prefix:
                taken.update(tokens[-1] for _, tokens in going)
            alive[group] = going
    counted: dict[tuple[int, ...], float] = {}
    for hypotheses in ended:
        distinct: dict[tuple[int, ...], float] = {}
        for total, tokens in sorted(hypotheses, key=lambda item: -item[0])[:width]:
            distinct.setdefault(tokens, total)
        for tokens, total in distinct.items():
            counted[tokens] = max(total, counted.get(tokens, -math.inf))
    chosen = sorted(counted, key=lambda tokens: -counted[tokens])[: options["num_hypotheses"]]
    return sorted(((_own(next_scores, tokens, options), tokens) for tokens in chosen), key=lambda item: -item[0])


def _own(next_scores: NextScores, tokens: tuple[int, ...], options: dict[str, Any]) -> float:
    total = sum(float(next_scores(tokens[:i])[token]) for i, token in enumerate(tokens))
    return total / len(tokens) ** options["length_penalty"]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(4, 8),
    shape=st.tuples(st.sampled_from([(2, 2), (4, 2), (3, 3), (6, 2), (6, 3), (4, 4), (8, 4)]), st.integers(1, 8)),
    options=st.fixed_dictionaries(
        {
            "diversity_penalty": st.sampled_from([0.0, 0.3, 1.0, 4.0]),
            "length_penalty": st.sampled_from([0.0, 0.7, 1.0]),
            "max_length": st.integers(1, 6),
            "repetition_penalty": st.sampled_from([1.0, 1.4]),
            "suppress_tokens": st.sampled_from([[], [2]]),
            "prefix": st.sampled_from([None, None, [1]]),
        }
    ),
)
def test_groups_find_what_the_definition_finds(
    random_model: Callable[..., Model],
    seed: int,
    size: int,
    shape: tuple[tuple[int, int], int],
    options: dict[str, Any],
) -> None:
    """Hypotheses and scores are those of the twin, whatever else is in the batch."""
    (beam_size, groups), wanted = shape
    options = {**options, "beam_size": beam_size, "beam_groups": groups, "num_hypotheses": min(wanted, beam_size)}
    model = random_model(seed, size, max_length=options["max_length"])
    prefix = options["prefix"]
    results = model.generate(
        [[3], [1, 2, 3], [3]], **{**options, "prefix": [prefix, None, prefix]}, return_end_token=True
    )
    everything = {
        **{"min_length": 0, "end_tokens": [0], "no_repeat_ngram_size": 0, "suppress_sequences": []},
        **options,
    }
    expected = diverse_beams(rules_of(model, size, 3, everything), {0}, options["max_length"], options)
    for result in (results[0], results[2]):
        assert [tuple(h.ids) for h in result.hypotheses] == [tokens for _, tokens in expected]
        assert [h.score for h in result.hypotheses] == pytest.approx([score for score, _ in expected], abs=1e-4)


def test_one_group_is_the_beam_and_the_first_is_undisturbed(tiny: Model) -> None:
    """Without a penalty every group finds what a beam of its size finds; with one, the first does."""
    sources = ["abcab", "edc", "aaaaaa", "dcbe"]
    narrow = tiny.generate(sources, beam_size=2, num_hypotheses=2)
    same = tiny.generate(sources, beam_size=6, beam_groups=3, diversity_penalty=0.0, num_hypotheses=6)
    assert [[h.ids for h in r.hypotheses] for r in same] == [[h.ids for h in r.hypotheses] for r in narrow]
    apart = tiny.generate(sources, beam_size=6, beam_groups=3, diversity_penalty=5.0, num_hypotheses=6)
    for result, beam in zip(apart, narrow, strict=True):
        found = [h.ids for h in result.hypotheses]
        assert all(h.ids in found for h in beam.hypotheses)
        assert len(found) > len(beam.hypotheses)


def test_scores_of_groups_are_those_of_score(tiny: Model) -> None:
    """However large the penalty: token scores, attention and coverage too; hypotheses in the order of their scores."""
    options = {"coverage_penalty": 0.2, "length_penalty": 0.6}
    for diversity in (0.5, 3.0):
        [result] = tiny.generate(
            ["abcab"],
            **options,
            beam_size=6,
            beam_groups=6,
            diversity_penalty=diversity,
            num_hypotheses=6,
            return_token_scores=True,
            return_attention=True,
        )
        assert len(result.hypotheses) > 1
        scores = [h.score for h in result.hypotheses]
        assert scores == sorted(scores, reverse=True)
        for h in result.hypotheses:
            [scored] = tiny.score(["abcab"], [h.ids], **options)
            assert h.score == pytest.approx(scored.score, abs=1e-4)
            np.testing.assert_allclose(h.token_scores, scored.token_scores[: len(h.ids)], atol=1e-4)
            assert h.attention.shape == (len(h.ids), 6)


def test_groups_keep_to_constraints(tiny: Model) -> None:
    """Required phrases stand in all, lists of outputs hold all."""
    options = {"beam_size": 6, "beam_groups": 3, "num_hypotheses": 6, "diversity_penalty": 5.0}
    [required] = tiny.generate(["abcd"], required_phrases=["EE", "B"], **options)
    assert all("EE" in h.text and "B" in h.text for h in required.hypotheses)
    [listed] = tiny.generate(["bad"], allowed_sequences=["BAD", "BED", "DEAD", "ACE"], **options)
    assert {h.text for h in listed.hypotheses} <= {"BAD", "BED", "DEAD", "ACE"}
    assert len(listed.hypotheses) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_groups": 2}, "beam_groups: has no effect without beam_size above 1"),
        ({"beam_groups": 0, "beam_size": 2}, "beam_groups: expected an integer from 1 to 65536, got 0"),
        ({"beam_groups": 3, "beam_size": 4}, "beam_groups: expected a number that divides beam_size 4, got 3"),
        ({"diversity_penalty": 1.0, "beam_size": 2}, "diversity_penalty: has no effect without beam_groups above 1"),
        (
            {"diversity_penalty": -1, "beam_size": 2, "beam_groups": 2},
            "diversity_penalty: expected a number of at least 0, got -1",
        ),
        ({"num_beam_groups": 2}, "what Hugging Face calls num_beam_groups is beam_groups here"),
        ({"beam_groups": 2, "beam_size": 2, "engine": "graph"}, "engine: 'graph' can't do what was asked for"),
    ],
)
def test_bad_groups_are_refused(tiny: Model, options: dict[str, Any], message: str) -> None:
    """One line that says what was wrong."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], **options)
    assert message in str(caught.value)
