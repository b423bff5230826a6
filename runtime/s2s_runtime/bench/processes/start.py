"""Fresh processes whose time or memory is measured, each for one measurement only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bench.settings import Loading
from s2s_runtime.errors import BenchmarkError, BundleNotFoundError
from s2s_runtime.ort.telemetry import VARIABLE

_PROGRAM: Final = Path(__file__).with_name("measured.py")


def run_fresh(folder: Path, do: str, request: Mapping[str, object]) -> dict[str, Any]:
    """Start a Python process for one of the measurements in `s2s_runtime.bench.processes.measured`.

    Compiled modules are kept in the folder: a first process compiles, later ones find what an installed package has.

    Args:
        folder: where the request is written; the same for all processes that are compared.
        do: name of the measurement there.
        request: the request that it reads.

    Raises:
        BenchmarkError: the process failed; the message has the last line that it wrote to stderr.
    """
    path = folder / "request.json"
    path.write_text(json.dumps({"do": do, **request}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", str(_PROGRAM), str(path)],  # -P: the program's folder is no place to import from
        capture_output=True,
        text=True,
        check=False,
        env=_environment(folder),
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BenchmarkError(f"a process started to be measured ended with {done.returncode}: {last[0]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _environment(folder: Path) -> dict[str, str]:
    here = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found_here = os.pathsep.join(part for part in sys.path if part)
    return {VARIABLE: "1", **here, "PYTHONPATH": found_here, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def loading_request(loading: Loading) -> dict[str, object]:
    """Return how a bundle is loaded, in the form of a request.

    Raises:
        BundleNotFoundError: the bundle isn't a folder, whose graphs onnxruntime could open.
    """
    if not loading.bundle.is_dir():
        raise BundleNotFoundError(
            f"{loading.bundle}: expected a bundle's folder, whose graphs onnxruntime alone can open; unzip it"
        )
    how = {"providers": loading.providers, "intra_op_threads": loading.threads, "workers": loading.workers}
    how["low_memory"] = loading.low_memory
    return {"bundle": str(loading.bundle.resolve()), "loading": how}


def array_request(arrays: Mapping[str, NDArray[Any]]) -> dict[str, object]:
    """Return arrays in the form of a request; reading a file of numpy's instead would be measured too."""
    return {key: {"dtype": str(array.dtype), "values": array.tolist()} for key, array in arrays.items()}


def source_request(sources: Sequence[Any]) -> dict[str, object]:
    """Return sources in the form of a request: texts or arrays."""
    if all(isinstance(source, str) for source in sources):
        return {"texts": list(sources)}
    arrays = {}
    for index, source in enumerate(sources):
        for name, row in source.items() if isinstance(source, Mapping) else [("", source)]:
            arrays[f"{index}/{name}"] = np.asarray(row)
    return {"texts": None, "arrays": array_request(arrays)}
