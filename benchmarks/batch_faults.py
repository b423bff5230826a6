"""Kills the workers of `s2s-batch`, and the command itself, while it decodes many rows: each has to be there once.

Then the same rows are decoded undisturbed by as many processes as there are cores, beside one process with as many
threads, for the share of its speed that is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from measuring.marked_processes import MARK, marked_processes

import s2s_runtime

LEAST_SHARE = 0.85


def faults(
    bundle: Annotated[Path, typer.Argument(help="A bundle that reads texts of the letters a to e.")],
    *,
    rows: Annotated[int, typer.Option(min=1, help="Rows to decode.")] = 200_000,
    beam: Annotated[int, typer.Option(min=1, help="Beam size.")] = 4,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two kills of a worker.")] = 2.0,
    drivers: Annotated[int, typer.Option(min=0, help="How often the command itself is killed.")] = 2,
    kill: Annotated[bool, typer.Option(help="Whether anything is killed.")] = True,
    timing: Annotated[bool, typer.Option(help="Whether the undisturbed run is timed.")] = True,
) -> None:
    """Decode rows while processes die, compare them with `generate`, and time an undisturbed run."""
    chance = random.Random(1)
    texts = ["".join(chance.choice("abcde") for _ in range(chance.randint(1, 12))) for _ in range(rows)]
    model = s2s_runtime.load(bundle, intra_op_threads=1, workers=os.cpu_count())
    begun = time.perf_counter()
    expected = model.generate(texts, beam_size=beam, return_scores=True)
    alone = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pq.write_table(pa.table({"row": range(rows), "text": texts}), place / "rows.parquet")
        command = ["s2s-batch", str(bundle), str(place / "rows.parquet"), "--column", "text", "--beam-size", str(beam)]
        command[0] = str(Path(sys.executable).with_name(command[0]))
        wrong = 0
        if kill:
            killed, last = _killed(
                [*command, "--output", str(place / "killed")], place / "killed", every, drivers, rows
            )
            wrong = _wrong(place / "killed", texts, expected)
            typer.echo(f"{rows:,} rows, {killed} workers and {drivers} times the command killed; {wrong} wrong")
            typer.echo(f"the last command: {last}")
            shutil.rmtree(place / "killed")
        if timing:
            begun = time.perf_counter()
            done = subprocess.run(
                [*command, "--output", str(place / "timed"), "--json"], check=True, capture_output=True, text=True
            )
            whole = time.perf_counter() - begun
            seconds = json.loads(done.stdout)["seconds"]
            share = alone / seconds
            told = f"generate {alone:.2f} s, s2s-batch {seconds:.2f} s ({whole:.2f} s with starting)"
            typer.echo(f"{told}: {share:.2f} of its speed")
            wrong += _wrong(place / "timed", texts, expected)
    if wrong:
        raise typer.Exit(1)


def _killed(command: list[str], output: Path, every: float, drivers: int, rows: int) -> tuple[int, str]:
    """Run a command again and again until it ends well, killing its workers; return how many, and what it said last.

    Where an n-th of the rows is written, the command itself is killed too, `drivers` times.
    """
    chance, killed, mark = random.Random(2), 0, uuid.uuid4().hex
    environment = {**os.environ, MARK: mark}
    for attempt in range(drivers + 1):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        last = time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            if time.monotonic() - last > every and (workers := sorted(marked_processes(mark, "ray::_Decoder"))):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    killed += 1
                last = time.monotonic()
            if attempt < drivers and len([*output.glob("part-*")]) * 4096 > rows * (attempt + 1) / (drivers + 1):
                process.kill()
                process.wait()
        said = process.stdout.read() if process.stdout else ""
        if attempt == drivers and process.returncode:
            raise RuntimeError(f"the command failed: {said}")
    return killed, said.strip()


def _wrong(output: Path, texts: list[str], expected: Any) -> int:
    """Return how many rows aren't there exactly once, or aren't what `generate` gives."""
    table = pq.read_table(output)
    found = table.to_pylist()
    counts: dict[int, int] = {}
    for row in found:
        counts[row["row"]] = counts.get(row["row"], 0) + 1
    wrong = sum(counts.get(i, 0) != 1 for i in range(len(texts)))
    for row in found:
        result = expected[row["row"]]
        wrong += (row["text"], row["output"]) != (texts[row["row"]], result.text) or abs(
            row["score"] - result.score
        ) > 1e-5
    return wrong


if __name__ == "__main__":
    typer.run(faults)
