"""Applications in this process, asked without a network, and the command s2s-serve in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from places import FIXTURES

pytest.importorskip("fastapi", reason="needs the extra serve")

from s2s_runtime.serving.app import make_app
from s2s_runtime.serving.gate import ServingApp

BUNDLES = [FIXTURES / f"{name}.s2s" for name in ("tiny", "tiny-onehot", "tiny-values", "tiny-sources")]
Message = dict[str, Any]


class Answered(NamedTuple):
    """An answer: its status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """The JSON in it."""
        return json.loads(self.body)


class Asker:
    """A client of an application in this process."""

    def __init__(self, app: ServingApp) -> None:
        self.app = app

    async def __call__(
        self, path: str, content: object = None, *, body: bytes | None = None, leaves: bool = False, **headers: str
    ) -> Answered:
        """Ask, and return the answer; POST where there is content or a body. `leaves`: the client goes at once."""
        body = b"" if content is None and body is None else body if content is None else json.dumps(content).encode()
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        return await self.exchange(path, "POST" if body else "GET", messages, leaves=leaves, **headers)

    async def exchange(
        self, path: str, method: str, messages: list[Message], *, leaves: bool = False, **headers: str
    ) -> Answered:
        """Ask with given messages; after them the client stays until it is answered, or leaves."""
        sent: list[Message] = []
        done = asyncio.Event()

        async def receive() -> Message:
            if messages:
                return messages.pop(0)
            if not leaves:
                await done.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        named = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        scope |= {
            "headers": named,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("loopback", 80),
            "root_path": "",
        }
        try:
            await self.app(scope, receive, send)
        finally:
            done.set()
        head = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return Answered(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


@asynccontextmanager
async def running(*bundles: Path, **settings: Any) -> AsyncIterator[Asker]:
    """An application whose models are loaded, and a client of it."""
    app = make_app(*(bundles or BUNDLES), **settings)
    async with app.pages.router.lifespan_context(app.pages):
        yield Asker(app)


def ask_once(
    path: str, content: object = None, *bundles: Path, settings: dict[str, Any] | None = None, **headers: str
) -> Answered:
    """The answer of an application made for it."""

    async def asked(ask: Asker) -> Answered:
        return await ask(path, content, **headers)

    return with_app(asked, *bundles, **(settings or {}))


def with_app(use: Callable[[Asker], Awaitable[Any]], *bundles: Path, **settings: Any) -> Any:
    """What a coroutine function makes of a client of an application made for it."""

    async def run() -> Any:
        async with running(*bundles, **settings) as ask:
            return await use(ask)

    return asyncio.run(asyncio.wait_for(run(), 120))


class Served(NamedTuple):
    """The command in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def ask(self, path: str, content: object = None, **headers: str) -> Answered:
        """The answer to a request; POST where there is content."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = None if content is None else json.dumps(content)
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        answered = Answered(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return answered

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and the last it wrote to standard output."""
        self.process.send_signal(number)
        written, _ = self.process.communicate(timeout=120)
        return self.process.returncode, written


@contextmanager
def serving(log: Path, *arguments: object, **environment: str) -> Iterator[Served]:
    """`s2s-serve ARGUMENTS --port 0`, until the block ends."""
    command = [sys.executable, "-m", "s2s_runtime", "serve", *map(str, arguments), "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environment}
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving "), log.read_text()
        yield Served(process, int(line.rpartition(":")[2]), log)
    finally:
        process.kill()
        process.communicate()
