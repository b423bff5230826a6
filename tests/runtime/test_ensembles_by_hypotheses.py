"""Ensembles whose members search by themselves and then choose among what all of them found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from s2s_runtime import Model, OptionError, ensemble

SOURCES = [[1], [2, 3], [4, 1, 2]]


def joined(models: Sequence[Model], **how: Any) -> Model:
    return ensemble(models, combine="hypotheses", **how)


@pytest.mark.parametrize("mean", ["probabilities", "log_probabilities"])
@pytest.mark.parametrize("seed", range(4))
def test_beams_as_large_as_all_outputs_find_the_best_by_enumeration(
    random_model: Callable[..., Model], seed: int, mean: str
) -> None:
    """All outputs are scored by the ensemble's own steps, as `score` does; and steps and hypotheses then agree."""
    models = [random_model(seed + 100 * i, 4, max_length=3) for i in range(3)]
    how: dict[str, Any] = {"mean": mean, "weights": [1, 2, 3]}
    together, by_steps = joined(models, **how), ensemble(models, **how)
    end = models[0].manifest.target.end_ids[0]
    start = models[0].manifest.target.start_id
    writes = [token for token in range(4) if token not in (end, start)]
    outputs = [ids for count in range(4) for ids in product(writes, repeat=count)]
    options: dict[str, Any] = {"beam_size": 40, "num_hypotheses": 40, "length_penalty": 0.5}
    for source in SOURCES:
        [found] = together.generate([source], **options)
        [expected] = by_steps.generate([source], **options)
        scores = {
            ids: by_steps.score([source], [ids], add_end=len(ids) < 3, length_penalty=0.5)[0].score for ids in outputs
        }
        assert {tuple(h.ids): pytest.approx(h.score, abs=1e-4) for h in found.hypotheses} == scores
        assert tuple(found.ids) == max(scores, key=lambda ids: scores[ids])
        assert [h.ids for h in found.hypotheses] == [h.ids for h in expected.hypotheses]


@pytest.mark.parametrize("beam", [1, 2, 3])
def test_what_is_chosen_is_the_best_of_what_members_find(random_model: Callable[..., Model], beam: int) -> None:
    """Each member's whole beam counts, whatever is returned; scores are those of `score`; batches change nothing."""
    for seed in range(8):
        models = [random_model(seed, 6, max_length=5), random_model(seed + 50, 6, max_length=5)]
        together = joined(models)
        results = together.generate(SOURCES, beam_size=beam, return_scores=True, return_token_scores=True)
        for source, result in zip(SOURCES, results, strict=True):
            own = [model.generate([source], beam_size=beam, num_hypotheses=beam)[0] for model in models]
            nominated = {tuple(h.ids): h.finish_reason == "end" for each in own for h in each.hypotheses}
            scores = {ids: together.score([source], [ids], add_end=end)[0] for ids, end in nominated.items()}
            best = max(scores, key=lambda ids: scores[ids].score)
            assert tuple(result.ids) == best
            assert result.score == pytest.approx(scores[best].score, abs=1e-4)
            expected = scores[best].token_scores[: len(best)]  # that of the end isn't returned
            assert result.hypotheses[0].token_scores == pytest.approx(expected, abs=1e-4)
            assert together.generate([source], beam_size=beam)[0].ids == result.ids


def test_other_options_hold(tiny: Model) -> None:
    """A model with itself is itself: prefixes, constraints, penalties, attention, alternatives, lists by workers."""
    both = joined([tiny, tiny])
    for options in (
        {},
        {"beam_size": 3, "num_hypotheses": 3, "coverage_penalty": 0.2, "return_attention": True},
        {"beam_size": 4, "allowed_sequences": ["BAD", "BED", "DEAD"], "num_hypotheses": 2},
        {"prefix": ["A", "B", "C"], "beam_size": 2, "no_repeat_ngram_size": 2},
        {"beam_size": 3, "num_hypotheses": 2, "return_alternatives": True},
        {"beam_size": 3, "num_hypotheses": 3, "min_bayes_risk": "edit_distance"},
        {"return_confidence": True, "bias": {"AB": 1.0}},
    ):
        sources: list[str] = ["abcab", "edc", "a"]
        for one, other in zip(tiny.generate(sources, **options), both.generate(sources, **options), strict=True):
            assert [h.ids for h in one.hypotheses] == [h.ids for h in other.hypotheses], options
            assert [h.score for h in one.hypotheses] == pytest.approx([h.score for h in other.hypotheses], abs=1e-4)
            if "return_attention" in options:
                np.testing.assert_allclose(one.hypotheses[0].attention, other.hypotheses[0].attention, atol=1e-5)
            if "return_confidence" in options:
                assert one.hypotheses[0].confidence == pytest.approx(other.hypotheses[0].confidence, abs=1e-5)
    many = ["abcab", "edc", "a", "", "bead"] * 40
    assert [r.text for r in both.generate(many, beam_size=2)] == [r.text for r in tiny.generate(many, beam_size=2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sampling_temperature": 1.0},
            "a sampling option: draws from one distribution, which an ensemble by hypotheses",
        ),
        ({"callback": lambda _: False}, "callback: hears of tokens before it is known which hypothesis is chosen"),
        ({"engine": "graph"}, "engine: 'graph' can't do what was asked for (this model has no such graph)"),
    ],
)
def test_options_without_a_meaning_are_refused(tiny: Model, options: dict[str, Any], message: str) -> None:
    """One line that says why."""
    with pytest.raises(OptionError) as caught:
        joined([tiny, tiny]).generate(["abc"], **options)
    assert message in str(caught.value)


def test_verbs_without_a_meaning_are_refused(tiny: Model) -> None:
    """A target that is chosen whole neither grows nor goes on."""
    both = joined([tiny, tiny])
    with pytest.raises(OptionError, match="stream: an ensemble by hypotheses knows a target when it has ended"):
        both.stream("abc")
    with pytest.raises(OptionError, match="an ensemble by hypotheses decodes whole targets: it has no state to go on"):
        both.encode(["abc"])
    with pytest.raises(OptionError, match="combine: expected 'steps' or 'hypotheses', got 'n-best'"):
        ensemble([tiny], combine="n-best")  # type: ignore[arg-type]
