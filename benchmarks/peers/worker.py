"""A peer in its own process: one JSON object per line in, one out.

Run from `benchmarks/` as `python -m peers.worker NAME[:VARIANT] [CORES]`; `compare.py` does. Requests are
`{"do": "load", "folder": ...}` and `{"do": "decode", "batch": n, "beam": n, "count": n, "texts": false, "repeats": n}`:
the first `count` sentences, `batch` at once, from ids to ids or from texts to texts. The process ends when its stdin
does.

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
from typing import Any

import numpy as np
from measuring.asked_process import Answers

from peers.interface import (
    SOURCE_SYMBOL,
    TARGET_SYMBOL,
    BeamPeer,
    Ids,
    ListPeer,
    Multiplier,
    Peer,
    Problem,
    Rows,
    TextPeer,
    UnavailableError,
)

Clock = Callable[[], float]


def main() -> None:
    """Answer requests until stdin ends."""
    answers = Answers()
    cores = int(sys.argv[2]) if len(sys.argv) > 2 else None
    if cores is not None:  # before anything is imported that counts cores to make threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    clock = time.perf_counter if cores != 1 else time.process_time
    module, *variant = sys.argv[1].split(":")
    peer: Peer = importlib.import_module(f"peers.{module}").make_peer(*variant)
    problem: Problem | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "load":
            problem = Problem.read(Path(request["folder"]))
            answer = _load(peer, Path(request["folder"]), cores)
        elif problem is None:
            raise RuntimeError("asked to decode before anything was loaded")
        else:
            answer = _decode(peer, problem, request, clock)
        answers.give(answer)


def _load(peer: Peer, folder: Path, cores: int | None) -> dict[str, Any]:
    try:
        peer.load(folder, cores)
    except UnavailableError as error:
        return {"title": peer.title, "unavailable": str(error)}
    return {
        "title": peer.title,
        "versions": {"python": sys.version.split()[0], **peer.versions()},
        "threads": peer.threads(),
        "batch_sizes": peer.batch_sizes,
        "beams": isinstance(peer, BeamPeer),
        "may_differ": peer.may_differ,
    }


def _decode(peer: Peer, problem: Problem, request: dict[str, Any], clock: Clock) -> dict[str, Any]:
    batch, beam, count = request["batch"], request["beam"], request["count"]
    if request["texts"]:
        return _decode_texts(peer, problem, count, request["repeats"], clock)
    seconds, parts = _timed(lambda: _once(peer, problem, batch, beam, count), request["repeats"], clock)
    wrong = wrong_rows(joined(parts, count, problem.steps), problem.expected[beam][:count]) if parts else 0
    return {"seconds": seconds, "wrong_rows": wrong}


def _decode_texts(peer: Peer, problem: Problem, count: int, repeats: int, clock: Clock) -> dict[str, Any]:
    if not isinstance(peer, TextPeer):
        raise RuntimeError(f"{peer.title}: takes no texts")
    texts = [" ".join(map(SOURCE_SYMBOL.format, row)) for row in problem.sources[:count].tolist()]
    expected = [" ".join(map(TARGET_SYMBOL.format, row)) for row in problem.expected[1][:count].tolist()]
    seconds, found = _timed(lambda: peer.decode_texts(texts), repeats, clock)
    return {"seconds": seconds, "wrong_rows": sum(a != b for a, b in zip(found, expected, strict=True))}


def _timed(call: Callable[[], Any], repeats: int, clock: Clock) -> tuple[list[float], Any]:
    """Return the seconds of each call, and what the last one gave."""
    seconds, found = [], None
    for _ in range(repeats):
        start = clock()
        found = call()
        seconds.append(clock() - start)
    return seconds, found


def _once(peer: Peer, problem: Problem, batch: int, beam: int, count: int) -> list[tuple[Ids, Rows]]:
    """Tokens of the first `count` sentences, batch by batch, and which they are; none from what only multiplies."""
    if isinstance(peer, Multiplier):
        peer.multiply(batch)
        return []
    if isinstance(peer, ListPeer) and batch > 1 and count > batch:
        return [(np.arange(count), peer.decode_list(problem.sources[:count], problem.steps, batch))]
    order = problem.longest_first(count)
    parts: list[tuple[Ids, Rows]] = []
    for place in range(0, count, batch):
        rows = order[place : place + batch]
        sources = problem.sources[rows]
        if beam == 1:
            found = peer.decode(sources, problem.steps)
        elif isinstance(peer, BeamPeer):
            found = peer.beam_search(sources, problem.steps, beam)
        else:
            raise RuntimeError(f"{peer.title}: has no beam search")
        parts.append((rows, found))
    return parts


def joined(parts: list[tuple[Ids, Rows]], count: int, steps: int) -> Ids:
    """Tokens of all sentences in their order, (count, steps), -1 behind the last of a batch."""
    tokens = np.full((count, steps), -1)
    for rows, found in parts:
        array = np.asarray(found)
        tokens[rows, : array.shape[1]] = array
    return tokens


def wrong_rows(tokens: Ids, expected: Ids) -> int:
    """How many rows differ; what is -1 in the expected ones, after their ends, doesn't count."""
    width = expected.shape[1]
    return int(((tokens[:, :width] != expected) & (expected >= 0)).any(axis=1).sum())


if __name__ == "__main__":
    main()
