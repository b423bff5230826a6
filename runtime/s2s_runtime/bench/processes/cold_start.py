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
    """Seconds that one process took.

    Attributes:
        import_seconds: importing `s2s_runtime` and onnxruntime, or the latter alone.
        load_seconds: loading the bundle, or opening the graphs.
        first_result_seconds: decoding one source, or running the graphs on the same numbers.
    """

    import_seconds: float
    load_seconds: float
    first_result_seconds: float

    @property
    def total(self) -> float:
        """All three."""
        return self.import_seconds + self.load_seconds + self.first_result_seconds


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What cold starts took.

    Attributes:
        runtime: of processes that use the runtime.
        bare: of processes that use onnxruntime alone, each started after one of the others or before it.
        graphs: the graphs used, by name.
    """

    runtime: list[Start]
    bare: list[Start]
    graphs: list[str]

    @property
    def ratio(self) -> Ratio:
        """How many times as long the runtime takes, in all."""
        return paired_ratio(_totals(self.runtime), _totals(self.bare))

    def medians(self) -> dict[str, dict[str, float]]:
        """Median seconds of each step and in all, of "runtime" and "bare"."""
        return {
            who: {name: statistics.median(values) for name, values in _columns(starts).items()}
            for who, starts in (("runtime", self.runtime), ("bare", self.bare))
        }

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON, single times included."""
        return {
            "graphs": self.graphs,
            "medians": self.medians(),
            "ratio": asdict(self.ratio),
            "runtime": [asdict(each) for each in self.runtime],
            "bare": [asdict(each) for each in self.bare],
        }


def start_series(found: Mapping[str, Any]) -> dict[str, Series]:
    """The times in what `ColdStart.to_dict` gave, in words.

    Raises:
        KeyError, TypeError: it is something else.
    """
    return {
        f"{title}, {name.removesuffix('_seconds').replace('_', ' ')}": Series([[value] for value in values])
        for title, starts in (("s2s_runtime", found["runtime"]), ("onnxruntime alone", found["bare"]))
        for name, values in _columns([Start(**each) for each in starts]).items()
    }


def measure_cold_start(
    loading: Loading, model: Model, source: Any, repeats: int, progress: Callable[[int, int], None] | None = None
) -> ColdStart:
    """Start processes in turn, and one pair before that isn't counted: it compiles modules and fetches files from disk.

    Args:
        loading: the bundle, a folder.
        model: the same, loaded.
        source: what is decoded, greedily.
        repeats: how many pairs are counted.
        progress: called with the pairs done and all there are.

    Raises:
        BenchmarkError: a process failed.
        BundleNotFoundError: the bundle is no folder.
        InputError: the source doesn't fit the model.
    """
    found: dict[str, list[Start]] = {"runtime": [], "bare": []}
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
                    found[who].append(Start(*(float(took[step]) for step in ("import", "load", "first_result"))))
            if progress is not None:
                progress(turn + 1, repeats + 1)
    return ColdStart(found["runtime"], found["bare"], [each["name"] for each in bare["graphs"]])


def _totals(starts: Sequence[Start]) -> list[list[float]]:
    return [[each.total] for each in starts]


def _columns(starts: Sequence[Start]) -> dict[str, list[float]]:
    names = ("import_seconds", "load_seconds", "first_result_seconds")
    return {**{name: [getattr(each, name) for each in starts] for name in names}, "total": [s.total for s in starts]}
