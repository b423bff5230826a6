"""Serve a bundle over HTTP, requests that come together decoded together.

    python examples/http_server.py model.s2s --port 8080 --beam-size 4
    curl -d '{"text": "Run!"}' http://127.0.0.1:8080/generate

A batch of 32 takes far less than 32 times as long as one sentence. So the first request that comes waits a few
milliseconds for others, and all are decoded by one call. Standard library and s2s_runtime only; a few dozen lines to
start from, not a product: put a real server in front of it.

`POST /generate` with `{"text": "..."}` answers `{"text": "...", "score": ...}`; 400 says what is wrong with a request,
503 that too many wait. `GET /health` answers `{"status": "ok"}`. Ctrl-C or SIGTERM ends it once the requests that were
accepted are answered.
"""

from __future__ import annotations

import argparse
import json
import queue
import signal
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Unpack, cast

import s2s_runtime
from s2s_runtime.options import OptionValues

MOST_BYTES: Final = 64 * 1024  # of a request's body


@dataclass(frozen=True)
class Job:
    """A text, and the result that somebody waits for."""

    text: str
    result: Future[s2s_runtime.Result] = field(default_factory=Future[s2s_runtime.Result])


class Batcher:
    """Decodes what threads hand in, up to `max_batch` texts in one call of the model.

    Args:
        model: decodes; only the batcher's own thread calls it.
        max_batch: most texts in one call.
        wait: seconds that the first text of a call waits for others.
        max_waiting: most texts that may wait; `submit` raises `queue.Full` then.
        **options: of decoding, the same for all.
    """

    def __init__(
        self,
        model: s2s_runtime.Model,
        *,
        max_batch: int = 32,
        wait: float = 0.005,
        max_waiting: int = 1024,
        **options: Unpack[OptionValues],
    ) -> None:
        options["max_batch_size"] = max_batch
        self._decoding = model.prepare(**options)  # wrong options are refused here
        self._max_batch, self._wait = max_batch, wait
        self._jobs: queue.Queue[Job | None] = queue.Queue(max_waiting)
        self._thread = threading.Thread(target=self._work, name="decoding")
        self._thread.start()

    def submit(self, text: str) -> Future[s2s_runtime.Result]:
        """Hand in a text; the future holds its result or error."""
        job = Job(text)
        self._jobs.put_nowait(job)
        return job.result

    def close(self) -> None:
        """Decode what was handed in, then end. Nothing may be handed in from now on."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        more = True
        while more:
            batch, more = self._collect()
            if batch:
                self._decode(batch)

    def _collect(self) -> tuple[list[Job], bool]:
        """The next batch, and whether more may come."""
        batch: list[Job] = []
        deadline = 0.0
        while len(batch) < self._max_batch:
            try:
                job = self._jobs.get(timeout=max(0.0, deadline - time.monotonic()) if batch else None)
            except queue.Empty:
                break
            if job is None:
                return batch, False
            if not batch:
                deadline = time.monotonic() + self._wait
            batch.append(job)
        return batch, True

    def _decode(self, batch: list[Job]) -> None:
        try:
            results = self._decoding.decode([job.text for job in batch], None)
        except s2s_runtime.S2SError as error:
            if len(batch) == 1:
                batch[0].result.set_exception(error)
            else:  # one wrong text is not the others' fault
                for job in batch:
                    self._decode([job])
        except Exception as error:  # whatever it was, those who wait must hear of it; the next batch may go well
            for job in batch:
                job.result.set_exception(error)
        else:
            for job, result in zip(batch, results, strict=True):
                job.result.set_result(result)


class Server(ThreadingHTTPServer):
    """One thread per connection, which waits for the batcher."""

    daemon_threads = False  # closing waits for the requests that were accepted
    request_queue_size = 128  # connections that may wait to be accepted

    def __init__(self, address: tuple[str, int], batcher: Batcher) -> None:
        super().__init__(address, partial(Handler, batcher))


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON."""

    timeout = 10  # seconds that a client may take to send its request

    def __init__(self, batcher: Batcher, *request: Any) -> None:
        self._batcher = batcher
        super().__init__(*request)  # answers

    def do_GET(self) -> None:
        """`/health`."""
        if self.path == "/health":
            self._answer(HTTPStatus.OK, {"status": "ok"})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"no {self.path} here; expected POST /generate or GET /health")

    def do_POST(self) -> None:
        """`/generate`."""
        if self.path != "/generate":
            self._refuse(HTTPStatus.NOT_FOUND, f"no {self.path} here; expected POST /generate")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self._refuse(HTTPStatus.BAD_REQUEST, f"expected a Content-Length of at most {MOST_BYTES}, got {length!r}")
            return
        try:
            request: object = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"expected JSON: {error}")
            return
        text = cast("dict[str, object]", request).get("text") if isinstance(request, dict) else None
        if not isinstance(text, str):
            self._refuse(HTTPStatus.BAD_REQUEST, 'expected {"text": "..."}')
            return
        try:
            result = self._batcher.submit(text).result()
        except queue.Full:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests wait; try again later")
        except s2s_runtime.S2SError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._answer(HTTPStatus.OK, {"text": result.text, "score": result.score})

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._answer(status, {"error": message})

    def _answer(self, status: HTTPStatus, content: dict[str, object]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what serves this in earnest logs."""


def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Serve a bundle over HTTP.")
    parser.add_argument("bundle")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 = any that is free")
    parser.add_argument("--beam-size", type=int, default=1)
    parser.add_argument("--max-batch", type=int, default=32, help="most texts decoded at once")
    parser.add_argument("--wait-ms", type=float, default=5.0, help="how long a text waits for others")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with s2s_runtime.load(asked.bundle) as model:
        batcher = Batcher(
            model,
            max_batch=asked.max_batch,
            wait=asked.wait_ms / 1000,
            beam_size=asked.beam_size,
            return_scores=True,
        )
        try:
            with Server((asked.host, asked.port), batcher) as server:
                print(f"listening on http://{asked.host}:{server.server_address[1]}", flush=True)
                server.serve_forever()
        except KeyboardInterrupt:
            print("closing", flush=True)
        finally:
            batcher.close()


if __name__ == "__main__":
    main()
