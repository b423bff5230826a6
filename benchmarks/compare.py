"""Times the runtime beside what people would use instead. The method is in README.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from measuring.asked_process import HERE, PeerError
from measuring.cases import CASES, Case
from measuring.measure import Worker, measure
from peers.interface import BUNDLE_FOLDER, Problem
from report.machines import keep, machine_table
from report.markdown import README, RESULTS, has_place
from report.peer_tables import peer_tables
from report.targets import publish
from rich.console import Console

from s2s_runtime.bench.machine import cpu_name


@dataclass(frozen=True)
class Plan:
    """What is measured; the fields are options of the command.

    Args:
        rounds: visits of each peer in each cell.
        cores: how many each peer may use; None = all.
        patience: seconds to wait per visit for a quiet machine.
        model: a trained canonical translator, for real text.
        pairs: file of real sentences.
    """

    rounds: int
    cores: int | None
    patience: float
    model: Path | None
    pairs: Path | None


def compare(
    *,
    only: Annotated[str, typer.Option(help="Which cases, separated by commas.")] = ",".join(CASES),
    peers: Annotated[str | None, typer.Option(help="Only these peers of each case, and ours.")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Only these batch sizes, separated by commas.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Visits of each peer at each batch size.")] = 7,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores that each peer may use; without it, all.")] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait per visit for a quiet machine.")] = 5.0,
    model: Annotated[
        Path | None, typer.Option(help="A trained canonical translator (model.keras beside vocab.json), for case text.")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="Sentence pairs (TSV), such as fra.txt, for case text.")] = None,
    output: Annotated[Path, typer.Option(help="Folder to write JSON into.", file_okay=False)] = RESULTS,
    tables: Annotated[
        bool, typer.Option(help="Renew the tables of README.md, and what is kept of this kind of machine.")
    ] = True,
) -> None:
    """Time all peers, interleaved, case after case, and write JSON and tables.

    A case that fails is an error that names it; the others are measured all the same.
    """
    plan = Plan(rounds, cores, patience, model, pairs)
    cases = {name: _narrow(CASES[name], peers, batch_size) for name in known_names("--only", only, CASES)}
    console, failed = Console(stderr=True), False
    for name, case in cases.items():
        reason = missing_files(plan) if name == "text" else "" if case.cells else "it has no such batch size"
        if reason:
            console.print(f"{name}: left out, {reason}", highlight=False)
            continue
        try:
            with tempfile.TemporaryDirectory() as folder, console.status("") as status:
                results = compare_case(Path(folder), name, case, plan, _prefixed(status.update, name))
        except (PeerError, subprocess.CalledProcessError, OSError) as error:
            console.print(f"error: {name}: {error}", style="red", highlight=False)
            failed = True
            continue
        suffix = "" if cores is None else f"-{cores}-core"
        made = peer_tables(results)
        if tables and batch_size is None:
            keep(results)
            made |= machine_table()
        publish(results, output / f"{name}{suffix}.json", made, renew_readme=tables and has_place(README, made))
    if failed:
        raise typer.Exit(1)


def _prefixed(update: Callable[[str], None], name: str) -> Callable[[str], None]:
    """Progress that says which case it is about."""
    return lambda words: update(f"{name}: {words}")


def known_names(option: str, text: str, known: Collection[str]) -> list[str]:
    """Return the names that an option gives, separated by commas.

    Raises:
        typer.BadParameter: one isn't known.
    """
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{option}: expected any of {', '.join(known)}; got {', '.join(unknown)}")
    return names


def _narrow(case: Case, peers: str | None, batch_size: str | None) -> Case:
    """Return the case with some of its peers and batch sizes; ours is always there, as ratios are taken to it."""
    if peers is not None:
        known = {peer: None for each in CASES.values() for peer in each.peers}  # in their order
        wanted = {"ours", *known_names("--peers", peers, known)}
        case = replace(case, peers=tuple(peer for peer in case.peers if peer in wanted))
    if batch_size is not None:
        sizes = {int(text) for text in batch_size.split(",")}
        case = replace(case, cells=tuple(cell for cell in case.cells if cell.batch in sizes))
    return case


def missing_files(plan: Plan) -> str:
    """Why real text can't be decoded; empty where it can."""
    for option, path in (("--model", plan.model), ("--pairs", plan.pairs)):
        if path is None:
            return f"it needs {option} FILE"
        if not path.is_file():
            return f"{option} {path}: no such file"
    return ""


def prepare_in_process(folder: Path, case: str, plan: Plan | None = None, *, fewer_bits: str = "int8") -> None:
    """Run `prepare.py` in a process of its own: TensorFlow's threads must not stay beside what is timed.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    command = [sys.executable, str(HERE / "prepare.py"), str(folder), "--case", case, "--fewer-bits", fewer_bits]
    given = [("--model", plan.model), ("--pairs", plan.pairs)] if plan and case == "text" else []
    for option, path in given:
        command += [] if path is None else [option, str(path.resolve())]
    subprocess.run(command, check=True)


@contextmanager
def canonical_bundle() -> Iterator[Path]:
    """Yield the canonical translator with random weights as a bundle, which is gone again at the end.

    Raises:
        typer.Exit: it couldn't be made; what was run has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            prepare_in_process(Path(folder), "canonical", fewer_bits="none")
        except subprocess.CalledProcessError as error:
            raise typer.Exit(1) from error
        yield Path(folder) / BUNDLE_FOLDER


def compare_case(folder: Path, name: str, case: Case, plan: Plan, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure one case.

    Args:
        folder: empty, for weights and bundles.
        name: of the case.
        case: its peers and cells.
        plan: how often, with what.
        progress: called with a few words.

    Raises:
        PeerError: a peer ended or gave other tokens than the reference.
        subprocess.CalledProcessError: an environment or the model could not be made.
    """
    progress("preparing the model and its bundles")
    fewer = "float16" if any("float16" in peer for peer in case.peers) else "int8"
    prepare_in_process(folder, case.prepared or name, plan, fewer_bits=fewer)
    problem = Problem.read(folder)
    workers, described = [], {}
    with ExitStack() as stack:
        for peer in case.peers:
            progress(f"starting {peer}")
            worker = Worker(peer, folder / f"{peer.replace(':', '-')}.log", plan.cores)
            stack.callback(worker.close)
            described[peer] = worker.load(folder)
            if "unavailable" not in described[peer]:
                workers.append(worker)
        series = measure(workers, case.cells, plan.rounds, plan.patience, progress)
    return {
        "case": name,
        "title": case.title,
        "unit": case.unit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "model": problem.model,
        "shape": problem.shape,
        "steps": problem.steps,
        "products": problem.products,
        "cells": [asdict(cell) for cell in case.cells],
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
