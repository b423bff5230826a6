"""Functions that change logits: called as people know it, in every search, and counted by scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from naive_beam import naive_beam

from s2s_runtime import Model, OptionError


def processed(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """What is likely becomes less so by what was written; token 2 never follows token 1; after 3, 3 nothing does."""
    changed = logits * 0.5 + np.cos(ids.sum(axis=1, keepdims=True) + np.arange(logits.shape[1]))
    last = ids[:, -2:] if ids.shape[1] > 1 else np.zeros((len(ids), 2), np.int64)
    changed[(ids[:, -1:] == 1).any(axis=1), 2] = -np.inf
    changed[(last == 3).all(axis=1)] = -np.inf
    return np.asarray(changed, logits.dtype)


@pytest.mark.parametrize("seed", range(10))
def test_every_search_reads_what_it_returns(random_model: Callable[..., Model], seed: int) -> None:
    """Greedy and beam search, and scores, are those of a model that has such logits itself, by the twin."""
    model = random_model(seed, 6, max_length=5)
    options = {"length_penalty": 0.5, "length_penalty_kind": "average", "patience": 1.0, "num_hypotheses": 1}

    def next_scores(tokens: tuple[int, ...]) -> np.ndarray:
        fed = np.array([tokens], np.int64).reshape(1, -1)
        logits = processed(fed, np.array(model._steps.logits(np.array([[4]]), fed), np.float64))[0]  # type: ignore[attr-defined]
        if np.isneginf(logits).all():
            return logits
        scores = logits - np.logaddexp.reduce(logits)
        scores[5] = -np.inf
        return np.asarray(scores)

    for beam in (2, 3, 6):
        given = {**options, "beam_size": beam, "logits_processor": processed, "return_end_token": True}
        results = model.generate([[4], [7, 8], [4]], **given)
        [(score, tokens)] = naive_beam(next_scores, {0}, 5, {**options, "beam_size": beam})
        assert results[0].ids == results[2].ids == list(tokens)
        assert results[0].score == pytest.approx(score, abs=1e-4)
        scored = model.score([[4]], [tokens], add_end=False, length_penalty=0.5, logits_processor=processed)
        assert scored[0].score == pytest.approx(score, abs=1e-4)
    [greedy] = model.generate([[4]], logits_processor=processed, return_end_token=True, return_scores=True)
    written: tuple[int, ...] = ()
    while len(written) < 5 and written[-1:] != (0,) and np.isfinite(next_scores(written)).any():
        written = (*written, int(next_scores(written).argmax()))
    assert tuple(greedy.ids) == written


def test_it_is_called_with_all_rows_and_what_they_wrote(tiny: Model) -> None:
    """Ids without the start token, logits before the softmax, its own to change; once a step, from one thread."""
    calls: list[tuple[Any, Any]] = []

    def note(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        calls.append((ids.copy(), logits.copy()))
        logits[:] = 7.0  # its own
        return calls[-1][1]

    plain = tiny.generate(["abc", "de"], beam_size=2, engine="steps")
    noted = tiny.generate(["abc", "de"], beam_size=2, logits_processor=note)
    assert [r.to_dict() for r in noted] == [r.to_dict() for r in plain]
    assert [ids.shape[1] for ids, _ in calls] == list(range(len(calls)))
    assert all(ids.dtype == np.int64 and logits.dtype == np.float32 for ids, logits in calls)
    assert all(len(ids) == len(logits) and logits.shape[1] == 8 for ids, logits in calls)
    assert noted.engine == "steps"
    assert noted.obstacles == ["logits_processor"]
    assert tiny.generate(["abc"]).engine == "graph"


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (5, "logits_processor: expected a function, got 5"),
        (lambda ids, logits: None, "logits_processor: expected it to return float logits of shape (1, 8), got None"),
        (lambda ids, logits: logits[:, :3], "of shape (1, 8), got float32 of shape (1, 3)"),
        (lambda ids, logits: logits > 0, "of shape (1, 8), got bool of shape (1, 8)"),
        (
            lambda ids, logits: logits * np.nan,
            "logits_processor: expected it to return numbers or -inf, got nan",
        ),
    ],
)
def test_what_is_no_processor_is_one_error(tiny: Model, processor: Any, message: str) -> None:
    """It says what was returned, and what has to be."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], logits_processor=processor)
    assert message in str(caught.value)
    for other in ({"required_phrases": ["A"], "beam_size": 2}, {"allowed_sequences": ["A"]}):
        with pytest.raises(OptionError):
            tiny.generate(["abc"], logits_processor=lambda ids, logits: logits, **other)
