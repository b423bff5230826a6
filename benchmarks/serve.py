"""Times `s2s-serve` beside calling `generate` in this process with batches of as many texts, and beside a naive server.

The naive server is FastAPI with a function that decodes the source of its request, as people begin. Each answer is
checked. Clients run on the cores of the server and take a part of them; "clients elsewhere" is what the server would
answer in that time too, at the same rate.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from compare import canonical_bundle
from measuring.cheap_load import send_cheap_load
from measuring.load import http_request
from report.markdown import RESULTS

import s2s_runtime
from s2s_runtime.ort.thread_rule import usable_cores

NAIVE: Final = """
import sys
import s2s_runtime, uvicorn
from fastapi import FastAPI
model, app = s2s_runtime.load(sys.argv[1]), FastAPI()

@app.post("/generate")
def generate(request: dict):
    ids, beams = request["ids"], request["beam_size"]
    return {"results": [{"text": model.generate([ids[0]], beam_size=beams)[0].text}]}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""
SOURCES: Final = 1024
_SERVE: Final = (sys.executable, "-m", "s2s_runtime", "serve")
_WAIT: Final = 60.0


def bench(
    *,
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle that reads ids; without it, the canonical translator, random weights.")
    ] = None,
    clients: Annotated[str, typer.Option(help="Clients at the same time, separated by commas.")] = "1,16,64,256",
    beam_size: Annotated[str, typer.Option(help="Beam sizes, separated by commas.")] = "1,5",
    rounds: Annotated[int, typer.Option(min=1, help="Visits of each setting.")] = 3,
    seconds: Annotated[float, typer.Option(help="Of each load.")] = 3.0,
    output: Annotated[Path, typer.Option(help="JSON to write.")] = RESULTS / "serve.json",
) -> None:
    """Measure throughput and latency of the server, of `generate` and of the naive server, in turn."""
    rows = []
    with canonical_bundle() if bundle is None else nullcontext(bundle) as chosen:
        model, sources = s2s_runtime.load(chosen), _sources(chosen)
        with _serving(chosen) as served, _naive(chosen) as naive:
            for beams in map(int, beam_size.split(",")):
                expected = [result.text for result in model.generate(sources, beam_size=beams)]
                for count in map(int, clients.split(",")):
                    measured = [
                        _round(model, sources, expected, (served, naive), beams=beams, clients=count, seconds=seconds)
                        for _ in range(rounds)
                    ]
                    rows.append({"beam": beams, "clients": count, **_medians(measured)})
                    typer.echo(" ".join(f"{name} {value:.4g}" for name, value in rows[-1].items()), err=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    typer.echo(_table(rows))


def _sources(bundle: Path) -> list[list[int]]:
    size = s2s_runtime.read_manifest(bundle).source.size
    random = np.random.default_rng(1)
    return [random.integers(1, size, size=random.integers(8, 17)).tolist() for _ in range(SOURCES)]


def _round(
    model: s2s_runtime.Model,
    sources: Sequence[list[int]],
    expected: Sequence[str],
    ports: tuple[int, int],
    *,
    beams: int,
    clients: int,
    seconds: float,
) -> dict[str, float]:
    """Measure each once."""
    requests = [http_request("/generate", {"ids": [source], "beam_size": beams}) for source in sources]

    def check(index: int, body: bytes) -> bool:
        return bool(json.loads(body)["results"][0]["text"] == expected[index])

    measured: dict[str, float] = {"direct": _direct(model, sources, beams, clients, seconds)}
    for name, port in zip(("serve", "naive"), ports, strict=True):
        load = send_cheap_load(("127.0.0.1", port), requests, check, clients=clients, seconds=seconds)
        if load.wrong or set(load.statuses) != {200}:
            raise RuntimeError(f"{name}: {load.wrong} wrong, {load.statuses}")
        rate = len(load.seconds) / load.wall
        measured |= {name: rate, f"{name}_alone": rate / (1 - load.busy / load.wall / usable_cores())}
        measured |= {f"{name}_p50": load.percentile(0.5), f"{name}_p99": load.percentile(0.99)}
    return measured


def _direct(model: s2s_runtime.Model, sources: Sequence[list[int]], beams: int, batch: int, seconds: float) -> float:
    """Return how many sources a second `generate` decodes, so many at a time."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        first = done % (SOURCES - batch + 1)
        model.generate(sources[first : first + batch], beam_size=beams)
        done += batch
    return done / (time.perf_counter() - began)


def _medians(measured: Sequence[dict[str, float]]) -> dict[str, float]:
    medians = {name: statistics.median(each[name] for each in measured) for name in measured[0]}
    for name in ("direct", "naive"):
        medians[f"serve/{name}"] = statistics.median(each["serve"] / each[name] for each in measured)
    medians["alone/direct"] = statistics.median(each["serve_alone"] / each["direct"] for each in measured)
    return medians


def _table(rows: Sequence[dict[str, float]]) -> str:
    head = (
        "beam | clients | s2s-serve /s | p50 ms | p99 ms | of generate | clients elsewhere | naive /s | naive p99 ms "
        "| times naive"
    )
    lines = [f"| {head} |", "|" + " ---: |" * 10]
    for row in rows:
        cells = [f"{row['beam']:.0f}", f"{row['clients']:.0f}", f"{row['serve']:.0f}"]
        cells += [f"{1000 * row[name]:.1f}" for name in ("serve_p50", "serve_p99")]
        cells += [f"{row['serve/direct']:.2f}", f"{row['alone/direct']:.2f}", f"{row['naive']:.0f}"]
        cells += [f"{1000 * row['naive_p99']:.1f}", f"{row['serve/naive']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@contextmanager
def _serving(bundle: Path) -> Iterator[int]:
    """Run s2s-serve; yield its port."""
    command = [*_SERVE, str(bundle), "--port", "0", "--no-access-log"]
    with _process(command, lambda line: int(line.rpartition(":")[2])) as port:
        yield port


@contextmanager
def _naive(bundle: Path) -> Iterator[int]:
    """Run the naive server; yield its port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "naive.py"
        program.write_text(NAIVE, encoding="utf-8")
        process = subprocess.Popen([sys.executable, str(program), str(bundle), str(port)])
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + _WAIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


@contextmanager
def _process(command: Sequence[str], read: Callable[[str], int]) -> Iterator[int]:
    process: subprocess.Popen[Any] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield read(process.stdout.readline() if process.stdout else "")
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    typer.run(bench)
