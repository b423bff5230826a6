"""Kills `s2s-serve` while it answers, starts it again, and replaces its bundle: no answer may be wrong.

Two bundles take turns, which say other things. Each answer has to be what one of them says, and the same one for all
answers of a version. Clients wait for a server that is away. A request is lost only where its answer was under way at
a kill.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from measuring.load import Load, http_request, send_load

import s2s_runtime

_SYMBOLS: Final = "abc"
_TEXTS: Final = ["".join(symbols) for length in (3, 4, 5) for symbols in itertools.product(_SYMBOLS, repeat=length)]


class Answers:
    """What may be answered: by one of several bundles, which a version tells apart."""

    def __init__(self, bundles: Sequence[Path]) -> None:
        self._said = [[result.text for result in s2s_runtime.load(bundle).generate(_TEXTS)] for bundle in bundles]
        self._bundles: dict[str, set[int]] = {}  # that fit all answers of a version
        self.counts: dict[str, int] = {}

    def check(self, index: int, body: bytes) -> bool:
        """Return whether an answer is right."""
        answer = json.loads(body)
        text, version = answer["results"][0]["text"], answer["version"]
        self.counts[version] = self.counts.get(version, 0) + 1
        bundles = self._bundles.setdefault(version, set(range(len(self._said))))
        bundles &= {i for i, said in enumerate(self._said) if said[index] == text}
        return bool(bundles)


def faults(
    bundles: Annotated[tuple[Path, Path], typer.Argument(help="Two bundles that read texts of the letters a to c.")],
    *,
    count: Annotated[int, typer.Option(min=1, help="Requests in all.")] = 100_000,
    clients: Annotated[int, typer.Option(min=1, help="Clients at the same time.")] = 64,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two faults, kills and reloads in turn.")] = 1.5,
) -> None:
    """Send requests while the server is killed and reloaded in turn, and check each answer."""
    answers = Answers(bundles)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.s2s"
        shutil.copytree(bundles[0], place)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        run = _run(place, port, bundles, answers, count=count, clients=clients, every=every)
        load, kills, reloads = uvloop.run(run)
    told = (
        f"{sum(load.statuses.values())} answers {load.statuses}, of each version {answers.counts}, {load.wrong} wrong"
    )
    typer.echo(f"{told}, {load.lost} lost, {kills} kills, {reloads} reloads")
    if load.wrong or load.lost > kills * clients or set(load.statuses) - {200, 503}:
        raise typer.Exit(1)


async def _run(
    place: Path, port: int, bundles: Sequence[Path], answers: Answers, *, count: int, clients: int, every: float
) -> tuple[Load, int, int]:
    requests = [http_request("/generate", {"text": text}) for text in _TEXTS]
    process, kills, reloads = _start(place, port), 0, 0
    sending = asyncio.create_task(
        send_load(("127.0.0.1", port), requests, answers.check, clients=clients, count=count, patient=True)
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
                shutil.copytree(bundles[(reloads + 1) % len(bundles)], again)
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
