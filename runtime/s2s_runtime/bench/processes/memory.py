"""Memory of a fresh process with a bundle loaded, beyond one that has imported onnxruntime alone.

Resident memory (VmRSS) is the part of a process that lies in RAM: files that are mapped and read count too. The peak
(VmHWM) is the most that it has been. Linux tells both.
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
    """The resident memory of processes that decode batches of one size, in bytes, one number per process.

    Attributes:
        batch_size: sentences in a batch.
        beam_size: beam size of the search; 1 = greedy.
        loaded: bytes with the bundle loaded.
        first_result: bytes after one source was decoded greedily.
        decoded: bytes after batches were decoded.
        peak: most bytes until then.
    """

    batch_size: int
    beam_size: int
    loaded: list[int]
    first_result: list[int]
    decoded: list[int]
    peak: list[int]


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory that a bundle needs.

    Attributes:
        bare: bytes of processes that have imported onnxruntime alone.
        bare_first_result: bytes of the same processes after they opened the graphs that decode greedily and ran them.
        weights_bytes: bytes of the model's weights in float32.
        weights_from: where that number is from: "parameters" counted at export, else the "files" of the bundle.
        measurements: one for each batch and beam size.
    """

    bare: list[int]
    bare_first_result: list[int]
    weights_bytes: int
    weights_from: str
    measurements: list[Weight]

    def beyond(self, values: Sequence[int]) -> float:
        """Return the median of the bytes beyond `bare`, process by process."""
        return statistics.median(_beyond(values, self.bare))

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        rows = []
        for weight in self.measurements:
            beyond = {name: self.beyond(getattr(weight, name)) for name in STAGES}
            times = {name: value / self.weights_bytes for name, value in beyond.items()}
            rows.append({**asdict(weight), "beyond_bare": beyond, "times_weights": times})
        return {**asdict(self), "measurements": rows}


STAGES: Final = {
    "loaded": "loaded",
    "first_result": "after a first result",
    "decoded": "after decoding",
    "peak": "at most",
}
"""What is weighed, as `Weight` and as tables call it."""


def memory_series(content: Mapping[str, Any]) -> dict[str, Series]:
    """Return the series of bytes beyond onnxruntime alone in what `Memory.to_dict` gave, by words for each.

    Raises:
        KeyError, TypeError, ValueError: it isn't what `Memory.to_dict` gives.
    """
    return {
        f"batch {fields['batch_size']}, beam {fields['beam_size']}, {title}": Series(
            [[value] for value in _beyond(fields[stage], content["bare"])], "MB"
        )
        for fields in content["measurements"]
        for stage, title in STAGES.items()
    }


def _beyond(values: Sequence[int], bare: Sequence[int]) -> list[int]:
    """Return each value less that of its own round: one median for all would leave its noise out of the interval."""
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
    """Measure the memory of fresh processes, in turn, after two that aren't counted, as they compile modules.

    Args:
        loading: how to load the bundle, which has to be a folder.
        model: the same bundle, loaded.
        sources: what is decoded, used again from the start when they run out.
        cases: batch sizes, beam sizes and engines; each is measured in processes of its own.
        repeats: number of processes of each kind.
        progress: called with the number of rounds done and of all rounds.

    Raises:
        BenchmarkError: this system doesn't tell the memory of a process, or a process failed.
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
            batch = [sources[i % len(sources)] for i in range(case.batch_size)]
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
                resident = run_fresh(folder, "weigh runtime", request)
                for stage in STAGES:
                    getattr(weight, stage).append(int(resident[stage]))
            if progress is not None:
                progress(turn + 1, repeats)
    return Memory(bare, bare_first_result, weights_bytes, weights_from, weights)


def check_memory() -> None:
    """Check that this system tells how much memory a process has.

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
    """Return the bytes of the weights in float32, and where that number is from; see `Memory`."""
    counted = manifest.verification.get("parameters")
    if isinstance(counted, Mapping) and counted and all(isinstance(count, int) for count in counted.values()):
        return sum(counted.values()) * _FLOAT32, "parameters"
    files = [*manifest.graphs.values(), *([] if manifest.weights is None else [manifest.weights])]
    return sum(file.bytes for file in files), "files"
