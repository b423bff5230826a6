"""The program that a fresh process runs to be measured, started by `s2s_runtime.bench.processes.start`.

`python fresh.py REQUEST` reads a JSON object, whose field "do" names one of the functions here, and writes one to
stdout. Nothing but the standard library is imported before the clock starts.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_STATUS: Final = Path("/proc/self/status")


def start_runtime(request: Mapping[str, Any]) -> dict[str, float]:
    """Measure the seconds to import the runtime and onnxruntime, load the bundle and decode one source greedily."""
    begin = time.perf_counter()
    runtime = importlib.import_module("s2s_runtime")
    importlib.import_module("onnxruntime")  # `load` would, whose time is to be that of opening the graphs
    imported = time.perf_counter()
    model = runtime.load(request["bundle"], **request["loading"])
    loaded = time.perf_counter()
    source = _sources(request)[:1]
    given = time.perf_counter()
    _decode(model, source, {})
    return {"import": imported - begin, "load": loaded - imported, "first_result": time.perf_counter() - given}


def start_bare(request: Mapping[str, Any]) -> dict[str, float]:
    """Measure the seconds to import onnxruntime, open the graphs and run them, each on the outputs before it."""
    begin = time.perf_counter()
    ort = importlib.import_module("onnxruntime")
    imported = time.perf_counter()
    sessions = _open(ort, request)
    opened = time.perf_counter()
    arrays = _arrays(request["arrays"])
    given = time.perf_counter()
    run_graphs(sessions, request["graphs"], arrays)
    return {"import": imported - begin, "load": opened - imported, "first_result": time.perf_counter() - given}


def _open(ort: Any, request: Mapping[str, Any]) -> list[Any]:
    options = ort.SessionOptions()
    if request["loading"]["intra_op_threads"] is not None:
        options.intra_op_num_threads = request["loading"]["intra_op_threads"]
    providers = [request["provider"]]
    return [ort.InferenceSession(graph["file"], options, providers=providers) for graph in request["graphs"]]


def run_graphs(sessions: list[Any], graphs: list[dict[str, Any]], arrays: Mapping[str, Any]) -> list[Any]:
    """Run each graph as often as the request says, with arrays called "graph/input"; return the last outputs.

    An input that isn't among the arrays is the output of that name of the graph before.
    """
    given: dict[str, Any] = {}
    outputs: list[Any] = []
    for session, graph in zip(sessions, graphs, strict=True):
        names = [tensor.name for tensor in session.get_inputs()]
        feed = {name: arrays.get(f"{graph['name']}/{name}", given.get(name)) for name in names}
        for _ in range(graph["runs"]):
            outputs = session.run(None, feed)
        given = dict(zip((tensor.name for tensor in session.get_outputs()), outputs, strict=True))
    return outputs


def weigh_runtime(request: Mapping[str, Any]) -> dict[str, int]:
    """Measure the bytes with the bundle loaded, after a first result and after batches, and the most bytes so far."""
    model = importlib.import_module("s2s_runtime").load(request["bundle"], **request["loading"])
    weights = {"loaded": resident()}
    sources = _sources(request)
    _decode(model, sources[:1], {})
    weights["first_result"] = resident()
    for _ in range(request["repeats"]):
        _decode(model, sources, request["options"])
    return {**weights, "decoded": resident(), "peak": resident("VmHWM")}


def weigh_bare(request: Mapping[str, Any]) -> dict[str, int]:
    """Measure the bytes with onnxruntime imported, and after the graphs were opened and run as the runtime does."""
    ort = importlib.import_module("onnxruntime")
    imported = resident()
    run_graphs(_open(ort, request), request["graphs"], _arrays(request["arrays"]))
    return {"imported": imported, "first_result": resident()}


def resident(field: str = "VmRSS") -> int:
    """Return the bytes of this process that lie in RAM, now or (VmHWM) at most so far, as Linux counts them."""
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def _decode(model: Any, sources: list[Any], options: dict[str, Any]) -> None:
    if model.manifest.target.feedback == "value":
        model.predict(sources, max_batch_size=max(1, len(sources)))
    else:
        model.generate(sources, max_batch_size=max(1, len(sources)), **options)


def _sources(request: Mapping[str, Any]) -> list[Any]:
    """Return texts as they are, and arrays called "index/name" as rows or, where they have names, as mappings."""
    if request["texts"] is not None:
        return list(request["texts"])
    rows: dict[str, dict[str, Any]] = {}
    for key, array in _arrays(request["arrays"]).items():
        index, _, name = key.partition("/")
        rows.setdefault(index, {})[name] = array
    return [row[""] if list(row) == [""] else row for _, row in sorted(rows.items(), key=lambda item: int(item[0]))]


def _arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    numpy = importlib.import_module("numpy")
    return {key: numpy.array(array["values"], array["dtype"]) for key, array in arrays.items()}


WORK: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, float]]]] = {
    "start runtime": start_runtime,
    "start bare": start_bare,
    "weigh runtime": weigh_runtime,
    "weigh bare": weigh_bare,
}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps(WORK[asked["do"]](asked)))
