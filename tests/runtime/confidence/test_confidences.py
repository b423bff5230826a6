"""How sure the model is: probabilities at the bundle's temperature, of tokens, words and the whole."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from places import TINY

import s2s_runtime
from s2s_runtime import Model, OptionError
from s2s_runtime.bundle.calibration import Calibration
from s2s_runtime.bundle.manifest_file import Manifest
from s2s_runtime.confidence.confidences import word_confidences
from s2s_runtime.errors import BundleError
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary

SOURCES = ["abc", "deed", "b", "", "aceba"]
CALIBRATION = Calibration(temperature=1.7, pairs=3, loss_before=0.5, loss_after=0.4)


def calibrated(model: Model, temperature: float) -> Model:
    """The same model with another temperature in its manifest."""
    manifest = replace(model.manifest, calibration=replace(CALIBRATION, temperature=temperature))
    return Model(manifest, model.step_model, model.provider)


def shares(model: Model, source: str, written: Sequence[int], temperature: float) -> np.ndarray:
    """The oracle: the probability of every token after some others, by scoring each of them, flattened."""
    size = model.manifest.target.size
    scored = model.score([source] * size, [[*written, token] for token in range(size)], add_end=False)
    flattened = np.array([score.token_scores[-1] for score in scored], np.float64) / temperature
    return np.exp(flattened) / np.exp(flattened).sum()


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 3, "num_hypotheses": 3},
        {"sampling_top_k": 4, "seed": 1, "num_hypotheses": 2},
        {"max_length": 2},
    ],
    ids=str,
)
def test_confidences_are_probabilities_at_the_temperature(temperature: float, options: dict[str, Any]) -> None:
    """Of every token, whatever searched for it; the end counts in the whole; what is written stays the same."""
    model = s2s_runtime.load(TINY)
    asked = {**options, "return_confidence": True, "return_top_tokens": 3, "return_end_token": True}
    end = model.manifest.target.end_ids[0]
    for source, plain, result in zip(
        SOURCES,
        model.generate(SOURCES, **options),
        calibrated(model, temperature).generate(SOURCES, **asked),
        strict=True,
    ):
        for before, each in zip(plain.hypotheses, result.hypotheses, strict=True):
            assert [token for token in each.ids if token != end] == before.ids
            rows = [shares(model, source, each.ids[:step], temperature) for step in range(len(each.ids))]
            own = [row[token] for row, token in zip(rows, each.ids, strict=True)]
            assert each.token_confidences == pytest.approx(own, abs=1e-4)
            assert each.confidence == pytest.approx(math.prod(own), abs=1e-4)
            assert [sure for top in each.top_tokens or [] for _, sure in top] == pytest.approx(
                [share for row in rows for share in sorted(row)[:-4:-1]], abs=1e-4
            )
        assert result.confidence == result.hypotheses[0].confidence


def test_the_end_is_in_the_whole_though_it_is_not_returned() -> None:
    """Words multiply to it; without an end token among the ids, tokens alone don't."""
    [result] = s2s_runtime.load(TINY).generate(["abc"], return_confidence=True)
    [best] = result.hypotheses
    assert len(best.token_confidences or []) == len(best.ids)
    assert math.prod(best.token_confidences or []) > (result.confidence or 0) > 0
    assert math.prod(share for _, share in best.word_confidences or []) == pytest.approx(result.confidence)
    assert best.top_tokens is None
    assert "confidence" in best.to_dict()
    assert "top_tokens" not in best.to_dict()


@pytest.mark.parametrize(
    ("unit", "tokens", "words"),
    [
        ("char", [*"ab c"], [("ab", 0.5**3), ("c", 0.5**2)]),
        ("char", [*" ab "], [("ab", 0.5**5)]),
        ("char", [], []),
        ("word", ["ab", "c"], [("ab", 0.5), ("c", 0.5**2)]),
        ("sentencepiece", ["▁a", "b", "▁c"], [("ab", 0.5**2), ("c", 0.5**2)]),
        (None, ["4", "7"], [("4", 0.5), ("7", 0.5**2)]),
    ],
)
def test_words_have_their_blanks_and_the_last_the_end(
    unit: str | None, tokens: list[str], words: list[tuple[str, float]]
) -> None:
    """All tokens being one half sure."""
    vocabulary = None if unit is None else Vocabulary("char", ("a",))
    if vocabulary is not None:
        object.__setattr__(vocabulary, "unit", unit)
    assert word_confidences(tokens, [0.5] * (len(tokens) + 1), vocabulary) == words


def test_parts_of_a_long_source_multiply() -> None:
    """The confidence of the joined output is that all of its parts are right."""
    model = s2s_runtime.load(TINY)
    [result] = model.generate(
        ["abc de"], unknown_symbols="skip", max_source_length=4, on_long="split", return_confidence=True
    )
    assert len(result.parts) == 2
    assert result.confidence == pytest.approx(math.prod(part.confidence or 0 for part in result.parts))
    assert len(result.hypotheses[0].token_confidences or []) == len(result.ids)


def test_an_ensemble_has_no_temperature() -> None:
    """That of one model says nothing of several."""
    model = s2s_runtime.load(TINY)
    both = s2s_runtime.ensemble([calibrated(model, 3.0), calibrated(model, 3.0)])
    [plain], [together] = (each.generate(["abc"], return_confidence=True) for each in (model, both))
    assert together.confidence == pytest.approx(plain.confidence, abs=1e-5)


def test_a_failed_source_has_none() -> None:
    """It has an error instead."""
    failed = s2s_runtime.load(TINY).generate(["ab", "aXb"], return_confidence=True, on_error="return")
    assert [result.confidence is None for result in failed] == [False, True]


def test_the_manifest_keeps_it() -> None:
    """Read as written; what is no temperature is refused; without one nothing stands in the file."""
    manifest = s2s_runtime.load(TINY).manifest
    assert "calibration" not in manifest.to_dict()
    written = replace(manifest, calibration=CALIBRATION).to_dict()
    assert Manifest.from_dict(written).calibration == CALIBRATION
    for wrong, message in (
        ({"temperature": 0}, "calibration.temperature: expected a number above 0, got 0"),
        ({"temperature": "1"}, "calibration.temperature: expected a finite number, got '1'"),
        ({"loss_after": float("nan")}, "calibration.loss_after: expected a finite number, got nan"),
        ({"pairs": 0}, "calibration.pairs"),
        ({"more": 0}, "more"),
    ):
        with pytest.raises(BundleError) as caught:
            Manifest.from_dict({**written, "calibration": {**CALIBRATION.to_dict(), **wrong}})
        assert message in str(caught.value)


def test_streams_have_none() -> None:
    """What is streamed isn't fed once more."""
    with pytest.raises(OptionError, match="return_confidence"):
        list(s2s_runtime.load(TINY).stream("abc", return_confidence=True))
