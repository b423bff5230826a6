"""Kills `s2s-serve` while it answers, starts it again, and replaces its bundle: no answer may be wrong.

Clients wait for a server that is away. A request is lost only where its answer was under way at a kill.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from measuring.load import Load, http_request, send_load

import s2s_runtime

_SYMBOLS: Final = "abcde"


def faults(
    bundle: Annotated[Path, typer.Argument(help="A bundle that reads texts of the letters a to e.")],
    *,
    count: Annotated[int, typer.Option(min=1, help="Requests in all.")] = 100_000,
    clients: Annotated[int, typer.Option(min=1, help="Clients at the same time.")] = 64,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two faults, kills and reloads in turn.")] = 4.0,
) -> None:
    """Send requests while the server is killed and reloaded in turn, and check each answer."""
    texts = [a + b + c + d for a in _SYMBOLS for b in _SYMBOLS for c in _SYMBOLS for d in _SYMBOLS]
    expected = [result.text for result in s2s_runtime.load(bundle).generate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.s2s"
        shutil.copytree(bundle, place)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        load, kills, reloads = uvloop.run(_run(place, port, texts, expected, count=count, clients=clients, every=every))
    answered = sum(load.statuses.values())
    told = f"{answered} answers {load.statuses}, {load.wrong} wrong, {load.lost} lost, {kills} kills, {reloads} reloads"
    typer.echo(told)
    if load.wrong or load.lost > kills * clients or set(load.statuses) - {200, 503}:
        raise typer.Exit(1)


async def _run(
    place: Path, port: int, texts: list[str], expected: list[str], *, count: int, clients: int, every: float
) -> tuple[Load, int, int]:
    requests = [http_request("/generate", {"text": text}) for text in texts]

    def check(index: int, body: bytes) -> bool:
        return bool(json.loads(body)["results"][0]["text"] == expected[index])

    process, kills, reloads = _start(place, port), 0, 0
    sending = asyncio.create_task(
        send_load(("127.0.0.1", port), requests, check, clients=clients, count=count, patient=True)
    )
    try:
        while not (await asyncio.wait([sending], timeout=every))[0]:
            if kills <= reloads:
                process.kill()
                process.wait()
                kills += 1
                process = _start(place, port)
            else:
                again = place.with_name(f"again{reloads}")
                shutil.copytree(place, again)
                place.rename(place.with_name(f"old{reloads}"))
                again.rename(place)
                os.kill(process.pid, signal.SIGHUP)
                reloads += 1
        return await sending, kills, reloads
    finally:
        process.kill()
        process.wait()


def _start(place: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the server; clients wait for it, and SIGHUP comes much later than it is ready."""
    command = [sys.executable, "-m", "s2s_runtime", "serve", str(place), "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if process.stdout is None or not process.stdout.readline().startswith(b"serving"):
        raise RuntimeError("the server didn't start")
    return process


if __name__ == "__main__":
    typer.run(faults)
