"""What loading a bundle holds in memory, and what `low_memory` costs: word translators of growing size.

    make bench-loading

Each way of loading has a fresh process, whose largest memory is its own: what it takes beyond numpy, onnxruntime and
the runtime imported. Bundles are exported where they aren't there yet. Writes `results/loading.json` and the table of
README.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from export_growth import SIZES
from measuring.in_process import circumstances, fastest
from measuring.quiet import Usage, foreign_cores
from report.markdown import RESULTS
from report.own_tables import loading_tables
from report.targets import publish

from s2s_runtime.bench.axes import numbers
from s2s_runtime.console.app import one_line_errors

BUNDLES = Path(__file__).parents[1] / ".cache" / "loading"
SOURCE, TOKENS = 12, 20
CASES = ((1, 1), (32, 1), (1, 5), (32, 5))  # batch size, beams


def measured(bundle: Path, low_memory: bool, rounds: int) -> dict[str, Any]:
    """Load a bundle in this process, decode by each case, and return bytes and milliseconds."""
    import onnxruntime  # noqa: F401 - what is measured comes on top of it

    import s2s_runtime
    from s2s_runtime import loading  # noqa: F401 - likewise
    from s2s_runtime.bench.processes.measured import resident

    random, began, before = np.random.default_rng(0), Usage.read(os.getpid()), resident()
    model = s2s_runtime.load(bundle, low_memory=low_memory, workers=1)
    peaks = {"loaded": resident("VmHWM") - before}
    for beam in (1, 5):
        model.generate([[3, 4, 5]], max_length=3, beam_size=beam)
        peaks["greedy" if beam == 1 else "beam"] = resident("VmHWM") - before
    times: dict[str, float] = {}
    for batch, beam in CASES:
        sources = random.integers(3, 90, size=(batch, SOURCE))
        call = partial(model.generate, sources, max_length=TOKENS, beam_size=beam)
        call()
        times[f"{batch}/{beam}"] = 1000 * fastest(call, rounds)
    return {"peaks": peaks, "milliseconds": times, "foreign": foreign_cores(began, Usage.read(os.getpid()))}


def loading_costs(
    *,
    only: Annotated[str, typer.Option(help="Which sizes, by number from 1, separated by commas.")] = "2,3,4",
    rounds: Annotated[int, typer.Option(min=1, help="How often each batch is decoded.")] = 3,
    alone: Annotated[str | None, typer.Option(hidden=True)] = None,
    tables: Annotated[bool, typer.Option(help="Renew the table of README.md.")] = True,
) -> None:
    """Load and decode models of growing size, in fresh processes, and write JSON and a table."""
    if alone is not None:
        number, way = alone.split(",")
        print(json.dumps(measured(BUNDLES / f"{number}.s2s", way == "low_memory", rounds)))
        return
    with one_line_errors():
        wanted = numbers("--only", only)
    found = []
    for number in wanted:
        bundle = BUNDLES / f"{number}.s2s"
        if not bundle.exists():  # by another process: TensorFlow isn't to take this one's memory meanwhile
            make = f"import export_growth as e; e.exported(e.SIZES[{number - 1}], {str(bundle)!r})"
            subprocess.run([sys.executable, "-c", make], check=True, cwd=Path(__file__).parent)
        ways = {}
        for way in ("as it is", "low_memory"):
            print(f"{SIZES[number - 1].in_words()}, {way}", file=sys.stderr)
            program = [sys.executable, __file__, "--alone", f"{number},{way}", "--rounds", str(rounds)]
            done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
            ways[way] = json.loads(done.stdout.splitlines()[-1])
        weights = (bundle / "weights.bin").stat().st_size
        found.append({"words": SIZES[number - 1].in_words(), "weights": weights, "ways": ways})
    results = {**circumstances(), "loadings": found}
    publish(results, RESULTS / "loading.json", loading_tables(results), renew_readme=tables)


if __name__ == "__main__":
    typer.run(loading_costs)
