"""A model's life: closed, shared between threads, and its running calls cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s2s_runtime
from s2s_runtime import CancelledError, ClosedModelError, Model, S2SError

VERBS: dict[str, Callable[[Model], object]] = {
    "generate": lambda model: model.generate(["abc"]),
    "generate_iter": lambda model: model.generate_iter(["abc"]),
    "prepare": lambda model: model.prepare(),
    "stream": lambda model: model.stream("abc"),
    "score": lambda model: model.score(["abc"], ["A"]),
    "encode": lambda model: model.encode(["abc"]),
    "step_model": lambda model: model.step_model,
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_model_says_so(fixtures: Path, verb: str) -> None:
    """Every verb raises one clear error; closing twice is none; what the bundle says stays readable."""
    model = s2s_runtime.load(fixtures / "tiny.s2s")
    assert not model.closed
    model.close()
    model.close()
    assert model.closed
    with pytest.raises(ClosedModelError, match="this model is closed; load the bundle again") as caught:
        VERBS[verb](model)
    assert isinstance(caught.value, S2SError | ValueError)
    assert model.manifest.target.size == 8


def test_a_model_is_a_context_manager(fixtures: Path) -> None:
    """`with` closes it, also when what is inside fails."""
    with s2s_runtime.load(fixtures / "tiny.s2s") as model:
        assert model.generate(["abc"])
    assert model.closed
    with pytest.raises(ZeroDivisionError), s2s_runtime.load(fixtures / "tiny.s2s") as model:
        _ = 1 / 0
    assert model.closed


def test_a_call_that_runs_while_the_model_is_closed_ends_as_usual(fixtures: Path) -> None:
    """Closing drops the graphs for later calls only: an iterator that was begun goes on."""
    model = s2s_runtime.load(fixtures / "tiny.s2s")
    expected = [result.ids for result in model.generate(["abc", "de", "e"])]
    results = model.generate_iter(["abc", "de", "e"], read_ahead=1)
    found = [next(results).ids]
    model.close()
    assert found + [result.ids for result in results] == expected


class CountedSignal:
    """Set from the n-th look on."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_set(self) -> bool:
        """Count a look."""
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize(
    "options",
    [
        {"engine": "steps"},
        {"beam_size": 3, "engine": "steps"},
        {
            "sampling_top_k": 3,
            "num_hypotheses": 2,
            "seed": 1,
            "engine": "steps",
        },  # unseeded draws may both end before the last look
    ],
)
@pytest.mark.parametrize("looks", [0, 1, 3])
def test_cancelling_ends_a_call_within_a_step(tiny: Model, options: dict[str, Any], looks: int) -> None:
    """Looked at before encoding and before each step; then nothing is returned and the model works on."""
    expected = [result.ids for result in tiny.generate(["abcde"])]
    signal = CountedSignal(looks)
    with pytest.raises(CancelledError, match="the call was cancelled; nothing of it is returned") as caught:
        tiny.generate(["abcde"], cancel=signal, **options)
    assert signal.looks == -1
    assert isinstance(caught.value, RuntimeError)
    assert [result.ids for result in tiny.generate(["abcde"])] == expected


def test_every_verb_that_runs_the_model_can_be_cancelled(tiny: Model, fixtures: Path) -> None:
    """Score, stream, alternatives, iterators and prediction too; an event that isn't set changes nothing."""
    event = threading.Event()
    assert tiny.generate(["abc"], cancel=event)[0].ids == tiny.generate(["abc"])[0].ids
    event.set()
    for call in (
        lambda: tiny.score(["abc"], ["A"], cancel=event),
        lambda: list(tiny.stream("abc", cancel=event)),
        lambda: tiny.generate(["abc"], return_alternatives=True, num_hypotheses=2, cancel=event),
        lambda: list(tiny.generate_iter(["abc"], cancel=event)),
        lambda: tiny.generate_from(tiny.encode(["abc"]), cancel=event),
        lambda: s2s_runtime.load(fixtures / "tiny-values.s2s").predict(np.zeros((1, 2, 2)), cancel=event),
    ):
        with pytest.raises(CancelledError):
            call()


def test_another_thread_can_cancel(random_model: Callable[..., Model]) -> None:
    """A call that would run for long ends soon after the event is set from outside."""
    model = random_model(0, 5, max_length=30)
    step = model.step_model.step
    model.step_model.step = lambda *arguments, **named: (time.sleep(0.01), step(*arguments, **named))[1]
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    with pytest.raises(CancelledError):
        model.generate([[1]] * 10, max_batch_size=1, end_tokens=[], cancel=event)


@pytest.mark.parametrize("name", ["tiny", "tiny-onehot"])
def test_eight_threads_share_a_model(fixtures: Path, name: str) -> None:
    """Eight threads that decode, score and stream with one model at once get exactly what one thread gets."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    sources = ["abc", "d", "abcd", "dcba", "aab", "cd"]

    def work(number: int) -> list[object]:
        own = sources[number % len(sources) :] + sources[: number % len(sources)]
        beams = model.generate(own, beam_size=3, num_hypotheses=2, return_token_scores=True)
        samples = model.generate(own, sampling_temperature=2.0, seed=number)
        scores = model.score(own, [result.ids for result in beams])
        return [
            [result.to_dict() for result in beams],
            [result.ids for result in samples],
            [score.token_scores for score in scores],
            list(model.stream(own[0])),
        ]

    expected = [work(number) for number in range(64)]
    start = threading.Barrier(8)

    def together(thread: int) -> list[list[object]]:
        start.wait()
        return [work(number) for number in range(thread, 64, 8)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(together, range(8)))
    for thread, results in enumerate(found):
        assert results == expected[thread::8]
