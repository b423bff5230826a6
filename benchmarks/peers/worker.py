"""A peer in its own process: one JSON object per line in, one out.

Run from `benchmarks/` as `python -m peers.worker NAME [CORES]`; `compare.py` does. Requests are
`{"do": "load", "folder": ...}` and `{"do": "decode", "batch": n, "repeats": n}`. The process ends when its stdin does.

On one core the seconds are processor time of the whole process, which is what passes on the clock when nothing else
runs, and is all but unmoved when something does.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from peers.interface import Peer, Problem

Clock = Callable[[], float]


def main() -> None:
    """Answer requests until stdin ends."""
    answers = _own_stdout()
    cores = int(sys.argv[2]) if len(sys.argv) > 2 else None
    if cores is not None:  # before anything is imported that counts cores to make threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    clock = time.perf_counter if cores != 1 else time.process_time
    peer: Peer = importlib.import_module(f"peers.{sys.argv[1]}").make_peer()
    problem: Problem | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "load":
            folder = Path(request["folder"])
            peer.load(folder, cores)
            problem = Problem.read(folder)
            answer: dict[str, Any] = {
                "title": peer.title,
                "versions": {"python": sys.version.split()[0], **peer.versions()},
                "threads": peer.threads(),
                "batch_sizes": peer.batch_sizes,
            }
        elif problem is None:
            raise RuntimeError("asked to decode before anything was loaded")
        else:
            answer = _decode(peer, problem, request["batch"], request["repeats"], clock)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _own_stdout() -> IO[str]:
    """Stdout for answers alone: whatever a framework prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _decode(peer: Peer, problem: Problem, batch: int, repeats: int, clock: Clock) -> dict[str, Any]:
    sources = problem.sources[:batch]
    seconds = []
    for _ in range(repeats):
        start = clock()
        tokens = peer.decode(sources, problem.steps)
        seconds.append(clock() - start)
    wrong = (np.asarray(tokens) != problem.expected[:batch]).any(axis=1)
    return {"seconds": seconds, "wrong_rows": int(wrong.sum())}


if __name__ == "__main__":
    main()
