"""The command s2s-serve in a process of its own, and the clients that people have for its protocol."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring.load import http_request, send_load
from places import FIXTURES, TINY

import s2s_runtime
from s2s_runtime import Model
from s2s_runtime.bundle.manifest_file import write_manifest

from .conftest import BUNDLES, Served, serving

TEXTS = ["abc", "de", "edcba", "b"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of the tiny bundles."""
    with serving(tmp_path_factory.mktemp("serve") / "log", *BUNDLES, "--log-format", "json") as served:
        yield served


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tritons_client_works_unchanged(served: Served, tiny: Model) -> None:
    """Health, metadata; inference with JSON and binary tensors gives what `generate` gives; errors are its errors."""
    triton = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]", exc_type=ImportError)
    client = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("tiny")
    assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in metadata["outputs"]] == ["text", "score", "tokens"]
    expected = tiny.generate(TEXTS, beam_size=3, num_hypotheses=2)
    for binary_in, binary_out in ((True, True), (False, False), (True, False)):
        given = triton.InferInput("text", [len(TEXTS)], "BYTES")
        given.set_data_from_numpy(np.array(TEXTS, object), binary_data=binary_in)
        outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("text", "score", "tokens")]
        options = {"beam_size": 3, "num_hypotheses": 2}
        answer = client.infer(
            "tiny", [given], outputs=outputs, request_id="seven", parameters=options, timeout=60_000_000,
            request_compression_algorithm="gzip" if binary_in else None,
        )  # fmt: skip
        assert answer.get_response()["id"] == "seven"
        assert answer.get_response()["model_version"] == metadata["versions"][0]
        found = [[_text(text) for text in row] for row in answer.as_numpy("text")]
        assert found == [[best.text for best in result.hypotheses] for result in expected]
        scores = [[best.score for best in result.hypotheses] for result in expected]
        np.testing.assert_allclose(answer.as_numpy("score"), scores, atol=1e-4)
        tokens = [[[_text(token) for token in best] for best in row] for row in answer.as_numpy("tokens")]
        wanted = [[best.tokens for best in result.hypotheses] for result in expected]
        assert [[[token for token in best if token] for best in row] for row in tokens] == wanted
    given = triton.InferInput("text", [1], "BYTES")
    given.set_data_from_numpy(np.array(["aXc"], object))
    with pytest.raises(triton.InferenceServerException, match="input 0: unknown character 'X' at position 1"):
        client.infer("tiny", [given])
    for name, match in (("other", "model: expected one of tiny"), ("tiny-values", "inputs: expected 'values', got")):
        with pytest.raises(triton.InferenceServerException, match=match):
            client.infer(name, [given])
    everything = client.infer("tiny", [_texts(triton, TEXTS)])
    assert everything.as_numpy("text")[:, 0].tolist() == [result.text.encode() for result in tiny.generate(TEXTS)]
    values = triton.InferInput("values", [1, 3, 2], "FP32")
    values.set_data_from_numpy(np.ones((1, 3, 2), np.float32))
    predicted = client.infer("tiny-values", [values]).as_numpy("values")
    wanted = s2s_runtime.load(FIXTURES / "tiny-values.s2s").predict(np.ones((1, 3, 2), np.float32))
    np.testing.assert_allclose(predicted, wanted, atol=1e-5)
    client.close()


def _texts(triton: Any, texts: list[str]) -> Any:
    given = triton.InferInput("text", [len(texts)], "BYTES")
    given.set_data_from_numpy(np.array(texts, object))
    return given


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_connections_that_come_to_nothing(served: Served, tiny: Model) -> None:
    """Clients that send half a head, half a body, or a request and go: nothing of them stays, others are served."""
    body = b'{"model": "tiny", "text": "abc"}'
    head = f"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    before = _open_files(served)
    for index in range(300):
        connection = socket.create_connection(("127.0.0.1", served.port), timeout=60)
        connection.sendall([head[:20], head + body[:9], head + body][index % 3])
        connection.close()
    expected = tiny.generate(["edcba"])[0].text
    assert served.ask("/generate", {"model": "tiny", "text": "edcba"}).content["results"][0]["text"] == expected
    deadline = time.monotonic() + 60
    while _open_files(served) > before + 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _open_files(served) <= before + 2
    assert 's2s_queue{model="tiny"} 0.0' in served.ask("/metrics").body.decode()


def _open_files(served: Served) -> int:
    return len(os.listdir(f"/proc/{served.process.pid}/fd"))


def test_logs_are_json_and_hold_no_texts(served: Served) -> None:
    """One object a line; a request's own identifier is in it and in the answer, its text nowhere."""
    answer = served.ask("/generate", {"model": "tiny", "text": "edcbaaaa"}, **{"X-Request-Id": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    served.ask("/generate", {"model": "tiny", "text": "aXedcbaaaa"})
    lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    [mine] = [line for line in lines if line.get("id") == "mine"]
    assert {"time", "level", "ms"} < set(mine)
    told = {name: mine[name] for name in ("event", "method", "path", "status", "model", "texts")}
    assert told == {
        "event": "request", "method": "POST", "path": "/generate", "status": 200, "model": "tiny", "texts": 1
    }  # fmt: skip
    assert "edcbaaaa" not in served.log.read_text()


def test_a_replaced_bundle_is_loaded_without_a_lost_request(tmp_path: Path) -> None:
    """Under load: every answer is that of the bundle whose version it names; a broken one is said, the old goes on."""
    place, other = tmp_path / "model.s2s", tmp_path / "other.s2s"
    shutil.copytree(TINY, place)
    shutil.copytree(TINY, other)
    manifest = s2s_runtime.read_manifest(TINY)
    write_manifest(other, replace(manifest, target=replace(manifest.target, max_length=2)))
    expected = {s2s_runtime.load(path).generate(["abcde"])[0].text for path in (TINY, other)}
    request = {"text": "abcde"}
    versions: dict[str, set[str]] = {}

    def check(_: int, body: bytes) -> bool:
        answer = json.loads(body)
        versions.setdefault(answer["version"], set()).add(answer["results"][0]["text"])
        return True

    with serving(tmp_path / "log", place, "--watch", "0.1", "--no-access-log") as served:

        async def exchange() -> Any:
            load = asyncio.create_task(
                send_load(
                    ("127.0.0.1", served.port),
                    [http_request("/generate", request)],
                    check,
                    clients=8,
                    count=10**9,
                    seconds=6,
                )
            )
            for step, bundle in enumerate((other, TINY, other)):
                await asyncio.sleep(0.8)
                shutil.copytree(bundle, tmp_path / f"new{step}")
                place.rename(tmp_path / f"old{step}")
                (tmp_path / f"new{step}").rename(place)
            await asyncio.sleep(0.8)
            (place / "manifest.json").write_text("{}")
            served.process.send_signal(signal.SIGHUP)
            return await load

        load = asyncio.run(exchange())
        assert (set(load.statuses), load.lost) == ({200}, 0)
        assert len(versions) == 2
        assert all(len(texts) == 1 for texts in versions.values())
        assert {next(iter(texts)) for texts in versions.values()} == expected
        deadline = time.monotonic() + 60  # a busy machine may load after the last request
        while "error not loaded model=model" not in served.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert served.ask("/v2/health/ready").status == 200
        assert 's2s_loads_total{model="model",outcome="failed"}' in served.ask("/metrics").body.decode()
        assert served.stop() == (0, "stopped\n")


def test_it_stops_once_what_it_accepted_is_answered(tmp_path: Path) -> None:
    """SIGTERM while requests are under way: each is answered, then it exits with 0."""
    with serving(tmp_path / "log", TINY, "--engine", "steps") as served:

        async def run() -> Any:
            request = http_request("/generate", {"texts": ["abcde"] * 500, "min_length": 30, "max_length": 60})
            load = asyncio.create_task(
                send_load(("127.0.0.1", served.port), [request], lambda *_: True, clients=2, count=2)
            )
            while "s2s_queue" not in (text := await asyncio.to_thread(_queue, served)) or text.endswith(" 0.0"):
                await asyncio.sleep(0.01)
            served.process.send_signal(signal.SIGTERM)
            return await load

        load = asyncio.run(run())
        assert (load.statuses, load.lost) == ({200: 2}, 0)
        assert served.process.wait(60) == 0


def _queue(served: Served) -> str:
    return next(line for line in served.ask("/metrics").body.decode().splitlines() if line.startswith("s2s_queue"))


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "message"),
    [
        (["missing.s2s"], {}, 1, "error: missing.s2s: no such folder; expected a bundle written by s2s-export"),
        ([TINY, TINY], {}, 1, "would both be named tiny; rename one"),
        ([TINY, "--api-key"], {}, 2, "--api-key: expected the key in the environment variable S2S_API_KEY"),
        ([TINY], {"S2S_API_KEY": "x"}, 2, "S2S_API_KEY is set, but --api-key isn't given"),
        ([TINY, "--host", "203.0.113.7"], {}, 1, "error: 203.0.113.7:8080: can't listen: "),
        ([TINY, "--queue", "0"], {}, 2, "--queue: expected an integer of at least 1, got 0"),
        ([TINY, "--beam-size", "99"], {}, 1, "beam_size: expected at most 32, the limit of this server, got 99"),
    ],
)
def test_what_keeps_it_from_starting(
    arguments: list[object], environment: dict[str, str], code: int, message: str
) -> None:
    """One line, no trace, before anything listens."""
    command = [sys.executable, "-m", "s2s_runtime", "serve", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=120
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("package", ["fastapi", "orjson"])
def test_missing_extras_are_named(package: str) -> None:
    """Without a package of the server: one line that names the extra."""
    code = f"import sys; sys.modules[{package!r}] = None\nfrom s2s_runtime.commands.serve import main; main()"
    done = subprocess.run([sys.executable, "-c", code, str(TINY)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: fastapi, orjson or uvicorn is not installed: pip install 's2s-runtime[serve]'\n"
