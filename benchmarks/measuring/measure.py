"""Timing peers side by side: workers kept alive, visited in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring.asked_process import AskedProcess, PeerError
from measuring.cases import Cell
from measuring.environments import PEERS, python_of
from measuring.quiet import Usage, foreign_cores, wait_until_quiet

# Long enough for the threads of the peer before to stop waiting actively (OpenMP does so for 0.2 s).
SETTLE_SECONDS = 0.3
VISIT_SECONDS = 0.4
SLOW_SECONDS = 1.0  # a peer slower than this is called once per visit, on few visits
SLOW_ROUNDS = 5


class Worker(AskedProcess):
    """A peer in its own process, see `peers/worker.py`.

    Args:
        name: module in `peers/`, a variant after a colon.
        log: file that gets what the peer's framework writes.
        cores: how many the process may use; None = all.
    """

    def __init__(self, name: str, log: Path, cores: int | None = None) -> None:
        command = [str(python_of(PEERS[name])), "-m", "peers.worker", name, *([] if cores is None else [str(cores)])]
        super().__init__(name, command, log, {"TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"} | _gpus(name))

    def decode(self, cell: Cell, repeats: int) -> tuple[list[float], int]:
        """Seconds of each of `repeats` calls, and how many sentences differ from the reference.

        Raises:
            PeerError: some do, and the peer has no reason to.
        """
        how = {"batch": cell.batch, "beam": cell.beam, "count": cell.count, "texts": cell.texts}
        answer = self.ask(do="decode", repeats=repeats, **how)
        wrong: int = answer["wrong_rows"]
        if wrong and str(cell.beam) not in self._about["may_differ"]:
            raise PeerError(
                f"{self.name}: {wrong} of {cell.count} sentences differ from the reference at batch {cell.batch}, "
                f"beam {cell.beam}"
            )
        return [float(value) for value in answer["seconds"]], wrong

    def load(self, folder: Path) -> dict[str, Any]:
        """Let it take the model in; returns what it says about itself, or why it is `unavailable`."""
        self._about = self.ask(do="load", folder=str(folder))
        return self._about

    def times(self, cell: Cell) -> bool:
        """Whether it is timed there."""
        sizes = self._about["batch_sizes"]
        return (sizes is None or cell.batch in sizes) and (cell.beam == 1 or self._about["beams"])


def _gpus(peer: str) -> dict[str, str]:
    """Return the variable that hides GPUs from peers that are timed on the CPU."""
    return {} if ":cuda" in peer else {"CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True)
class Series:
    """One peer in one cell.

    Args:
        peer: its name.
        cell: how it was called.
        repeats: calls timed in each visit.
        differing: sentences whose tokens are not the reference's.
        visits: seconds of one call: the median of each visit, in order of time.
        foreign: cores that other programs used during each visit; None where unknown.
    """

    peer: str
    cell: Cell
    repeats: int
    differing: int
    visits: list[float]
    foreign: list[float | None]


def measure(
    workers: Sequence[Worker], cells: Sequence[Cell], rounds: int, patience: float, progress: Callable[[str], None]
) -> list[Series]:
    """Time every peer in every cell in rounds: each round visits each peer once.

    Args:
        workers: loaded peers.
        cells: how they are called.
        rounds: visits of each peer in each cell.
        patience: seconds to wait before each visit, at most, for other programs to leave the processor alone.
        progress: called with a few words as each round begins.
    """
    found = []
    for cell in cells:
        present = [worker for worker in workers if worker.times(cell)]
        named = f"batch {cell.batch}, beam {cell.beam}"
        series = {}
        for worker in present:
            progress(f"{named}: {worker.name} warms up, its tokens are checked")
            series[worker.name] = _warm_up(worker, cell)
        for turn in range(rounds):
            progress(f"{named}: round {turn + 1} of {rounds}")
            first = turn % max(1, len(present))
            for worker in present[first:] + present[:first]:
                if series[worker.name].repeats > 1 or turn < SLOW_ROUNDS:
                    _visit(worker, series[worker.name], patience)
        found += series.values()
    return found


def _visit(worker: Worker, series: Series, patience: float) -> None:
    wait_until_quiet(worker.pid, SETTLE_SECONDS, patience)
    before = Usage.read(worker.pid)
    wakes = 1 if series.repeats > 1 else 0  # a first call that wakes caches and threads; long ones do so by themselves
    seconds, _ = worker.decode(series.cell, series.repeats + wakes)
    series.foreign.append(foreign_cores(before, Usage.read(worker.pid)))
    series.visits.append(statistics.median(seconds[wakes:]))


def _warm_up(worker: Worker, cell: Cell) -> Series:
    """Compile, check the tokens, and find how many calls fill a visit."""
    _, differing = worker.decode(cell, 1)
    once = min(worker.decode(cell, 1)[0])
    repeats = 1 if once > SLOW_SECONDS else max(3, min(100, round(VISIT_SECONDS / once)))
    return Series(worker.name, cell, repeats, differing, [], [])
