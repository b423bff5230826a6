"""Times the runtime beside what people would use instead. The method is in README.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from environments import PEERS
from measure import HERE, PeerError, Worker, measure
from peers.interface import Problem, Weights
from rich.console import Console
from tables import README, RESULTS, peer_tables, write_tables

from s2s_runtime.bench import cpu_name


def compare(
    *,
    model: Annotated[
        Path | None, typer.Option(help="A trained canonical translator (model.keras); without it, random weights.")
    ] = None,
    peers: Annotated[str, typer.Option(help="Which, separated by commas.")] = ",".join(PEERS),
    batch_size: Annotated[str, typer.Option(help="Sentences in a call; several, separated by commas.")] = "1,32,256",
    rounds: Annotated[int, typer.Option(min=1, help="Visits of each peer at each batch size.")] = 15,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores that each peer may use; without it, all.")] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait per visit for a quiet machine.")] = 5.0,
    output: Annotated[Path | None, typer.Option(help="JSON to write.", show_default="results/peers*.json")] = None,
    tables: Annotated[bool, typer.Option(help="Renew the tables of README.md.")] = True,
) -> None:
    """Time all peers, interleaved, and write JSON and tables."""
    names = peers.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown or "ours" not in names:
        raise typer.BadParameter(f"--peers: expected 'ours' and any of {', '.join(PEERS)}; got {peers}")
    plan = _Plan(names, [int(text) for text in batch_size.split(",")], rounds, cores, patience)
    console = Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory() as folder, console.status("preparing the model and its bundle") as status:
            prepare_in_process(Path(folder), model)
            results = _compare(Path(folder), plan, status.update)
    except (PeerError, subprocess.CalledProcessError, OSError) as error:
        console.print(f"error: {error}", style="red", highlight=False)
        raise typer.Exit(1) from error
    suffix = "" if cores is None else f"-{cores}-core"
    output = output or RESULTS / f"peers{suffix}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    made = peer_tables(results)
    if tables:
        write_tables(README, made)
    print("\n\n".join(made.values()))


def prepare_in_process(folder: Path, model: Path | None) -> None:
    """Run `prepare.py` in a process of its own: TensorFlow's threads must not stay beside what is timed.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    command = [sys.executable, str(HERE / "prepare.py"), str(folder)]
    subprocess.run(command + ([] if model is None else ["--model", str(model.resolve())]), check=True)


@dataclass(frozen=True)
class _Plan:
    """What is measured; the fields are the options of the command."""

    names: list[str]
    batches: list[int]
    rounds: int
    cores: int | None
    patience: float


def _compare(folder: Path, plan: _Plan, progress: Callable[[str], None]) -> dict[str, Any]:
    problem, weights = Problem.read(folder), Weights.read(folder)
    with ExitStack() as stack:
        workers, described = [], {}
        for name in plan.names:
            progress(f"starting {name}")
            worker = Worker(name, folder / f"{name}.log", plan.cores)
            stack.callback(worker.close)
            described[name] = worker.load(folder)
            workers.append(worker)
        series = measure(workers, plan.batches, plan.rounds, plan.patience, progress)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "model": problem.model,
        "shape": f"{weights.source_size} and {weights.target_size} symbols, {weights.units} units, "
        f"{problem.sources.shape[1]} in, {problem.steps} out",
        "steps": problem.steps,
        "batches": plan.batches,
        "rounds": plan.rounds,
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "cores_used": plan.cores or os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "peers": described,
        "series": [asdict(each) for each in series],
    }


if __name__ == "__main__":
    typer.run(compare)
