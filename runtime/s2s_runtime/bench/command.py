"""The work of s2s-bench once its options are parsed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from s2s_runtime.bench import result_files, tables
from s2s_runtime.bench.axes import Axes
from s2s_runtime.bench.comparison import Compared, compare, latency_series, swept_axes
from s2s_runtime.bench.machine import Setting, describe_setting
from s2s_runtime.bench.other_load import warned_of_others
from s2s_runtime.bench.pictures import plot_sweep
from s2s_runtime.bench.processes.cold_start import measure_cold_start
from s2s_runtime.bench.processes.memory import check_memory, measure_memory
from s2s_runtime.bench.request import Request
from s2s_runtime.bench.settings import Case, Loading
from s2s_runtime.bench.sources import random_sources, read_lines
from s2s_runtime.bench.timing import Measurement, Subject, measure_all
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.console.app import UsageError, typer, warn
from s2s_runtime.console.progress import counted
from s2s_runtime.decoding.workers import are_worth_it
from s2s_runtime.model import Model
from s2s_runtime.ort.sessions import fallback_warning
from s2s_runtime.plots.figures import check_picture

__all__ = ["Request", "run"]

_RANDOM_SOURCES: Final = 256


def run(request: Request) -> None:
    """Measure or compare, and show the result.

    Raises:
        S2SError: it can't be measured or compared; each part says what it raises.
    """
    if request.compare is not None:
        _compare_files(request, *request.compare)
    elif request.cold_start:
        _cold_start(request)
    elif request.memory:
        _memory(request)
    else:
        _latency(request)


def _latency(request: Request) -> None:
    if request.plot is not None:
        check_picture(request.plot)
    opened = [(measurement, *measurement.open()) for measurement in request.loadings()]
    loading, model, seconds = opened[0]
    if warning := fallback_warning(loading.providers, model.provider):
        warn(warning)
    axes = _fitting(request, model)
    sources, named = _sources(request, model, *[other.manifest for at, other, _ in opened if at.role == "against"][:1])
    _check_workers(request, axes.cases(), len(sources) if request.whole else None)
    subjects = [Subject(model, loading, case) for loading, model, _ in opened for case in axes.cases()]
    with warned_of_others(), counted("measuring") as progress:
        measured = measure_all(subjects, sources, request.effort, progress)
    setting = describe_setting(loading, named, seconds, model.provider)
    ratios = [] if request.against is None else _ratios(measured)
    if request.as_json:
        result: dict[str, object] = {"measurements": [measurement.to_dict() for measurement in measured]}
        if request.against is not None:
            result |= {"against": str(request.against), "comparisons": [ratio.to_dict() for ratio in ratios]}
        _write(result_files.LATENCY, setting.to_dict(), result)
    else:
        tables.show_setting(setting, measured)
        tables.show_latency(measured)
        if request.against is not None:
            tables.show_comparisons(ratios, "bundle", "against")
    if request.plot is not None:
        plot_sweep(measured, request.plot)


def _ratios(measured: Sequence[Measurement]) -> list[Compared]:
    of = [measurement for measurement in measured if measurement.role == "bundle"]
    baseline = [measurement for measurement in measured if measurement.role == "against"]
    axes = swept_axes(of, baseline)
    return compare(latency_series(of, axes), latency_series(baseline, axes), paired=True)


def _fitting(request: Request, model: Model) -> Axes:
    """Return the settings that a bundle can have: one that predicts values has no beams and no engines.

    Raises:
        UsageError: other settings were asked for.
    """
    if model.manifest.target.feedback != "value":
        return request.axes
    asked = [request.typed[name] for name in ("beam_size", "engine", "workers") if name in request.typed]
    asked += [f"--sweep {name}" for name in request.sweep if name in ("beam", "engine", "workers")]
    if asked:
        raise UsageError(f"{', '.join(asked)}: no effect, as this bundle predicts values and searches nothing")
    return replace(request.axes, beam_sizes=[1], engines=["auto"])


def _check_workers(request: Request, cases: Sequence[Case], sentences: int | None = None) -> None:
    """Check that workers, where they were asked for, have something to do.

    Args:
        request: the request, which may ask for workers.
        cases: the ways to decode.
        sentences: number of sentences in each run; None = one batch.

    Raises:
        UsageError: no run is long enough for workers.
    """
    asked = "workers" in request.typed or "workers" in (request.sweep)
    runs = [(sentences or case.batch_size, case) for case in cases]
    if asked and not any(are_worth_it(-(-count // case.batch_size), count * case.beam_size) for count, case in runs):
        raise UsageError(
            "--workers: no effect, as no run has eight batches or 64 rows; give --text with --whole, or larger batches"
        )


def _sources(request: Request, model: Model, *others: Manifest) -> tuple[list[Any], str]:
    """Return the sources to decode, by bundles with these other manifests too, and words for what they are."""
    if request.text is None:
        length, padded = request.source_length, model.manifest.padding.length
        if padded is not None and length > padded:
            if "source_length" in request.typed:
                raise UsageError(f"--source-length: this bundle's model reads {padded} at most, got {length}")
            length = padded
        return random_sources(model.manifest, _RANDOM_SOURCES, length), f"random, up to {length} long"
    sources = read_lines(request.text, model.manifest, *others, encoding=request.encoding)
    return sources, f"{request.text}, {len(sources)} lines in one run" if request.whole else str(request.text)


def _opened(request: Request) -> tuple[Loading, Model, list[Any], Setting]:
    """Load the bundle as the processes will load it, so that an error comes before the first process starts."""
    [loading] = request.loadings()
    model, seconds = loading.open()
    sources, named = _sources(request, model)
    return loading, model, sources, describe_setting(loading, named, seconds, model.provider)


def _cold_start(request: Request) -> None:
    loading, model, sources, setting = _opened(request)
    with warned_of_others(), counted("starting processes") as progress:
        result = measure_cold_start(loading, model, sources[0], request.count, progress)
    if request.as_json:
        _write(result_files.COLD_START, setting.to_dict(), result.to_dict())
    else:
        tables.show_setting(setting)
        tables.show_cold_start(result)


def _memory(request: Request) -> None:
    check_memory()
    loading, model, sources, setting = _opened(request)
    cases = _fitting(request, model).cases()
    _check_workers(request, cases)
    with counted("starting processes") as progress:
        result = measure_memory(loading, model, sources, cases, repeats=request.count, progress=progress)
    if request.as_json:
        _write(result_files.MEMORY, setting.to_dict(), result.to_dict())
    else:
        tables.show_setting(setting)
        tables.show_memory(result)


def _compare_files(request: Request, before: Path, after: Path) -> None:
    result = result_files.compare_files(before, after)
    if request.as_json:
        _write(result_files.COMPARISON, {"before": str(before), "after": str(after)}, result.to_dict())
    else:
        tables.show_files(result, str(before), str(after))


def _write(kind: str, *parts: dict[str, object]) -> None:
    typer.echo(json.dumps(result_files.result(kind, *parts), indent=1, ensure_ascii=False))
