"""What deploying a bundle costs: how long a fresh process takes to its first answer, and memory by process.

    make bench-deploy

Cold starts are those of a function's platform: a fresh process with one core, that imports
`examples/deployment/lambda_handler.py`, which loads the bundle, and answers two events of 20 tokens. Memory is that of
N processes, each with the model loaded and used, pages that several share divided among them: each loads the bundle, or
all are forked from one that loaded it. Prints tables of Markdown, as `docs/deployment.md` has them.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from export_growth import SIZES, exported
from report.markdown import figure, table

MANY = 10  # fresh processes that are timed
PROCESSES = (1, 2, 4)
TOKENS = 20
HANDLERS = Path(__file__).parents[1] / "examples" / "deployment"

COLD = """
import os, sys, time
began, moments = float(os.environ["BEGAN"]), [time.monotonic()]
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import json
import numpy, onnxruntime, s2s_runtime
moments.append(time.monotonic())
sys.path.insert(0, os.environ["HANDLERS"])
import lambda_handler
moments.append(time.monotonic())
for _ in range(2):
    lambda_handler.handler({"texts": [[2 + i % 4 for i in range(int(os.environ["TOKENS"]))]]})
    moments.append(time.monotonic())
peak = 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(json.dumps({"ms": [1000 * (moment - began) for moment in moments], "peak": peak}))
"""


def cold(bundle: Path) -> dict[str, Any]:
    """Return the medians of fresh processes: milliseconds of each stage, and the most bytes in memory."""
    found = []
    for _ in range(MANY + 1):
        given = {"BUNDLE": str(bundle), "HANDLERS": str(HANDLERS), "TOKENS": str(TOKENS)}
        environment = {**os.environ, **given, "OMP_NUM_THREADS": "1", "BEGAN": str(time.monotonic())}
        done = subprocess.run(
            [sys.executable, "-c", COLD], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        found.append(json.loads(done.stdout))
    found = found[1:]  # the first reads files that the others find in memory
    stages = [[end - begin for begin, end in itertools.pairwise([0.0, *each["ms"]])] for each in found]
    return {
        "ms": [statistics.median(stage) for stage in zip(*stages, strict=True)],
        "first": statistics.median(each["ms"][3] for each in found),
        "peak": statistics.median(each["peak"] for each in found),
    }


def memory(bundle: Path, processes: int, *, forked: bool) -> int:
    """Return the bytes that so many processes with a model hold together, and the one that forked them."""
    import s2s_runtime

    kept: list[s2s_runtime.Model] = []

    def load() -> None:
        kept.append(s2s_runtime.load(bundle, workers=1, intra_op_threads=1))
        use()

    def use() -> None:
        for beams in (1, 4):
            kept[0].generate([[2 + i % 4 for i in range(TOKENS)]] * 8, beam_size=beams)

    if forked:
        load()
    children = [_child(use if forked else load) for _ in range(processes)]
    held = sum(_proportional(process) for process in (os.getpid(), *children))
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return held


def _child(work: Callable[[], None]) -> int:
    """Fork a process that does its work and waits; return its number once that is done."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        work()
        os.write(tell, b".")
        signal.pause()
    os.close(tell)
    if os.read(told, 1) != b".":
        raise RuntimeError("a forked process ended before its work was done")
    os.close(told)
    return child


def _proportional(process: int) -> int:
    """Return the bytes of a process, each page that others have too counted by its share."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def costs(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles that read ids from 2 to 5, or texts with those ids.")],
    *,
    large: Annotated[Path | None, typer.Option(help="Where a large bundle is, or is made.")] = None,
    alone: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure cold starts and memory of bundles, and print them as tables."""
    if alone is not None:
        processes, forked = json.loads(alone)
        print(memory(bundles[0], processes, forked=forked))
        return
    if large is not None:
        bundles = [*bundles, exported(SIZES[2], large)]
    rows = []
    for bundle in bundles:
        found = cold(bundle)
        start, imports, loading, first, again = found["ms"]
        cells = [*(f"{ms:.0f} ms" for ms in (start, imports, loading, first, found["first"])), f"{again:.1f} ms"]
        rows.append([_size(bundle), *cells, f"{found['peak'] / 1e6:.0f} MB"])
    head = ["bundle", "interpreter", "imports", "loading", "first event", "all until then", "next event", "memory"]
    print(table(head, rows), end="\n\n")
    rows = []
    for bundle in bundles:
        for processes in PROCESSES:
            held = [_in_a_fresh_process(bundle, processes, forked=forked) for forked in (False, True)]
            rows.append([_size(bundle), str(processes), *(f"{each / 1e6:.0f} MB" for each in held)])
    print(table(["bundle", "processes", "each loads it", "forked from one that loaded it"], rows))


def _in_a_fresh_process(bundle: Path, processes: int, *, forked: bool) -> int:
    command = [sys.executable, __file__, str(bundle), "--alone", json.dumps([processes, forked])]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _size(bundle: Path) -> str:
    return f"{figure(sum(file.stat().st_size for file in bundle.iterdir()) / 1e6)} MB"


if __name__ == "__main__":
    typer.run(costs)
