"""Timing peers side by side: workers kept alive, visited in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import PEERS, python_of
from quiet import Usage, foreign_cores, wait_until_quiet

HERE = Path(__file__).resolve().parent

# Long enough for the threads of the peer before to stop waiting actively (OpenMP does so for 0.2 s).
SETTLE_SECONDS = 0.3
VISIT_SECONDS = 0.4
SLOW_SECONDS = 1.0  # a peer slower than this is called once per visit, on few visits
SLOW_ROUNDS = 3


class PeerError(RuntimeError):
    """A peer ended or gave other tokens than the reference."""


class Worker:
    """A peer in its own process, see `peers/worker.py`.

    Args:
        name: module in `peers/`.
        log: file that gets what the peer's framework writes.
        cores: how many the process may use; None = all.

    Raises:
        PeerError: the process ended; the log says why.
    """

    def __init__(self, name: str, log: Path, cores: int | None = None) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [str(python_of(PEERS[name])), "-m", "peers.worker", name, *([] if cores is None else [str(cores)])],
                cwd=HERE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"},
            )

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request, wait for the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise PeerError(f"{self.name}: has no pipes")
        with suppress(BrokenPipeError):  # it has ended: there is no answer either
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise PeerError(f"{self.name}: ended without an answer: {' '.join(last)}")
        found: dict[str, Any] = json.loads(answer)
        return found

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def decode(self, batch: int, repeats: int) -> list[float]:
        """Seconds of each of `repeats` calls.

        Raises:
            PeerError: the tokens are not those of the reference.
        """
        answer = self.ask(do="decode", batch=batch, repeats=repeats)
        if answer["wrong_rows"]:
            raise PeerError(f"{self.name}: {answer['wrong_rows']} of {batch} sentences differ from the reference")
        return [float(value) for value in answer["seconds"]]

    def load(self, folder: Path) -> dict[str, Any]:
        """Let it take the model in; returns what it says about itself."""
        about = self.ask(do="load", folder=str(folder))
        self._batch_sizes: list[int] | None = about["batch_sizes"]
        return about

    def times(self, batch: int) -> bool:
        """Whether it is timed at this batch size."""
        return self._batch_sizes is None or batch in self._batch_sizes

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass(frozen=True)
class Series:
    """One peer at one batch size.

    Args:
        peer: its module's name.
        batch: sentences in one call.
        visits: seconds of one call: the median of each visit, in order of time.
        foreign: cores that other programs used during each visit; None where unknown.
        repeats: calls timed in each visit.
    """

    peer: str
    batch: int
    visits: list[float]
    foreign: list[float | None]
    repeats: int


def measure(
    workers: Sequence[Worker], batches: Sequence[int], rounds: int, patience: float, progress: Callable[[str], None]
) -> list[Series]:
    """Time every peer at every batch size in rounds: each round visits each peer once.

    Args:
        workers: loaded peers.
        batches: sentences in one call.
        rounds: visits of each peer at each batch size.
        patience: seconds to wait before each visit, at most, for other programs to leave the processor alone.
        progress: called with a few words as each round begins.
    """
    found = []
    for batch in batches:
        present = [worker for worker in workers if worker.times(batch)]
        progress(f"batch {batch}: checking tokens, warming up")
        series = {worker.name: Series(worker.name, batch, [], [], _repeats(worker, batch)) for worker in present}
        for turn in range(rounds):
            progress(f"batch {batch}: round {turn + 1} of {rounds}")
            first = turn % len(present)
            for worker in present[first:] + present[:first]:
                if series[worker.name].repeats > 1 or turn < SLOW_ROUNDS:
                    _visit(worker, series[worker.name], patience)
        found += series.values()
    return found


def _visit(worker: Worker, series: Series, patience: float) -> None:
    wait_until_quiet(worker.pid, SETTLE_SECONDS, patience)
    before = Usage.read(worker.pid)
    seconds = worker.decode(series.batch, series.repeats + 1)
    series.foreign.append(foreign_cores(before, Usage.read(worker.pid)))
    series.visits.append(statistics.median(seconds[1:]))  # the first wakes caches and threads


def _repeats(worker: Worker, batch: int) -> int:
    """How many calls fill a visit, found while compiling and warming up."""
    worker.decode(batch, 1)
    once = min(worker.decode(batch, 1))
    if once > SLOW_SECONDS:
        return 1
    return max(3, min(100, round(VISIT_SECONDS / once)))
