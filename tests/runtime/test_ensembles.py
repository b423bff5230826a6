"""Ensembles: the mean of their members' opinions at each step, through the same search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import s2s_runtime
from s2s_runtime import Model, OptionError, ensemble

SOURCES = ["abcab", "edc", "a"]


@pytest.mark.parametrize("mean", ["probabilities", "log_probabilities"])
def test_a_model_with_itself_is_itself(tiny: Model, mean: str) -> None:
    """Tokens, scores, attention: greedy, beam, sampled, scored."""
    both = ensemble([tiny, tiny, tiny], mean=mean)  # type: ignore[arg-type]
    for options in (
        {"return_scores": True, "return_attention": True},
        {"beam_size": 3, "num_hypotheses": 3, "coverage_penalty": 0.1},
        {"sampling_temperature": 2.0, "seed": 1, "num_hypotheses": 3},
    ):
        for one, other in zip(tiny.generate(SOURCES, **options), both.generate(SOURCES, **options), strict=True):
            assert [h.ids for h in one.hypotheses] == [h.ids for h in other.hypotheses]
            assert [h.score for h in one.hypotheses] == pytest.approx([h.score for h in other.hypotheses], abs=1e-4)
            if one.hypotheses[0].attention is not None:
                np.testing.assert_allclose(one.hypotheses[0].attention, other.hypotheses[0].attention, atol=1e-5)
    assert "".join(both.stream("abc")) == tiny.generate(["abc"])[0].text


def test_means_follow_their_definition(table_model: Callable[..., Model]) -> None:
    """Probabilities: (0.6 + 0.2) / 2. Log-probabilities: sqrt of the product, normalised. By hand."""
    first = table_model(4, {(): {1: 0.6, 2: 0.3, 0: 0.1}}, max_length=1)
    second = table_model(4, {(): {1: 0.2, 2: 0.4, 0: 0.4}}, max_length=1)
    options = {"beam_size": 3, "num_hypotheses": 3, "length_penalty": 0}
    [arithmetic] = ensemble([first, second]).generate([[1]], **options)
    found = {tuple(h.ids): np.exp(h.score) for h in arithmetic.hypotheses}
    assert found == pytest.approx({(1,): 0.4, (2,): 0.35, (): 0.25}, abs=1e-5)
    [geometric] = ensemble([first, second], mean="log_probabilities").generate([[1]], **options)
    products = np.sqrt([0.6 * 0.2, 0.3 * 0.4, 0.1 * 0.4])
    found = {tuple(h.ids): np.exp(h.score) for h in geometric.hypotheses}
    expected = products / products.sum()
    assert found == pytest.approx({(1,): expected[0], (2,): expected[1], (): expected[2]}, abs=1e-5)


def test_weights_follow_their_definition(table_model: Callable[..., Model]) -> None:
    """(3 * 0.6 + 0.2) / 4; the fourth root of the product of powers, normalised. Only ratios matter. By hand."""
    first = table_model(4, {(): {1: 0.6, 2: 0.3, 0: 0.1}}, max_length=1)
    second = table_model(4, {(): {1: 0.2, 2: 0.4, 0: 0.4}}, max_length=1)
    options = {"beam_size": 3, "num_hypotheses": 3, "length_penalty": 0}
    for weights in ([3, 1], [0.75, 0.25], np.array([30.0, 10.0])):
        [arithmetic] = ensemble([first, second], weights=weights).generate([[1]], **options)
        found = {tuple(h.ids): np.exp(h.score) for h in arithmetic.hypotheses}
        assert found == pytest.approx({(1,): 0.5, (2,): 0.325, (): 0.175}, abs=1e-5)
        [geometric] = ensemble([first, second], mean="log_probabilities", weights=weights).generate([[1]], **options)
        products = np.array([0.6, 0.3, 0.1]) ** 0.75 * np.array([0.2, 0.4, 0.4]) ** 0.25
        expected = dict(zip([(1,), (2,), ()], products / products.sum(), strict=True))
        assert {tuple(h.ids): np.exp(h.score) for h in geometric.hypotheses} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "weights", [[1], [1, 2, 3], [1, 0], [1, -1], [1, float("nan")], [1, True], "12", [1, float("inf")]]
)
def test_wrong_weights_are_refused(tiny: Model, weights: object) -> None:
    """A number above 0 for each model."""
    with pytest.raises(OptionError, match="weights: expected a number above 0 for each of 2 models, got "):
        ensemble([tiny, tiny], weights=weights)  # type: ignore[arg-type]


def test_scores_are_those_of_forced_decoding(random_model: Callable[..., Model]) -> None:
    """The law of single models holds: every returned score equals score() of the returned tokens."""
    for seed in range(20):
        together = ensemble([random_model(seed, 6), random_model(seed + 100, 6)])
        for result in together.generate([[1, 2], [3]], beam_size=4, num_hypotheses=4):
            for h in result.hypotheses:
                source = [int(token) for token in result.source_tokens]
                [forced] = together.score([source], [h.ids], add_end=h.finish_reason == "end")
                assert h.score == pytest.approx(forced.score, abs=1e-4)


def test_members_count_alike_in_any_order(random_model: Callable[..., Model]) -> None:
    """The mean doesn't depend on the order of the members."""
    models = [random_model(seed, 6) for seed in range(3)]
    one, other = ensemble(models), ensemble(models[::-1])
    for beam_size in (1, 3):
        found = [[r.ids for r in each.generate([[1], [2, 3]], beam_size=beam_size)] for each in (one, other)]
        assert found[0] == found[1]


def test_an_ensemble_lives_by_itself(fixtures: Path) -> None:
    """Closing it leaves its members open, and closing a member leaves it open; states can be taken out."""
    members = [s2s_runtime.load(fixtures / "tiny.s2s") for _ in range(2)]
    together = ensemble(members)
    state = together.advance(together.encode(SOURCES), ["A", "", "B"])
    assert {"0.state.0", "1.state.0"} <= set(state.arrays)
    members[0].close()
    assert len(together.generate_from(state)) == 3
    assert [r.ids for r in together.generate_from(together.encode(SOURCES))] == [
        r.ids for r in together.generate(SOURCES)
    ]
    together.close()
    assert members[1].generate(["a"])
    with pytest.raises(s2s_runtime.ClosedModelError):
        ensemble(members)


def test_models_that_do_not_fit_are_refused(tiny: Model, tiny_onehot: Model, fixtures: Path) -> None:
    """Each difference is named."""
    with pytest.raises(OptionError, match="models: expected at least one, got none"):
        ensemble([])
    with pytest.raises(OptionError, match=r"models\[1\]: its source kind is not that of models\[0\].*; models\[1\]: "):
        ensemble([tiny, tiny_onehot])
    with pytest.raises(OptionError, match=r"models\[0\]: gives values, not tokens"):
        ensemble([s2s_runtime.load(fixtures / "tiny-values.s2s")])
    with pytest.raises(OptionError, match="mean: expected 'probabilities' or 'log_probabilities', got 'median'"):
        ensemble([tiny], mean="median")  # type: ignore[arg-type]
    deaf = Model(replace(tiny.manifest, attention=False), tiny.step_model)
    assert not ensemble([tiny, deaf]).manifest.attention
