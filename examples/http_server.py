"""Serve a bundle over HTTP, requests that come together decoded together.

    python examples/http_server.py model.s2s --port 8080 --beam-size 4
    curl -d '{"text": "Run!"}' http://127.0.0.1:8080/generate

A batch of 32 takes far less than 32 times as long as one sentence. So one `s2s_runtime.Decoder` decodes for all
clients: what comes while a batch is decoded is the next one. Standard library and s2s_runtime only; a few dozen lines
to start from, not a product: put a real server in front of it.

`POST /generate` with `{"text": "..."}` answers `{"text": "...", "score": ...}`, the score null for greedy search; 400
says what is wrong with a request, 503 that too many wait. (Of a body that is too long nothing is read: a client that
goes on sending may see a reset instead.) `GET /health` answers `{"status": "ok"}`. Ctrl-C or SIGTERM ends it once the
requests that were accepted are answered.
"""

from __future__ import annotations

import argparse
import json
import signal
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast

import s2s_runtime

MOST_BYTES: Final = 64 * 1024  # of a request's body
MOST_DIGITS: Final = 9  # of its length: Python refuses to read numbers of thousands


class Server(ThreadingHTTPServer):
    """One thread per connection, which waits for the decoder."""

    daemon_threads = False  # closing waits for the requests that were accepted
    request_queue_size = 128  # connections that may wait to be accepted

    def __init__(self, address: tuple[str, int], decoder: s2s_runtime.Decoder) -> None:
        super().__init__(address, partial(Handler, decoder))


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON."""

    timeout = 10  # seconds that a client may take to send its request

    def __init__(self, decoder: s2s_runtime.Decoder, *request: Any) -> None:
        self._decoder = decoder
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
        if not length.isdecimal() or len(length) > MOST_DIGITS or int(length) > MOST_BYTES:
            self._refuse(HTTPStatus.BAD_REQUEST, f"expected a Content-Length of at most {MOST_BYTES}")
            return
        try:
            request: object = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"expected JSON: {error}")
            return
        text = cast("dict[str, object]", request).get("text") if isinstance(request, dict) else None
        if not isinstance(text, str):
            self._refuse(HTTPStatus.BAD_REQUEST, 'expected {"text": "..."}')
            return
        try:
            result = self._decoder.submit(text).result()
        except s2s_runtime.QueueFullError:
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
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with s2s_runtime.load(asked.bundle) as model:
        decoder = s2s_runtime.Decoder(model, max_batch_size=asked.max_batch, beam_size=asked.beam_size)
        with decoder, Server((asked.host, asked.port), decoder) as server:
            print(f"listening on http://{asked.host}:{server.server_address[1]}", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("closing", flush=True)


if __name__ == "__main__":
    main()
