"""The applications in examples/, run as their readers would."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from places import ROOT, TINY

from s2s_runtime import Decoder, Model

EXAMPLES = ROOT / "examples"
TEXTS = ["abc", "de", "edcba", "b", "aab", "cd", "ee", "dcb"] * 4


def load_example(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


http_server, asyncio_decode = load_example("http_server"), load_example("asyncio_decode")


class Counted:
    """A step model that counts the batches it encodes, and may wait to be let go on."""

    def __init__(self, model: Any, *, waits: bool = False) -> None:
        self.model = model
        self.batches: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()
        if not waits:
            self.go.set()

    def encode(self, source: np.ndarray) -> Any:
        """Count, then encode."""
        self.batches.append(len(source))
        self.begun.set()
        assert self.go.wait(60)
        return self.model.encode(source)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


def test_too_many_that_wait_are_refused(tiny: Model) -> None:
    """503 at once, when as many wait as may."""
    counted = Counted(tiny.step_model, waits=True)
    with Decoder(Model(tiny.manifest, counted), max_batch_size=1, max_waiting=2) as decoder:
        decoder.submit("abc")
        counted.begun.wait(30)
        futures = [decoder.submit("abc"), decoder.submit("abc")]
        with http_server.Server(("127.0.0.1", 0), decoder) as server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            try:
                assert ask(server.server_address[1], "/generate", '{"text": "abc"}')[0] == 503
            finally:
                counted.go.set()
                server.shutdown()
                serving.join()
    assert {future.result().text for future in futures} == {tiny.generate(["abc"])[0].text}


def ask(port: int, path: str, body: str | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and content of an answer; POST where there is a body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The HTTP example in a process of its own, and its port."""
    command = [sys.executable, str(EXAMPLES / "http_server.py"), str(TINY), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), process.communicate()[1]
        yield process, int(line.rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


def test_the_server_answers(tiny: Model) -> None:
    """Many clients at once get what generate gives; wrong requests a 4xx with one line; SIGTERM ends it cleanly."""
    expected = [(result.text, result.score) for result in tiny.generate(TEXTS, beam_size=3)]
    with serving("--beam-size", "3") as (process, port):
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda text: ask(port, "/generate", json.dumps({"text": text})), TEXTS))
        assert [status for status, _ in answers] == [200] * len(TEXTS)
        assert [content["text"] for _, content in answers] == [text for text, _ in expected]
        assert [content["score"] for _, content in answers] == pytest.approx([score for _, score in expected], abs=1e-5)
        assert ask(port, "/health") == (200, {"status": "ok"})
        assert ask(port, "/other")[0] == 404
        assert ask(port, "/other", "{}")[0] == 404
        for body, message in (
            ('{"text": "aXc"}', "unknown character 'X' at position 1 of 'aXc'"),
            ("no JSON", "expected JSON: "),
            ('{"words": 3}', 'expected {"text": "..."}'),
            ("[]", 'expected {"text": "..."}'),
            ("[" * 50_000, "expected JSON: "),
        ):
            status, content = ask(port, "/generate", body)
            assert (status, content["error"].startswith(message)) == (400, True)
        for length in ("99999999", "9" * 5000):
            status, content = ask(port, "/generate", "x", **{"Content-Length": length})
            assert (status, "expected a Content-Length of at most 65536" in content["error"]) == (400, True)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout, stderr) == (0, "closing\n", "")


def test_the_asyncio_example_runs(tiny: Model) -> None:
    """Its command writes each text's beam search, then the first text's stream."""
    command = [sys.executable, str(EXAMPLES / "asyncio_decode.py"), str(TINY), "abc", "edcba"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expected = [result.text for result in tiny.generate(["abc", "edcba"], beam_size=4)]
    assert done.stderr == ""
    assert done.stdout.splitlines() == [*expected, tiny.generate(["abc"])[0].text]


def test_a_cancelled_task_ends_its_call(tiny: Model) -> None:
    """Once the task is cancelled the search stops within a step, and the event loop never waits for it."""

    class Slow(Counted):
        steps = 0

        def step(self, *arguments: Any, **named: Any) -> Any:
            self.steps += 1
            time.sleep(0.01)
            return self.model.step(*arguments, **named)

    slow = Slow(tiny.step_model)
    model = Model(tiny.manifest, slow)

    async def run() -> int:
        task = asyncio.create_task(asyncio_decode.generate(model, TEXTS * 8, max_batch_size=1, engine="steps"))
        assert await asyncio.to_thread(slow.begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return slow.steps

    steps = asyncio.run(run())  # waits for the threads of the loop
    assert slow.steps <= steps + 1

    async def leave() -> str:
        async for piece in asyncio_decode.stream(model, "abc"):
            return piece
        return ""

    assert asyncio.run(leave()) == tiny.generate(["abc"])[0].text[0]
