"""Cold start: a fresh process until its first result, beside one that uses onnxruntime alone."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s2s_runtime.bench.comparison import Ratio, Series, paired_ratio
from s2s_runtime.bench.processes.recording import bare_request
from s2s_runtime.bench.processes.start import loading_request, run_fresh, source_request
from s2s_runtime.bench.settings import Loading
from s2s_runtime.model import Model


@dataclass(frozen=True, slots=True)
class Start:
    """The seconds that one process took for each step.

    Attributes:
        import_seconds: time to import `s2s_runtime` and onnxruntime, or onnxruntime alone.
        load_seconds: time to load the bundle, or to open the graphs.
        first_result_seconds: time to decode one source, or to run the graphs on the same numbers.
    """

    import_seconds: float
    load_seconds: float
    first_result_seconds: float

    @property
    def total(self) -> float:
        """The sum of all three."""
        return self.import_seconds + self.load_seconds + self.first_result_seconds


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The times of cold starts.

    Attributes:
        runtime: times of processes that use the runtime.
        bare: times of processes that use onnxruntime alone, each started before or after one of the others.
        graphs: the graphs used, by name.
    """

    runtime: list[Start]
    bare: list[Start]
    graphs: list[str]

    @property
    def ratio(self) -> Ratio:
        """The ratio of the runtime's total time to that of onnxruntime alone."""
        return paired_ratio(_totals(self.runtime), _totals(self.bare))

    def medians(self) -> dict[str, dict[str, float]]:
        """Return the median seconds of each step and in all, of "runtime" and "bare"."""
        return {
            who: {name: statistics.median(values) for name, values in _columns(starts).items()}
            for who, starts in (("runtime", self.runtime), ("bare", self.bare))
        }

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON, single times included."""
        return {
            "graphs": self.graphs,
            "medians": self.medians(),
            "ratio": asdict(self.ratio),
            "runtime": [asdict(start) for start in self.runtime],
            "bare": [asdict(start) for start in self.bare],
        }


def start_series(content: Mapping[str, Any]) -> dict[str, Series]:
    """Return the series of times in what `ColdStart.to_dict` gave, by words for each.

    Raises:
        KeyError, TypeError: it isn't what `ColdStart.to_dict` gives.
    """
    return {
        f"{title}, {name.removesuffix('_seconds').replace('_', ' ')}": Series([[value] for value in values])
        for title, starts in (("s2s_runtime", content["runtime"]), ("onnxruntime alone", content["bare"]))
        for name, values in _columns([Start(**fields) for fields in starts]).items()
    }


def measure_cold_start(
    loading: Loading, model: Model, source: Any, repeats: int, progress: Callable[[int, int], None] | None = None
) -> ColdStart:
    """Start processes in turn, after one pair that isn't counted: it compiles modules and reads files from the disk.

    Args:
        loading: how to load the bundle, which has to be a folder.
        model: the same bundle, loaded.
        source: the source that is decoded greedily.
        repeats: how many pairs are counted.
        progress: called with the number of pairs done and of all pairs.

    Raises:
        BenchmarkError: a process failed.
        BundleNotFoundError: the bundle is no folder.
        InputError: the source doesn't fit the model.
    """
    starts: dict[str, list[Start]] = {"runtime": [], "bare": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        how = loading_request(loading)
        bare = bare_request(loading, model, source)
        requests: dict[str, dict[str, Any]] = {
            "runtime": {**how, **source_request([source])},
            "bare": bare,
        }
        for turn in range(repeats + 1):
            for who in ("runtime", "bare") if turn % 2 else ("bare", "runtime"):
                took = run_fresh(folder, f"start {who}", requests[who])
                if turn:
                    starts[who].append(Start(*(float(took[step]) for step in ("import", "load", "first_result"))))
            if progress is not None:
                progress(turn + 1, repeats + 1)
    return ColdStart(starts["runtime"], starts["bare"], [graph["name"] for graph in bare["graphs"]])


def _totals(starts: Sequence[Start]) -> list[list[float]]:
    return [[start.total] for start in starts]


def _columns(starts: Sequence[Start]) -> dict[str, list[float]]:
    names = ("import_seconds", "load_seconds", "first_result_seconds")
    return {**{name: [getattr(start, name) for start in starts] for name in names}, "total": [s.total for s in starts]}
