"""Where the time of a call goes: Python, the encoder, and inside the loop products, gates, look-ups and the rest.

`python benchmarks/breakdown.py` decodes with the canonical translator on one thread, its graphs profiled by
onnxruntime, and writes JSON and a table into README.md. Profiling makes short nodes look longer: shares are of the
profiled call.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime as ort
import typer
from compare import canonical_bundle
from problems.canonical import PADDING_ID, SOURCE_LENGTH, SOURCE_SIZE, STEPS
from report.markdown import RESULTS
from report.own_tables import breakdown_tables
from report.targets import publish

import s2s_runtime
from s2s_runtime.bench.axes import numbers
from s2s_runtime.bench.machine import cpu_name
from s2s_runtime.console.app import one_line_errors

GRAPHS = ("encoder", "greedy")
KINDS = {
    "products": ("Gemm", "FusedGemm", "MatMul", "FusedMatMul", "MatMulInteger", "DynamicQuantizeMatMul"),
    "gates": ("Sigmoid", "Tanh", "Mul", "Add", "Sub", "Split", "Slice", "Concat", "QuickGelu"),
    "look-ups": ("Gather",),
    "choice of the token": ("ArgMax", "ReduceSum", "Cast", "Greater", "Less", "And", "Or", "Not", "Where"),
}
HOLDING = ("Loop", "If")  # their time is that of the nodes inside
CALLS = {1: 200, 32: 30, 256: 6}


def breakdown(
    *,
    batch_size: Annotated[str, typer.Option(help="Sentences in a batch, separated by commas.")] = "1,32,256",
    output: Annotated[Path, typer.Option(help="JSON to write.")] = RESULTS / "breakdown.json",
    tables: Annotated[bool, typer.Option(help="Renew the table of README.md.")] = True,
) -> None:
    """Decode profiled, and write JSON and a table."""
    with one_line_errors():
        sizes = numbers("--batch-size", batch_size)
    with canonical_bundle() as bundle:
        shares = {str(size): _shares(bundle, size) for size in sizes}
    results = {"shares": shares, "cpu": cpu_name(), "onnxruntime": ort.__version__}
    publish(results, output, breakdown_tables(results), renew_readme=tables)


def _shares(bundle: Path, size: int) -> dict[str, float]:
    """Microseconds of a call by kind, and of all of it."""
    sessions = {name: _profiled(bundle, name) for name in GRAPHS}
    runs: Counter[str] = Counter()
    for name, session in sessions.items():
        session.run = _timed(session.run, name, runs)
    model = s2s_runtime.load(bundle, sessions=sessions, intra_op_threads=1)
    sources = np.random.default_rng(0).integers(PADDING_ID + 1, SOURCE_SIZE, size=(size, SOURCE_LENGTH))
    calls = CALLS.get(size, 10)

    def decode() -> None:
        model.generate(sources, max_length=STEPS, end_tokens=[], max_batch_size=size)

    decode()
    runs.clear()
    start = time.perf_counter()
    for _ in range(calls):
        decode()
    whole = 1e6 * (time.perf_counter() - start) / calls
    nodes = _node_times(Path(sessions["greedy"].end_profiling()), calls)
    Path(sessions["encoder"].end_profiling()).unlink()
    encoder, loop = (1e6 * runs[name] / calls for name in GRAPHS)
    parts = {"Python": whole - encoder - loop, "encoder": encoder, **nodes}
    return {**parts, "onnxruntime between nodes": loop - sum(nodes.values()), "whole": whole}


def _profiled(bundle: Path, name: str) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(bundle.parent / name)
    return ort.InferenceSession(str(bundle / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])


def _timed(run: Callable[..., Any], name: str, seconds: Counter[str]) -> Callable[..., Any]:
    """Return the same function, which then adds what it takes to a counter."""

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        found = run(*arguments)
        seconds[name] += time.perf_counter() - start  # type: ignore[assignment]
        return found

    return timed


def _node_times(profile: Path, calls: int) -> dict[str, float]:
    """Microseconds of a call in the nodes inside the loop, by kind; the first call, which warms up, is left out."""
    events = json.loads(profile.read_text(encoding="utf-8"))
    profile.unlink()
    nodes = [each for each in events if each.get("cat") == "Node" and each["name"].endswith("_kernel_time")]
    nodes = [each for each in nodes if each["args"]["op_name"] not in HOLDING]
    kept = nodes[-(len(nodes) // (calls + 1)) * calls :]
    kinds = {op: kind for kind, ops in KINDS.items() for op in ops}
    found = dict.fromkeys([*KINDS, "other nodes"], 0.0)
    for each in kept:
        found[kinds.get(each["args"]["op_name"], "other nodes")] += each["dur"] / calls
    return found


if __name__ == "__main__":
    typer.run(breakdown)
