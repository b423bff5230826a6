"""The application of Ray Serve: replicas answer as `s2s-serve` does, by HTTP and by handles, also after one died."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest
from measuring.marked_processes import MARK, marked_processes
from places import ROOT, TINY

import s2s_runtime

ray = pytest.importorskip("ray", reason="needs Ray, which only `make test-platforms` installs")
serve = pytest.importorskip("ray.serve", reason="needs Ray Serve, which only `make test-platforms` installs")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of what it imports

OWN = uuid.uuid4().hex
TEXTS = ["abc", "deed", "edcba", "b", "aab", "cd", "ee", "dcb"]


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    """The module of the example, on Ray on this machine, its replicas small enough for two cores."""
    os.environ |= {"BUNDLE": str(TINY), "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT), MARK: OWN}
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": 18765})
    sys.path.insert(0, str(ROOT))
    from examples.platforms import ray_serve_app

    yield ray_serve_app
    serve.shutdown()
    ray.shutdown()
    sys.path.remove(str(ROOT))
    del os.environ[MARK]


def asked(content: object, path: str = "/generate") -> tuple[int, bytes]:
    """The status and body of an answer."""
    connection = HTTPConnection("127.0.0.1", 18765, timeout=120)
    connection.request("POST", path, json.dumps(content))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def ask(content: object, path: str = "/generate") -> tuple[int, Any]:
    """The status and content of an answer."""
    status, body = asked(content, path)
    return status, json.loads(body)


def replicas() -> set[int]:
    """The processes of replicas."""
    return marked_processes(OWN, "ServeReplica:")


def test_replicas_answer_over_http(app: Any) -> None:
    """Options in requests, the Open Inference Protocol and errors are those of s2s-serve, also once a replica died."""
    serve.run(app.app, name="http", route_prefix="/")
    model = s2s_runtime.load(TINY)

    def right() -> None:
        for options in ({}, {"beam_size": 3, "num_hypotheses": 2}):
            status, content = ask({"texts": TEXTS, **options})
            expected = model.generate(TEXTS, **options)
            assert status == 200
            assert [found["text"] for found in content["results"]] == [result.text for result in expected]

    right()
    assert ask({"texts": TEXTS, "beam_size": 0})[0] == 400
    given = {"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": TEXTS[:2]}]}
    status, content = ask(given, "/v2/models/tiny/infer")
    [texts] = [output["data"] for output in content["outputs"] if output["name"] == "text"]
    assert (status, texts) == (200, [result.text for result in model.generate(TEXTS[:2])])

    triton = pytest.importorskip("tritonclient.http", reason="needs tritonclient")
    tensor = triton.InferInput("text", [2], "BYTES")
    tensor.set_data_from_numpy(np.array(TEXTS[:2], object))
    with triton.InferenceServerClient("127.0.0.1:18765") as client:
        answer = client.infer("tiny", [tensor], parameters={"beam_size": 3}).as_numpy("text")
    assert [text.decode() for text in answer[:, 0]] == [
        result.text for result in model.generate(TEXTS[:2], beam_size=3)
    ]
    pieces = re.findall(
        r'data: {"text":"(.*?)"}', asked({"text": TEXTS[1], "stream": True})[1].decode().partition("event:")[0]
    )
    assert "".join(pieces) == model.generate(TEXTS[1:2])[0].text

    before = replicas()
    assert len(before) == 2
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while True:  # requests that the dead one held are lost; soon no more reach it
        try:
            for _ in range(8):
                right()
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.5)
            continue
        if len(replicas() - {killed}) == 2:
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    serve.delete("http")


def test_handles_give_results(app: Any) -> None:
    """Texts that callers hand in one by one, at the same time, are each decoded as `generate` does it."""
    serve.run(app.Texts.bind(str(TINY), beam_size=3), name="default", route_prefix=None)
    handle = serve.get_deployment_handle("Texts", app_name="default")

    async def decoded() -> list[s2s_runtime.Result]:
        async def one(text: str) -> s2s_runtime.Result:
            result: s2s_runtime.Result = await handle.decode.remote(text)
            return result

        return list(await asyncio.gather(*(one(text) for text in TEXTS * 8)))

    found = asyncio.run(decoded())
    expected = s2s_runtime.load(TINY).generate(TEXTS * 8, beam_size=3)
    assert [result.text for result in found] == [result.text for result in expected]
    with pytest.raises(Exception, match="unknown character 'z'"):
        handle.decode.remote("z").result(timeout_s=120)
    serve.delete("default")
