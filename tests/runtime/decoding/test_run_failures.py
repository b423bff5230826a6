"""A failure of onnxruntime, or of memory, says which sources it was, and doesn't take the others with it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from s2s_runtime import Decoder, Model, RunError, S2SError
from s2s_runtime.search.step_model import StepOutput

SOURCES = ["abc", "e", "deab", "", "cde", "bad", "ea"]
D = 5  # the id of "d" in the source


class FailingModel:
    """The steps of a model; it fails where a row holds a "d" together with an "e", or, later, at a step."""

    def __init__(self, model: Model, *, at_step: bool = False, error: Exception | None = None) -> None:
        self.model, self.at_step = model.step_model, at_step
        self.error = error or RuntimeException("Non-zero status code\n returned while running LSTM node")
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, source: np.ndarray) -> Any:
        """Fail, or encode."""
        self.shapes.append(source.shape)
        self.fails = bool(((source == D).any(axis=1) & (source == D + 1).any(axis=1)).any())
        if self.fails and not self.at_step:
            raise self.error
        return self.model.encode(source)

    def step(self, states: Any, tokens: np.ndarray, *, attention: bool = False) -> StepOutput:
        """Fail, or step."""
        if self.fails:
            raise self.error
        return self.model.step(states, tokens, attention=attention)

    def reorder(self, states: Any, rows: np.ndarray) -> None:
        """Move rows."""
        self.model.reorder(states, rows)

    def select(self, states: Any, rows: np.ndarray) -> Any:
        """Pick rows."""
        return self.model.select(states, rows)


@pytest.mark.parametrize("at_step", [False, True])
@pytest.mark.parametrize("options", [{}, {"beam_size": 3}, {"sampling_temperature": 2.0, "seed": 1}], ids=str)
def test_the_others_are_decoded_without_it(tiny: Model, at_step: bool, options: dict[str, Any]) -> None:
    """With `on_error="return"`, whatever else is in the batch: halves of it, until those that fail stand alone."""
    model = Model(tiny.manifest, FailingModel(tiny, at_step=at_step))
    results = model.generate(SOURCES, on_error="return", **options)
    expected = tiny.generate(SOURCES, engine="steps", **options)
    for i, (result, other) in enumerate(zip(results, expected, strict=True)):
        if i in (2, 4):
            assert isinstance(result.error, RunError)
            assert result.error.sources == (i,)
            assert str(result.error).startswith(f"inputs[{i}]: a source of up to ")
            assert "onnxruntime: Non-zero status code returned while running LSTM node; leave out" in str(result.error)
            assert pickle.loads(pickle.dumps(result.error)).sources == (i,)
        else:
            assert result == other
    windows = list(model.generate_iter(SOURCES, read_ahead=3, on_error="return", **options))
    assert [None if r.error is None else r.error.sources for r in windows] == [  # type: ignore[attr-defined]
        None if r.error is None else r.error.sources
        for r in results  # type: ignore[attr-defined]
    ]


def test_otherwise_it_is_one_error_that_names_the_batch(tiny: Model) -> None:
    """By every verb: an S2SError, no error of onnxruntime's."""
    model = Model(tiny.manifest, FailingModel(tiny))
    with pytest.raises(RunError, match=r"^inputs\[0\], inputs\[2\]: 2 sources together of up to 5 tokens failed: onnx"):
        model.generate(SOURCES, max_batch_size=2)
    for call in (
        lambda: model.score(["de"], ["A"]),
        lambda: list(model.stream("de")),
        lambda: model.generate(["de"], return_alternatives=True, num_hypotheses=2),
    ):
        with pytest.raises(S2SError, match=r"inputs\[0\]: a source of up to 3 tokens failed: onnxruntime: Non-zero"):
            call()
    with pytest.raises(RunError, match=r"inputs\[3\]: "):
        list(model.generate_iter(["ab", "c", "e", "de"], read_ahead=3))
    with pytest.raises(RunError, match=r"^inputs\[1\]: a source"):  # a row's part, not the part's own number
        model.generate(["abc", "abcde"], max_source_length=4, on_long="split", max_batch_size=1)


def test_memory_that_runs_out_is_such_an_error_too(tiny: Model) -> None:
    """Numpy's error, when something is too large to be laid out; a programming error stays what it is."""
    model = Model(tiny.manifest, FailingModel(tiny, error=MemoryError("Unable to allocate 4 TiB")))
    with pytest.raises(RunError, match=r"not enough memory \(Unable to allocate 4 TiB\); leave out what is too long"):
        model.generate(["de"])
    model = Model(tiny.manifest, FailingModel(tiny, error=ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        model.generate(["de"], on_error="return")


def test_who_waits_for_another_sentence_gets_it(tiny: Model) -> None:
    """A `Decoder`: those that came with the one that fails are decoded; its own future has the error."""
    with Decoder(Model(tiny.manifest, FailingModel(tiny))) as decoder:
        futures = [decoder.submit(source) for source in SOURCES]
        for i, (future, source) in enumerate(zip(futures, SOURCES, strict=True)):
            if i in (2, 4):
                assert isinstance(future.exception(20), RunError)
            else:
                assert future.result(20) == tiny.generate([source])[0]


def test_halves_are_padded_as_they_need(tiny: Model) -> None:
    """Short sentences that stood beside a long one that fails don't carry its padding."""
    failing = FailingModel(tiny)
    Model(tiny.manifest, failing).generate(["a", "de" + "a" * 30, "b"], on_error="return")
    assert failing.shapes == [(3, 33), (2, 33), (1, 33), (1, 2), (1, 2)]


def test_events_are_told_once(tiny: Model) -> None:
    """With a callback nothing is decoded again: the error is raised, or would be told twice."""
    steps: list[tuple[int, int]] = []
    model = Model(tiny.manifest, FailingModel(tiny))
    with pytest.raises(RunError):
        model.generate(
            ["ab", "de"],
            max_batch_size=1,
            on_error="return",
            callback=lambda event: steps.append((event.sentence, event.step)),
        )
    assert len(steps) == len(set(steps))


class FailingLater(FailingModel):
    """The steps of a model, which fails from its second batch on."""

    def encode(self, source: np.ndarray) -> Any:
        """Encode; fail at the second call."""
        self.shapes.append(source.shape)
        self.fails = len(self.shapes) > 1
        return self.model.encode(source)


def test_alternatives_name_their_source(tiny: Model) -> None:
    """Each source is decoded again with each of its likeliest next tokens: what fails then is about the source."""
    wanted: dict[str, Any] = {"return_alternatives": True, "num_hypotheses": 3}
    with pytest.raises(RunError, match=r"^inputs\[0\]: "):
        Model(tiny.manifest, FailingLater(tiny)).generate(["abc"], **wanted)
    [result] = Model(tiny.manifest, FailingLater(tiny)).generate(["abc"], on_error="return", **wanted)
    assert isinstance(result.error, RunError)
    assert result.error.sources == (0,)


def test_the_likeliest_next_tokens_of_the_others_are_found(tiny: Model) -> None:
    """Where the first tokens of a batch can't be computed, those of its other sources are, and decoded on."""
    wanted: dict[str, Any] = {"return_alternatives": True, "num_hypotheses": 2}
    results = Model(tiny.manifest, FailingModel(tiny)).generate(SOURCES, on_error="return", **wanted)
    for i, (result, other) in enumerate(zip(results, tiny.generate(SOURCES, engine="steps", **wanted), strict=True)):
        if i in (2, 4):
            assert isinstance(result.error, RunError)
            assert result.error.sources == (i,)
        else:
            assert [each.ids for each in result.hypotheses] == [each.ids for each in other.hypotheses]
    with pytest.raises(RunError):
        Model(tiny.manifest, FailingModel(tiny)).generate(SOURCES, **wanted)


def test_states_that_are_led_on_fail_so_too(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """An S2SError, as by every verb."""
    state = tiny.encode(["abc"])

    def fail(*_: Any, **__: Any) -> StepOutput:
        raise MemoryError("x")

    monkeypatch.setattr(tiny.step_model, "step", fail, raising=False)
    with pytest.raises(RunError, match=r"^inputs\[0\]: .*not enough memory \(x\)"):
        tiny.advance(state, ["A"])
