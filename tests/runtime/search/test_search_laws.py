"""The laws of search: lattices solved by hand, exhaustive enumeration, a naive twin, and scores that can be checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_beam import naive_beam, rules_of

from s2s_runtime import Model

# A garden path: the likeliest first token (1) leads nowhere good, the second (2) to the best sequence.
GARDEN_PATH = {
    (): {0: 0.05, 1: 0.5, 2: 0.45},
    (1,): {0: 0.4, 1: 0.3, 2: 0.3},
    (2,): {0: 0.1, 1: 0.1, 2: 0.8},
    (2, 2): {0: 1.0},
}


def test_greedy_takes_the_likeliest_token_at_each_step(table_model: Callable[..., Model]) -> None:
    """On the garden path greedy ends with 1, end: 0.5 * 0.4."""
    [result] = table_model(4, GARDEN_PATH).generate([[1]], return_scores=True, length_penalty=0)
    assert result.ids == [1]
    assert result.score == pytest.approx(math.log(0.5 * 0.4), abs=1e-5)
    assert result.hypotheses[0].finish_reason == "end"


def test_beam_finds_what_greedy_misses(table_model: Callable[..., Model]) -> None:
    """Beam 2 finds 2, 2, end: 0.45 * 0.8 * 1, then 1, end: 0.5 * 0.4; by hand."""
    [result] = table_model(4, GARDEN_PATH).generate([[1]], beam_size=2, num_hypotheses=2, length_penalty=0)
    assert [h.ids for h in result.hypotheses] == [[2, 2], [1]]
    assert [h.score for h in result.hypotheses] == pytest.approx([math.log(0.36), math.log(0.2)], abs=1e-5)


def test_length_penalty_counts_the_end_token(table_model: Callable[..., Model]) -> None:
    """Average divides by length^a, gnmt by ((5 + length) / 6)^a; 2, 2, end has length 3."""
    model = table_model(4, GARDEN_PATH)
    [average] = model.generate([[1]], beam_size=2, length_penalty=0.6)
    [gnmt] = model.generate([[1]], beam_size=2, length_penalty=0.6, length_penalty_kind="gnmt")
    assert average.score == pytest.approx(math.log(0.36) / 3**0.6, abs=1e-5)
    assert gnmt.score == pytest.approx(math.log(0.36) / (8 / 6) ** 0.6, abs=1e-5)


def test_length_penalty_may_change_the_winner(table_model: Callable[..., Model]) -> None:
    """A long sequence of less probability wins by its average: log(0.3)/4 > log(0.4)/1."""
    table = {(): {0: 0.4, 1: 0.3, 2: 0.3}, (1,): {1: 1.0}, (1, 1): {1: 1.0}, (1, 1, 1): {0: 1.0}}
    model = table_model(4, table)
    assert model.generate([[1]], beam_size=3, length_penalty=0)[0].ids == []
    assert model.generate([[1]], beam_size=3, length_penalty=1)[0].ids == [1, 1, 1]


def test_search_goes_on_while_a_sequence_alive_can_still_win(table_model: Callable[..., Model]) -> None:
    """Two sequences end at once and the pool is full, but a longer one is better in the end."""
    table = {
        (): {0: 0.3, 1: 0.3, 2: 0.4},
        (1,): {0: 1.0},
        (2,): {1: 1.0},
        **{(2,) + (1,) * n: {1: 1.0} for n in range(1, 4)},
        (2, 1, 1, 1, 1): {0: 1.0},
    }
    [result] = table_model(4, table).generate([[1]], beam_size=2)
    assert result.ids == [2, 1, 1, 1, 1]
    assert result.score == pytest.approx(math.log(0.4) / 6, abs=1e-5)


def test_twice_the_beam_is_examined(table_model: Callable[..., Model]) -> None:
    """Two end candidates rank first, and still two sequences stay alive: 2k candidates are examined."""
    table = {
        (): {1: 0.6, 2: 0.4},
        (1,): {0: 0.9, 1: 0.1},
        (2,): {0: 0.8, 2: 0.2},
        (1, 1): {0: 1.0},
        (2, 2): {0: 1.0},
    }
    [result] = table_model(4, table).generate([[1]], beam_size=2, num_hypotheses=2, patience=2, length_penalty=0)
    assert [h.ids for h in result.hypotheses] == [[1], [2]]
    [result] = table_model(4, table).generate([[1]], beam_size=2, num_hypotheses=4, patience=2, length_penalty=0)
    assert [h.ids for h in result.hypotheses] == [[1], [2], [2, 2], [1, 1]]


def test_patience_makes_the_lower_ranks_better(table_model: Callable[..., Model]) -> None:
    """With patience 1 the search stops at two ended; with 2 it waits for the better second one."""
    table = {
        (): {0: 0.4, 1: 0.3, 2: 0.3},
        (1,): {0: 0.7, 1: 0.3},
        (2,): {2: 1.0},
        (2, 2): {0: 0.9, 1: 0.1},
    }
    model = table_model(4, table)
    options = {"beam_size": 2, "num_hypotheses": 2, "length_penalty": 0}
    assert [h.ids for h in model.generate([[1]], **options)[0].hypotheses] == [[], [1]]
    assert [h.ids for h in model.generate([[1]], **options, patience=2)[0].hypotheses] == [[], [2, 2]]


def test_an_end_below_the_beam_is_no_hypothesis(table_model: Callable[..., Model]) -> None:
    """Ends count only among the best k candidates: here the end has rank 3 of 4 examined, in a beam of 2."""
    table = {(): {1: 0.5, 2: 0.3, 0: 0.2}, (1,): {0: 0.3, 1: 0.7}, (1, 1): {0: 1.0}, (2,): {2: 1.0}, (2, 2): {0: 1.0}}
    [result] = table_model(4, table).generate([[1]], beam_size=2, num_hypotheses=2, length_penalty=0)
    assert [h.ids for h in result.hypotheses] == [[1, 1], [2, 2]]


def test_ties_are_broken_by_candidate_order(table_model: Callable[..., Model]) -> None:
    """Of equally likely sequences those of lower ids come first, in greedy search and in a beam."""
    model = table_model(5, {(): {1: 0.25, 2: 0.25, 3: 0.25, 0: 0.25}})
    assert model.generate([[1]])[0].ids == []
    [result] = model.generate([[1]], beam_size=3, num_hypotheses=3, length_penalty=0)
    assert [h.ids for h in result.hypotheses] == [[], [1], [2]]


def _log_probabilities(model: Model, source: int, tokens: tuple[int, ...]) -> np.ndarray:
    logits = model._steps.logits(np.array([[source]]), np.array([tokens], np.int64).reshape(1, -1))[0]
    return np.asarray(logits - np.logaddexp.reduce(logits))


def _enumerate(model: Model, longest: int, alpha: float) -> Iterator[tuple[float, list[int]]]:
    """Every possible output and its score, all of one length at a time."""
    size = model.manifest.target.size
    alive, totals = np.zeros((1, 0), np.int64), np.zeros(1)
    for length in range(1, longest + 1):
        logits = np.asarray(model.step_model.logits(np.full((len(alive), 1), 3), alive), np.float64)  # type: ignore[attr-defined]
        scores = totals[:, None] + logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        for token in range(size - 1):  # the start token, which is last, is never generated
            if token == 0 or length == longest:
                for row, tokens in enumerate(alive.tolist()):
                    yield scores[row, token] / length**alpha, [*tokens, token]
        if size == 2:  # nothing but the end can be written
            return
        alive = np.concatenate([np.insert(alive, length - 1, token, axis=1) for token in range(1, size - 1)])
        totals = scores[:, 1 : size - 1].T.reshape(-1)


@pytest.mark.parametrize("seed", range(200))
def test_a_beam_as_large_as_the_outputs_is_exhaustive(random_model: Callable[..., Model], seed: int) -> None:
    """A beam that holds every possible output finds the true best, by enumeration of them all.

    Vocabularies of up to 5 tokens that can be written, the end token among them, and lengths up to 6.
    """
    random = np.random.default_rng(seed)
    size = 2 + seed % 5  # with the start token, which is never generated
    longest = 1 + seed // 5 % 6
    alpha = float(random.choice([0.0, 0.5, 1.0, 1.5]))
    model = random_model(seed, size, max_length=longest)
    outputs = sum((size - 2) ** length for length in range(longest)) + (size - 2) ** longest
    [result] = model.generate([[3]], beam_size=max(2, outputs), length_penalty=alpha, return_end_token=True)
    every = list(_enumerate(model, longest, alpha))
    assert len(every) == outputs
    score, tokens = max(every, key=lambda output: output[0])
    assert result.ids == tokens
    assert result.score == pytest.approx(score, abs=1e-4)


option_sets = st.fixed_dictionaries(
    {
        "beam_size": st.integers(2, 9),
        "patience": st.sampled_from([0.5, 1.0, 1.0, 2.0]),
        "length_penalty": st.sampled_from([0.0, 0.3, 1.0, 2.0]),
        "length_penalty_kind": st.sampled_from(["average", "gnmt"]),
        "max_length": st.integers(1, 7),
        "repetition_penalty": st.sampled_from([1.0, 1.0, 1.5, 0.7]),
        "suppress_tokens": st.sampled_from([[], [], [2]]),
        "prefix": st.sampled_from([None, None, [1], [3, 1]]),
    }
)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(5, 8),
    options=option_sets,
    more=st.fixed_dictionaries(
        {
            "ends": st.sampled_from([(0,), (0,), (0, 2)]),
            "min_length": st.integers(0, 2),
            "no_repeat_ngram_size": st.sampled_from([0, 0, 1, 2]),
            "suppress_sequences": st.sampled_from([[], [], [[1, 1]], [[3, 1, 3], [1, 2]]]),
        }
    ),
)
def test_the_naive_twin_agrees(
    random_model: Callable[..., Model], seed: int, size: int, options: dict[str, Any], more: dict[str, Any]
) -> None:
    """Beam search gives what a twin of twenty lines gives, hypotheses and scores, whatever the options."""
    longest, ends = options["max_length"], more["ends"]
    prefix = tuple(options["prefix"] or ())[:longest]
    given_options = {
        **options,
        "num_hypotheses": 1,
        "min_length": min(more["min_length"], longest),
        "prefix": [list(prefix), None, list(prefix)],
        "return_end_token": True,
        "end_tokens": list(ends),
        "no_repeat_ngram_size": more["no_repeat_ngram_size"],
        "suppress_sequences": more["suppress_sequences"],
    }
    model = random_model(seed, size)

    next_scores = rules_of(model, size, 4, {**given_options, "prefix": prefix})
    expected = naive_beam(next_scores, set(ends), longest, {**options, "num_hypotheses": 1})
    result = model.generate([[4], [5], [4]], **given_options)
    assert result[0].ids == result[2].ids
    assert result[0].score == pytest.approx(expected[0][0], abs=1e-4)
    assert result[0].ids == list(expected[0][1])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), options=option_sets, count=st.integers(2, 6))
def test_the_naive_twin_agrees_on_n_best(
    random_model: Callable[..., Model], seed: int, options: dict[str, Any], count: int
) -> None:
    """The n-best list too is the twin's."""
    options |= {"num_hypotheses": min(count, max(1, math.floor(options["beam_size"] * options["patience"] + 0.5)))}
    options |= {"prefix": None, "repetition_penalty": 1.0, "suppress_tokens": []}
    model = random_model(seed, 6)

    def next_scores(tokens: tuple[int, ...]) -> np.ndarray:
        scores = _log_probabilities(model, 4, tokens)
        scores[5] = -math.inf
        return scores

    expected = naive_beam(next_scores, {0}, options["max_length"], options)
    [result] = model.generate([[4]], **options, return_end_token=True)
    assert [h.ids for h in result.hypotheses] == [list(tokens) for _, tokens in expected]
    assert [h.score for h in result.hypotheses] == pytest.approx([score for score, _ in expected], abs=1e-4)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    options=option_sets,
    coverage=st.sampled_from([0.0, 0.4]),
    sources=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=6),
)
def test_scores_are_those_of_forced_decoding_sorted_and_distinct(
    random_model: Callable[..., Model],
    seed: int,
    options: dict[str, Any],
    coverage: float,
    sources: list[list[int]],
) -> None:
    """Every returned score equals score() of the returned tokens within 1e-4; hypotheses are sorted and distinct."""
    options |= {"coverage_penalty": coverage, "prefix": None}
    model = random_model(seed, 7, attention=True)
    results = model.generate(
        sources, **options, num_hypotheses=max(1, options["beam_size"] // 2), return_token_scores=True
    )
    penalties = {
        name: options[name]
        for name in ("length_penalty", "length_penalty_kind", "coverage_penalty", "repetition_penalty")
    }
    for source, result in zip(sources, results, strict=True):
        scores = [h.score for h in result.hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(h.ids) for h in result.hypotheses}) == len(result.hypotheses)
        for h in result.hypotheses:
            [forced] = model.score([source], [h.ids], add_end=h.finish_reason == "end", **penalties)
            assert h.score == pytest.approx(forced.score, abs=1e-4)
            assert h.token_scores == pytest.approx(forced.token_scores[: len(h.ids)], abs=1e-4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), size=st.integers(3, 8), longest=st.integers(1, 8))
def test_a_beam_of_one_is_greedy(random_model: Callable[..., Model], seed: int, size: int, longest: int) -> None:
    """Where no longer sequence can win (length penalty 0), the beam algorithm with one beam gives greedy's tokens."""
    from s2s_runtime.inputs.batches import make_batches
    from s2s_runtime.inputs.sources import read_sources
    from s2s_runtime.options import DecodingOptions
    from s2s_runtime.search.beam import beam_search
    from s2s_runtime.search.greedy import greedy_search
    from s2s_runtime.search.plan import make_plan

    model = random_model(seed, size, max_length=longest)
    options = DecodingOptions(length_penalty=0, return_scores=True)
    plan = make_plan(options, model.manifest)
    sources = read_sources([[1], [2, 3], [4]], model.manifest)
    [batch] = make_batches(sources, [[]] * 3, options, model.manifest)
    for one, other in zip(
        greedy_search(model._steps, batch, plan), beam_search(model._steps, batch, plan), strict=True
    ):
        assert one[0].ids == other[0].ids
        assert one[0].score == pytest.approx(other[0].score, abs=1e-5)


def test_beam_above_the_vocabulary(table_model: Callable[..., Model]) -> None:
    """A beam of 50 over 4 tokens works and returns the hypotheses that there are."""
    [result] = table_model(4, GARDEN_PATH, max_length=2).generate([[1]], beam_size=50, num_hypotheses=50)
    assert len({tuple(h.ids) for h in result.hypotheses}) == len(result.hypotheses) == 7


def test_max_length_is_reached_without_an_end_token(table_model: Callable[..., Model]) -> None:
    """A model that never ends stops at max_length, greedy and beam, with reason length."""
    model = table_model(4, {(1,) * n: {1: 1.0} for n in range(10)}, max_length=5)
    for beam_size in (1, 3):
        [result] = model.generate([[1]], beam_size=beam_size)
        assert result.ids == [1, 1, 1, 1, 1]
        assert result.hypotheses[0].finish_reason == "length"


def test_ended_rows_are_dropped(table_model: Callable[..., Model]) -> None:
    """A batch in which all but one sentence end at once doesn't carry the ended rows along."""
    model = table_model(4, {(): {0: 1.0}}, max_length=20)
    fake = model._steps
    plain = fake.logits
    endless = np.log(np.array([1e-9, 1.0, 1e-9, 1e-9]))
    fake.logits = lambda source, fed: np.where(source[:, :1] == 9, endless, plain(source, fed))
    for beam_size in (1, 2):
        fake.rows = 0
        results = model.generate([[1]] * 31 + [[9]], beam_size=beam_size)
        assert [len(result.ids) for result in results] == [0] * 31 + [20]
        assert fake.rows <= 32 + 20 * beam_size + 32 * beam_size
