"""Sentences that come one at a time, decoded together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2s_runtime
from s2s_runtime import ClosedModelError, Decoder, InputError, Model, OptionError, QueueFullError, UnknownSymbolError
from s2s_runtime.errors import CancelledError

TEXTS = ["abc", "de", "edcba", "b", "", "cd", "ee", "dcb"] * 4
SECONDS = 60


class Gated:
    """A step model that holds each encoding until it is let go, and notes what it is asked to do."""

    def __init__(self, model: Model, *, gate: bool = True) -> None:
        self._model: Any = model.step_model
        self.encoded: list[int] = []
        self.written: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()
        if not gate:
            self.go.set()

    def encode(self, source: np.ndarray) -> Any:
        """Wait, then encode."""
        self.encoded.append(len(source))
        self.begun.set()
        assert self.go.wait(SECONDS)
        return self._model.encode(source)

    def write(self, states: Any, tokens: np.ndarray, writing: Any) -> Any:
        """Note the rows."""
        self.written.append(len(tokens))
        return self._model.write(states, tokens, writing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 3, "num_hypotheses": 3, "return_token_scores": True},
        {"return_scores": True},
        {"sampling_top_k": 2, "seed": 3},
        {"end_tokens": [], "max_length_ratio": 2.0, "max_batch_size": 24, "batch_by": "tokens"},
        {"engine": "steps", "return_attention": True},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_each_sentence_gives_what_generate_gives(tiny: Model, options: Any) -> None:
    """From many threads, by a graph and step by step, empty ones too."""
    options = {"max_batch_size": 6, **options}
    with Decoder(tiny, **options) as decoder, ThreadPoolExecutor(4) as pool:
        futures = list(pool.map(decoder.submit, TEXTS))
        found = [future.result(SECONDS) for future in futures]
    for one, other in zip(found, tiny.generate(TEXTS, **options), strict=True):
        assert [h.ids for h in one.hypotheses] == [h.ids for h in other.hypotheses]
        assert [h.score for h in one.hypotheses] == pytest.approx([h.score for h in other.hypotheses], abs=1e-5)
        assert one.source_tokens == other.source_tokens


@settings(max_examples=25)
@given(
    texts=st.lists(st.text("abcde", max_size=12), max_size=16),
    size=st.integers(1, 9),
    gap=st.integers(1, 5),
    beam=st.sampled_from([1, 2]),
)
def test_whenever_they_come(tiny: Model, texts: list[str], size: int, gap: int, beam: int) -> None:
    """Waiting now and then for one of those before: the same tokens."""
    with Decoder(tiny, max_batch_size=size, max_length=30, beam_size=beam) as decoder:
        futures = []
        for place, text in enumerate(texts):
            futures.append(decoder.submit(text))
            if place % gap == 0:
                futures[place // 2].result(SECONDS)
        found = [future.result(SECONDS).ids for future in futures]
    assert found == [r.ids for r in tiny.generate(texts, max_length=30, beam_size=beam)]


@pytest.mark.parametrize("name", ["tiny-onehot", "tiny-none", "tiny-probabilities"])
def test_other_bundles(fixtures: Path, name: str) -> None:
    """Models without a mask, and those to which no token is fed back."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    rng = np.random.default_rng(2)
    longest = model.manifest.padding.length or 6
    rows = [rng.integers(2, model.manifest.source.size, rng.integers(1, longest + 1)) for _ in range(20)]
    with Decoder(model, max_batch_size=8) as decoder:
        found = [future.result(SECONDS).ids for future in [decoder.submit(row) for row in rows]]
    assert found == [r.ids for r in model.generate(rows)]


def test_those_that_come_meanwhile_are_the_next_batch(tiny: Model) -> None:
    """What comes while a batch is decoded is the next batch, together."""
    gated = Gated(tiny)
    with Decoder(Model(tiny.manifest, gated), end_tokens=[], max_length=40) as decoder:
        first = decoder.submit("abcde")
        assert gated.begun.wait(SECONDS)
        write = gated.write
        others: list[Any] = []

        def write_then_submit(*arguments: Any) -> np.ndarray:
            if not others:
                others.extend(decoder.submit(text) for text in ("b", "dcb"))
            return write(*arguments)

        gated.write = write_then_submit  # type: ignore[method-assign]
        gated.go.set()
        results = [first.result(SECONDS).text]
        results += [future.result(SECONDS).text for future in others]
    assert results == [r.text for r in tiny.generate(["abcde", "b", "dcb"], end_tokens=[], max_length=40)]
    assert gated.encoded == [1, 2]
    assert gated.written == [1, 2]


def test_a_wrong_sentence_is_refused_at_once(tiny: Model) -> None:
    """By submit itself; the others don't notice."""
    with Decoder(tiny) as decoder:
        good = decoder.submit("abc")
        with pytest.raises(UnknownSymbolError):
            decoder.submit("aXc")
        with pytest.raises(InputError):
            decoder.submit([99])
        assert good.result(SECONDS).text == tiny.generate(["abc"])[0].text


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 0},
        {"prefix": ["A"]},
        {"return_alternatives": True},
        {"max_waiting": 0},
        {"engine": "graph", "return_attention": True},
    ],
    ids="-".join,
)
def test_wrong_options_are_refused_at_once(tiny: Model, options: Any) -> None:
    """Before anything waits."""
    with pytest.raises(OptionError, match=f"^{next(iter(options))}: "):
        Decoder(tiny, **options)


def test_what_breaks_is_told_and_not_the_end(tiny: Model) -> None:
    """An error that nobody foresaw reaches those who wait, and what comes next is decoded."""
    gated = Gated(tiny)
    encode = gated.encode

    def break_once(source: np.ndarray) -> Any:
        gated.encode = encode  # type: ignore[method-assign]
        raise ZeroDivisionError("no room")

    gated.encode = break_once  # type: ignore[method-assign]
    gated.go.set()
    with Decoder(Model(tiny.manifest, gated), max_batch_size=1) as decoder:
        with pytest.raises(ZeroDivisionError, match="no room"):
            decoder.submit("abc").result(SECONDS)
        assert decoder.submit("abc").result(SECONDS).text == tiny.generate(["abc"])[0].text


def test_too_many_are_refused_and_waiting_ones_can_be_cancelled(tiny: Model) -> None:
    """A full queue is one clear error; a cancelled future is never decoded; closing decodes the rest."""
    gated = Gated(tiny)
    decoder = Decoder(Model(tiny.manifest, gated), max_waiting=2)
    running = decoder.submit("abc")
    assert gated.begun.wait(SECONDS)
    cancelled, kept = decoder.submit("de"), decoder.submit("ee")
    with pytest.raises(QueueFullError, match="2 sentences wait already; try again later, or raise max_waiting"):
        decoder.submit("b")
    assert cancelled.cancel()
    assert not running.cancel()
    gated.go.set()
    decoder.close()
    decoder.close()
    assert [running.result().text, kept.result().text] == [r.text for r in tiny.generate(["abc", "ee"])]
    assert gated.encoded == [1, 1]
    with pytest.raises(ClosedModelError, match="this decoder is closed"):
        decoder.submit("abc")


def test_the_signal_cancels_what_is_in_flight(tiny: Model) -> None:
    """Those in flight get the error of a cancelled call."""
    signal, gated = threading.Event(), Gated(tiny)
    with Decoder(Model(tiny.manifest, gated), cancel=signal) as decoder:
        future = decoder.submit("abc")
        assert gated.begun.wait(SECONDS)
        signal.set()
        gated.go.set()
        with pytest.raises(CancelledError):
            future.result(SECONDS)


def test_whoever_waits_hears_of_every_error(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that ends its thread, a result that can't be made: an error for those who wait, and no more."""

    def leave(_: object) -> bool:
        raise SystemExit(1)

    with Decoder(tiny, callback=leave) as decoder:
        for _ in range(2):
            with pytest.raises(SystemExit):
                decoder.submit("abc").result(SECONDS)
    with Decoder(tiny) as decoder:
        with monkeypatch.context() as patched:
            patched.setattr(decoder._decoding, "result", lambda *_: leave(None))
            with pytest.raises(SystemExit):
                decoder.submit("abc").result(SECONDS)
        assert decoder.submit("abc").result(SECONDS).text == tiny.generate(["abc"])[0].text
