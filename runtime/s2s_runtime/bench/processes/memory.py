"""Memory of a fresh process with a bundle loaded, beyond one that has imported onnxruntime alone.

Resident memory (VmRSS) is what of a process lies in RAM: files that are mapped and read count too. The peak (VmHWM) is
the most it has been. Both are Linux's.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from s2s_runtime.bench.comparison import Series
from s2s_runtime.bench.processes import measured
from s2s_runtime.bench.processes.recording import bare_request
from s2s_runtime.bench.processes.start import loading_request, run_fresh, source_request
from s2s_runtime.bench.settings import Case, Loading
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import BenchmarkError
from s2s_runtime.model import Model

_FLOAT32: Final = 4
_BATCHES: Final = 5  # decoded before memory is read again: what onnxruntime keeps for the next batch is there by then


@dataclass(frozen=True, slots=True)
class Weight:
    """Resident memory of processes that decode batches of one size, in bytes, one number per process.

    Attributes:
        batch_size: sentences in a batch.
        beam_size: of the search; 1 = greedy.
        loaded: with the bundle loaded.
        first_result: after one source was decoded greedily.
        decoded: after batches were decoded.
        peak: the most until then.
    """

    batch_size: int
    beam_size: int
    loaded: list[int]
    first_result: list[int]
    decoded: list[int]
    peak: list[int]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a bundle needs.

    Attributes:
        bare: bytes of processes that have imported onnxruntime alone.
        bare_first_result: of the same, after they have opened the graphs that decode greedily and run them once.
        weights_bytes: the model's weights in float32.
        weights_from: where that is from: "parameters" counted at export, else the "files" of the bundle.
        measurements: one for each batch and beam size.
    """

    bare: list[int]
    bare_first_result: list[int]
    weights_bytes: int
    weights_from: str
    measurements: list[Weight]

    def beyond(self, values: Sequence[int]) -> float:
        """Median of the bytes beyond `bare`, process by process."""
        return statistics.median(_beyond(values, self.bare))

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        rows = []
        for each in self.measurements:
            beyond = {name: self.beyond(getattr(each, name)) for name in STAGES}
            times = {name: value / self.weights_bytes for name, value in beyond.items()}
            rows.append({**asdict(each), "beyond_bare": beyond, "times_weights": times})
        return {**asdict(self), "measurements": rows}


STAGES: Final = {
    "loaded": "loaded",
    "first_result": "after a first result",
    "decoded": "after decoding",
    "peak": "at most",
}
"""What is weighed, as `Weight` and as tables call it."""


def memory_series(found: Mapping[str, Any]) -> dict[str, Series]:
    """The bytes in what `Memory.to_dict` gave, beyond onnxruntime alone, in words.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    return {
        f"batch {each['batch_size']}, beam {each['beam_size']}, {title}": Series(
            [[value] for value in _beyond(each[stage], found["bare"])], "MB"
        )
        for each in found["measurements"]
        for stage, title in STAGES.items()
    }


def _beyond(values: Sequence[int], bare: Sequence[int]) -> list[int]:
    """Each less that of its own round, as one median taken off all would hide its noise from an interval."""
    return [value - alone for value, alone in zip(values, bare, strict=True)]


def measure_memory(
    loading: Loading,
    model: Model,
    sources: Sequence[Any],
    cases: Sequence[Case],
    *,
    repeats: int,
    progress: Callable[[int, int], None] | None = None,
) -> Memory:
    """Weigh fresh processes, in turn, after two that aren't counted, as they compile modules.

    Args:
        loading: the bundle, a folder.
        model: the same, loaded.
        sources: what is decoded, used again from the start when they run out.
        cases: batch sizes, beam sizes and engines; each in processes of its own.
        repeats: processes of each kind.
        progress: called with the rounds done and all there are.

    Raises:
        BenchmarkError: this system doesn't tell, or a process failed.
        BundleNotFoundError: the bundle is no folder.
    """
    check_memory()
    weights_bytes, weights_from = float32_weights(model.manifest)
    tokens = model.manifest.target.feedback != "value"
    bare: list[int] = []
    bare_first_result: list[int] = []
    weights = [Weight(case.batch_size, case.beam_size, [], [], [], []) for case in cases]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = bare_request(loading, model, sources[0])
        requests = []
        for case in cases:
            batch = [sources[place % len(sources)] for place in range(case.batch_size)]
            options = {"beam_size": case.beam_size, "engine": case.engine} if tokens else {}
            how = {**loading_request(loading), "options": options, "repeats": _BATCHES}
            requests.append({**how, **source_request(batch)})
        run_fresh(folder, "weigh bare", alone)
        run_fresh(folder, "weigh runtime", requests[0])
        for turn in range(repeats):
            weighed = run_fresh(folder, "weigh bare", alone)
            bare.append(int(weighed["imported"]))
            bare_first_result.append(int(weighed["first_result"]))
            for weight, request in zip(weights, requests, strict=True):
                found = run_fresh(folder, "weigh runtime", request)
                for stage in STAGES:
                    getattr(weight, stage).append(int(found[stage]))
            if progress is not None:
                progress(turn + 1, repeats)
    return Memory(bare, bare_first_result, weights_bytes, weights_from, weights)


def check_memory() -> None:
    """Make sure that this system tells how much memory a process has.

    Raises:
        BenchmarkError: it doesn't.
    """
    try:
        measured.resident()
        measured.resident("VmHWM")
    except (OSError, KeyError) as error:
        raise BenchmarkError(
            "--memory: expected VmRSS and VmHWM in /proc/self/status, as on Linux; this system doesn't have them"
        ) from error


def float32_weights(manifest: Manifest) -> tuple[int, str]:
    """Bytes of the weights in float32, and where that is from; see `Memory`."""
    counted = manifest.verification.get("parameters")
    if isinstance(counted, Mapping) and counted and all(isinstance(count, int) for count in counted.values()):
        return sum(counted.values()) * _FLOAT32, "parameters"
    files = [*manifest.graphs.values(), *([] if manifest.weights is None else [manifest.weights])]
    return sum(file.bytes for file in files), "files"
