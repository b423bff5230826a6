"""What a server refuses, and what it does when a client goes away: keys, sizes, times, queues."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import weakref
import zlib
from pathlib import Path
from typing import Any

import pytest
from places import TINY

from s2s_runtime import Model, OptionError
from s2s_runtime.serving import served_model
from s2s_runtime.serving.app import make_app
from s2s_runtime.serving.options import ServingOptions

from .conftest import Asker, ask_once, with_app

KEY = "a key"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldModels:
    """Models whose encoders wait until they are let go."""
    held = HeldModels()
    monkeypatch.setattr(served_model, "load", held.load)
    return held


class HeldModels:
    """Loads models whose encoders wait, and counts their steps."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.batches: list[int] = []
        self.steps = 0
        self._load = served_model.load

    def load(self, path: Path, **settings: Any) -> Model:
        """In place of `s2s_runtime.load`."""
        model = self._load(path, **settings)
        return Model(model.manifest, _Held(model.step_model, self))


class _Held:
    def __init__(self, model: Any, held: HeldModels) -> None:
        self._model, self._held = model, held

    def encode(self, source: Any, *others: Any) -> Any:
        self._held.batches.append(len(source))
        self._held.begun.set()
        assert self._held.go.wait(60)
        return self._model.encode(source, *others)

    def step(self, *given: Any, **named: Any) -> Any:
        self._held.steps += 1
        return self._model.step(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


async def begun(held: HeldModels) -> None:
    """Wait until a batch is encoded."""
    assert await asyncio.to_thread(held.begun.wait, 60)


def figure(text: bytes, name: str) -> float:
    """The value of a line of /metrics."""
    return next(float(line.rpartition(" ")[2]) for line in text.decode().splitlines() if line.startswith(name))


def test_the_key_is_asked_for() -> None:
    """By either header; health and the description need none."""

    async def ask_all(ask: Asker) -> list[int]:
        asked = [
            await ask("/generate", {"text": "abc"}),
            await ask("/generate", {"text": "abc"}, Authorization="Bearer other"),
            await ask("/generate", {"text": "abc"}, Authorization=f"Basic {KEY}"),
            await ask("/metrics"),
            await ask("/generate", {"text": "abc"}, Authorization=f"Bearer {KEY}"),
            await ask("/generate", {"text": "abc"}, X_API_Key=KEY),
            await ask("/v2/health/ready"),
            await ask("/openapi.json"),
        ]
        return [answer.status for answer in asked]

    assert with_app(ask_all, TINY, api_key=KEY) == [401, 401, 401, 401, 200, 200, 200, 200]
    with pytest.raises(OptionError, match="api_key: expected a key, got an empty text"):
        make_app(TINY, api_key=" ")


def test_bodies_have_a_limit() -> None:
    """Said, sent or unpacked: 413; what unpacks within it is read."""
    small, large = {"text": "abc"}, {"text": "abc", "filler": "x" * 2000}
    options = ServingOptions(max_request_bytes=1000)

    async def ask_all(ask: Asker) -> list[int]:
        packed = zlib.compress(b" " * 500_000)
        assert len(packed) < options.max_request_bytes
        chunks: list[Any] = [{"type": "http.request", "body": b" " * 600, "more_body": True}] * 2
        asked = [
            await ask("/generate", large),
            await ask("/generate", small, Content_Length="1001"),
            await ask("/generate", small, Content_Length="9" * 5000),
            await ask("/generate", small, Content_Length="-1"),
            await ask.exchange("/generate", "POST", chunks),
            await ask("/generate", body=packed, Content_Encoding="deflate"),
            await ask("/generate", body=gzip.compress(b'{"text": "abc"}'), Content_Encoding="gzip"),
            await ask("/generate", small, Content_Encoding="br"),
            await ask("/generate", small, Content_Encoding="gzip"),
        ]
        return [answer.status for answer in asked]

    assert with_app(ask_all, TINY, options=options) == [413, 413, 413, 413, 413, 413, 200, 415, 400]


def test_too_many_are_refused_at_once(held: HeldModels) -> None:
    """Those beyond the queue get 503 with Retry-After while the others wait; afterwards there is room again."""

    async def ask_all(ask: Asker) -> Any:
        waiting = [asyncio.create_task(ask("/generate", {"texts": ["abc", "de"]})) for _ in range(2)]
        await begun(held)
        refused = await ask("/generate", {"text": "abc"})
        queued = figure((await ask("/metrics")).body, 's2s_queue{model="tiny"}')
        held.go.set()
        answers = [await task for task in waiting]
        return refused, queued, answers, await ask("/generate", {"text": "abc"}), (await ask("/metrics")).body

    refused, queued, answers, after, metrics = with_app(ask_all, TINY, options=ServingOptions(queue=4))
    assert (refused.status, refused.headers["retry-after"], queued) == (503, "1", 4)
    assert [answer.status for answer in [*answers, after]] == [200] * 3
    assert figure(metrics, 's2s_queue{model="tiny"}') == 0
    assert figure(metrics, 's2s_texts_total{model="tiny"}') == 5
    assert figure(metrics, 's2s_requests_total{endpoint="generate",model="tiny",status="503"}') == 1


def test_a_request_has_its_time(held: HeldModels) -> None:
    """504 once it is over: of a body that doesn't come, of decoding, by the client's own wish too."""

    async def ask_all(ask: Asker) -> list[int]:
        stalled: list[Any] = [{"type": "http.request", "body": b"{", "more_body": True}]
        inputs = [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["abc"]}]
        asked = [
            await ask.exchange("/generate", "POST", stalled),
            await ask("/generate", {"text": "abc"}),
            await ask("/v2/models/tiny/infer", {"inputs": inputs, "parameters": {"timeout": 1000}}),
        ]
        held.go.set()
        return [answer.status for answer in asked]

    assert with_app(ask_all, TINY, options=ServingOptions(timeout=0.5)) == [504] * 3


def test_time_passes_in_whichever_loop_runs_it(held: HeldModels) -> None:
    """An application that one event loop has let go of ends what takes too long in the next one too."""
    app = make_app(TINY, options=ServingOptions(timeout=0.5))
    assert asyncio.run(Asker(app)("/generate", {"text": "abc"})).status == 404  # nothing is loaded yet

    async def ask_late() -> int:
        async with app.pages.router.lifespan_context(app.pages):
            answer = await Asker(app)("/generate", {"text": "abc"})
            held.go.set()
            return answer.status

    assert asyncio.run(asyncio.wait_for(ask_late(), 120)) == 504


@pytest.mark.parametrize("more", [{}, {"prefix": ["A"]}], ids=["batched", "direct"])
def test_what_nobody_waits_for_is_not_decoded(held: HeldModels, more: dict[str, Any]) -> None:
    """A client that goes away takes its texts with it: waiting ones aren't begun, a batch of its own is stopped."""

    async def ask_all(ask: Asker) -> Any:
        request = {"text": "abc", "engine": "steps", "max_length": 50, **more}
        gone = await ask("/generate", request, leaves=True)
        held.go.set()
        after = await ask("/generate", request)
        return gone.status, after.status, (await ask("/metrics")).body

    gone, after, metrics = with_app(ask_all, TINY, options=ServingOptions(workers=1))
    assert (gone, after) == (499, 200)
    taken, held.steps = held.steps, 0
    with_app(lambda ask: ask("/generate", {"text": "abc", "engine": "steps", "max_length": 50, **more}), TINY)
    assert taken == held.steps  # the first took none
    assert figure(metrics, 's2s_queue{model="tiny"}') == 0


def test_those_who_stay_are_answered(held: HeldModels, tiny: Model) -> None:
    """In a batch with texts of a client who left, the others are decoded to the end."""

    async def ask_all(ask: Asker) -> Any:
        first = asyncio.create_task(ask("/generate", {"text": "b"}))
        await begun(held)  # while this one holds the lane, the next two become one batch
        stays = asyncio.create_task(ask("/generate", {"text": "edcba"}))
        leaves = asyncio.create_task(ask("/generate", {"text": "abc"}, leaves=True))
        await asyncio.sleep(0.2)
        held.go.set()
        return [(await task).status for task in (first, leaves)], (await stays).content["results"][0]["text"]

    statuses, text = with_app(ask_all, TINY, options=ServingOptions(workers=1))
    assert statuses == [200, 499]
    assert text == tiny.generate(["edcba"])[0].text


def test_what_comes_together_need_not_go_together(held: HeldModels, tiny: Model) -> None:
    """Texts, ids, several texts and what can't be read, in one batch: each caller gets what is theirs."""
    given: list[dict[str, Any]] = [
        {"text": "abc"},
        {"ids": [[3, 4]]},
        {"text": "aXc"},
        {"texts": ["de", "", "edcba"]},
        {"ids": [[1, 99]]},
        {"texts": ["ab", "aXc"]},
    ]

    async def ask_all(ask: Asker) -> Any:
        first = asyncio.create_task(ask("/generate", {"text": "b"}))
        await begun(held)
        asked = [asyncio.create_task(ask("/generate", request)) for request in given]
        await asyncio.sleep(0.2)
        held.go.set()
        await first
        return [await task for task in asked]

    answers = with_app(ask_all, TINY, options=ServingOptions(workers=1))
    assert [answer.status for answer in answers] == [200, 200, 400, 200, 400, 400]
    assert "input 0: unknown character 'X'" in answers[2].content["error"]
    assert "input 1: unknown character 'X'" in answers[5].content["error"]
    for request, answer in zip(given, answers, strict=True):
        if answer.status == 200:
            rows = request.get("ids") or request.get("texts") or [request["text"]]
            assert [each["text"] for each in answer.content["results"]] == [r.text for r in tiny.generate(rows)]


def test_a_request_of_many_texts_is_shared_out(held: HeldModels, tiny: Model) -> None:
    """The lanes that rest take their shares of it at the same time, and each text gets its own result."""
    texts = ["abcde", "edcba", "deeda", "badbe"] * 10

    async def ask_all(ask: Asker) -> Any:
        asked = asyncio.create_task(ask("/generate", {"texts": texts}))
        while len(held.batches) < 2:
            await asyncio.sleep(0.01)
        shares = [*held.batches]
        held.go.set()
        return shares, await asked

    shares, answer = with_app(ask_all, TINY, options=ServingOptions(workers=2))
    assert shares == [20, 20]
    assert [each["text"] for each in answer.content["results"]] == [r.text for r in tiny.generate(texts)]


def test_a_model_that_was_replaced_is_let_go_at_once() -> None:
    """Its graphs don't wait for the garbage collector, which an idle server may not run for hours."""

    async def ask_all(ask: Asker) -> Any:
        for options in ({}, {"beam_size": 2}, {"prefix": ["A"]}):
            await ask("/generate", {"text": "abc", **options})
        served = ask.app.models["tiny"]
        before = weakref.ref(served.current.model.step_model)
        gc.collect()
        gc.disable()
        try:
            await served.load_anew(always=True)
            status = (await ask("/generate", {"text": "abc"})).status
            return status, before()
        finally:
            gc.enable()

    assert with_app(ask_all, TINY) == (200, None)


def test_streams_have_a_limit_and_end_with_their_client() -> None:
    """One too many is refused; one whose client left gives its place back."""

    async def ask_all(ask: Asker) -> Any:
        request = {"text": "abcde", "stream": True, "max_length": 1000, "min_length": 1000}
        first = asyncio.create_task(ask("/generate", request))
        await asyncio.sleep(0)
        while figure((await ask("/metrics")).body, "s2s_streams ") < 1:
            await asyncio.sleep(0.01)
        refused = await ask("/generate", {"text": "abc", "stream": True})
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        left = await ask("/generate", request, leaves=True)
        return refused.status, left.status, figure((await ask("/metrics")).body, "s2s_streams ")

    assert with_app(ask_all, TINY, options=ServingOptions(streams=1)) == (503, 200, 0)


def test_a_failure_is_a_500_that_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, held: HeldModels
) -> None:
    """What nobody expected goes to the log, with its trace; the client gets one line, and the next request works."""
    monkeypatch.setattr(_Held, "encode", lambda *_: 1 / 0)
    answer = ask_once("/generate", {"text": "abc"}, TINY)
    assert (answer.status, answer.content) == (500, {"error": "this server failed; its log says why"})
    assert "ZeroDivisionError" in caplog.text
    assert held.batches == []


def test_other_paths_and_methods() -> None:
    """Errors have one form, and figures don't grow with the paths that clients invent."""

    async def ask_all(ask: Asker) -> Any:
        asked = [await ask(path) for path in ("/x", "/y", "/generate", "/v2/models/x/infer")]
        return [(answer.status, list(answer.content)) for answer in asked], (await ask("/metrics")).body

    answers, metrics = with_app(ask_all, TINY)
    assert answers == [(404, ["error"]), (404, ["error"]), (405, ["error"]), (405, ["error"])]
    assert b'endpoint="other"' in metrics
    assert b"/x" not in metrics
