"""Clients of `s2s-serve` that go before they are answered: nothing of them may stay, and others are served meanwhile.

Each connects, sends a part of a request (nothing, half a head, half a body, or all of it), and closes the connection,
half of them by a reset. What the server holds is read before and afterwards: files, tasks, threads, memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
import uvloop
from measuring.load import http_request, refuse_others, send_load

import s2s_runtime

SERVER: Final = """
import asyncio, json, sys
from s2s_runtime.serving.app import make_app
from s2s_runtime.serving.server import serve

class Told:
    '''The application, which also tells how many tasks there are.'''

    def __init__(self, app):
        self.app, self.pages, self.models = app, app.pages, app.models

    async def __call__(self, scope, receive, send):
        if scope["path"] != "/tasks":
            return await self.app(scope, receive, send)
        body = json.dumps(len(asyncio.all_tasks())).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

def tell(port):
    print(port, flush=True)

serve(Told(make_app(sys.argv[1])), host="127.0.0.1", port=0, watch=None, grace=5, on_listening=tell)
"""
_TEXTS: Final = ["abc", "de", "edcba", "b", "aab", "cd", "ee", "dcb"]
_SETTLE: Final = 20.0  # seconds that a server may take until it holds no more than before
_STAY: Final = 1.0  # seconds that a client stays at most
_MEGABYTE: Final = 2**20
_GROWTH: Final = 8  # megabytes of memory that a round after the first may add: what the system gives back late


class Held(NamedTuple):
    """What the server holds."""

    files: int
    tasks: int
    threads: int
    megabytes: float


def leave(
    bundle: Annotated[Path, typer.Argument(help="A bundle that reads texts of the letters a to e.")],
    *,
    leavers: Annotated[int, typer.Option(min=1, help="Clients that go, all at the same time.")] = 1000,
    rounds: Annotated[int, typer.Option(min=2, max=20, help="How often.")] = 4,
    stayers: Annotated[int, typer.Option(min=1, help="Clients that stay, and are answered.")] = 8,
) -> None:
    """Let clients go, and look at what the server holds then, and at the answers of those who stay."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    expected = [result.text for result in s2s_runtime.load(bundle).generate(_TEXTS)]
    command = [sys.executable, "-c", SERVER, str(bundle)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline()) if process.stdout else 0
        held = [uvloop.run(_round(process.pid, port, expected, 50, stayers))]  # all that is made once is there
        for _ in range(rounds):
            held.append(uvloop.run(_round(process.pid, port, expected, leavers, stayers)))
            typer.echo(f"{leavers} left: {held[-1]}")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    growth = held[-1].megabytes - held[1].megabytes
    same = held[-1][:3] == held[0][:3]
    typer.echo(f"before: {held[0]}; after {rounds * leavers}: {held[-1]}; exit status {code}")
    if not same or growth > _GROWTH or code:
        raise typer.Exit(1)


async def _round(pid: int, port: int, expected: list[str], leavers: int, stayers: int) -> Held:
    """Let so many go at the same time, while others ask and are answered; return what is held when they have gone."""
    address = ("127.0.0.1", port)
    going = asyncio.create_task(_all_go(address, leavers))
    requests = [http_request("/generate", {"text": text}) for text in _TEXTS]

    def check(index: int, body: bytes) -> bool:
        return bool(json.loads(body)["results"][0]["text"] == expected[index])

    stayed = await send_load(address, requests, check, clients=stayers, count=10**9, seconds=_STAY + 1)
    await going
    if stayed.wrong or stayed.lost or set(stayed.statuses) != {200}:
        raise RuntimeError(f"those who stayed: {stayed.wrong} wrong, {stayed.lost} lost, {stayed.statuses}")
    typer.echo(f"meanwhile {len(stayed.seconds)} answers to others, slowest {1000 * max(stayed.seconds):.0f} ms")
    return await _settled(pid, address)


async def _all_go(address: tuple[str, int], count: int) -> None:
    refuse_others(address[0])
    drawn = random.Random(count)
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(_go(address, number, drawn.random() * _STAY))


async def _go(address: tuple[str, int], number: int, stay: float) -> None:
    """Connect, send a part of a request, and go."""
    long = {"engine": "steps", "min_length": 50, "max_length": 50}
    request = http_request("/generate", {"text": _TEXTS[number % len(_TEXTS)], **long})
    head = request.index(b"\r\n\r\n")
    parts = (0, head // 2, head + 4, head + 10, len(request))
    reader, writer = await asyncio.open_connection(*address)  # without its reader a stream is closed
    writer.write(request[: parts[number % len(parts)]])
    with contextlib.suppress(OSError):
        await writer.drain()
    await asyncio.sleep(stay)
    if number % 2:  # by a reset
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    del reader


async def _settled(pid: int, address: tuple[str, int]) -> Held:
    """Return what the server holds once that doesn't change any more."""
    until, before = time.monotonic() + _SETTLE, await _held(pid, address)
    while time.monotonic() < until:
        await asyncio.sleep(1.0)
        now = await _held(pid, address)
        if now[:3] == before[:3]:
            return now
        before = now
    return before


async def _held(pid: int, address: tuple[str, int]) -> Held:
    process = Path(f"/proc/{pid}")
    tasks = await _asked(address, "/tasks")
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    megabytes = round(pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE, 1)
    return Held(len(list((process / "fd").iterdir())), tasks, len(list((process / "task").iterdir())), megabytes)


async def _asked(address: tuple[str, int], path: str) -> Any:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: loopback\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


if __name__ == "__main__":
    typer.run(leave)
