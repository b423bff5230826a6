"""The tables that `s2s-bench` shows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console, ConsoleDimensions
from rich.table import Table

from s2s_runtime.bench.comparison import CONFIDENCE, LEAST_ROUNDS, Compared, Ratio
from s2s_runtime.bench.machine import Setting
from s2s_runtime.bench.processes.cold_start import ColdStart
from s2s_runtime.bench.processes.memory import STAGES, Memory
from s2s_runtime.bench.result_files import FileComparison
from s2s_runtime.bench.timing import LOADED, Measurement, swept
from s2s_runtime.console.manners import result_console

_ENDLESS: Final = 10_000
_LEAST_FOR_P99: Final = 100  # of fewer runs the 99th percentile is hardly more than the longest one


def show_setting(setting: Setting, measured: Sequence[Measurement] = ()) -> None:
    """Show what was measured and where; provider, threads and workers where they are the same in all measurements."""
    differing = swept(measured)
    provider = "see below" if "provider" in differing else setting.provider
    threads = "see below" if "threads" in differing else _threads(setting.threads)
    versions = ", ".join(f"{name} {number}" for name, number in setting.versions.items())
    _line("bundle", f"{setting.bundle} (inputs: {setting.inputs})")
    workers = "see below" if "workers" in differing else setting.workers
    asked = "" if workers is None else f", workers: {workers}"
    _line("provider", f"{provider}, threads: {threads}{asked}")
    _line("cpu", f"{setting.cpu}, {setting.cores} cores")
    _line("versions", versions)
    _line("load", f"{setting.load_seconds:.3f} s (not part of the latencies)")


def show_latency(measured: Sequence[Measurement]) -> None:
    """Show a row for each setting, with role, engine, threads, workers and provider where they differ."""
    against = next((measurement.bundle for measurement in measured if measurement.role == "against"), None)
    if against is not None:
        _line("against", against)
    differing = swept(measured, ("role", *LOADED))
    few = any(measurement.repeats < _LEAST_FOR_P99 for measurement in measured)
    last = "max ms" if few else "p99 ms"
    times = ["p50 ms", "middle half", "p90 ms", last, "sent./s", "tokens/s", "tokens/sent."]
    table = _table(["batch", "beam", *("of" if name == "role" else name for name in differing), *times])
    for measurement in measured:
        table.add_row(
            str(measurement.batch_size),
            str(measurement.beam_size),
            *(_words_of(measurement, name) for name in differing),
            f"{measurement.p50_ms:.2f}",
            f"{measurement.p25_ms:.2f} to {measurement.p75_ms:.2f}",
            *(f"{value:.2f}" for value in (measurement.p90_ms, measurement.max_ms if few else measurement.p99_ms)),
            *(f"{value:,.0f}" for value in (measurement.sentences_per_second, measurement.tokens_per_second)),
            f"{measurement.tokens_per_sentence:.1f}",
        )
    _print(table)


def show_cold_start(cold_start: ColdStart) -> None:
    """Show the median milliseconds of each step, and how many times as long the runtime takes in all."""
    table = _table(["ms", "import", "load", "first result", "total"])
    medians = cold_start.medians()
    for who, title in (("runtime", "s2s_runtime"), ("bare", "onnxruntime alone")):
        table.add_row(title, *(f"{value * 1e3:.1f}" for value in medians[who].values()))
    _print(table)
    console = _console()
    graphs = " and ".join(cold_start.graphs)
    console.print(
        f"medians of {len(cold_start.runtime)} processes each; onnxruntime alone opens and runs {graphs}",
        highlight=False,
    )
    console.print(f"ratio {show_ratio(cold_start.ratio)}", highlight=False)
    _say_too_few([cold_start.ratio])


def show_memory(memory: Memory) -> None:
    """Show the megabytes beyond onnxruntime alone, and how many times the float32 weights that is."""
    table = _table(["batch", "beam", *(f"{title} MB" for title in STAGES.values())])
    for weight in memory.measurements:
        beyond = [memory.beyond(getattr(weight, stage)) for stage in STAGES]
        cells = [f"{value / 1e6:.1f} ({value / memory.weights_bytes:.1f} times)" for value in beyond]
        table.add_row(str(weight.batch_size), str(weight.beam_size), *cells)
    _print(table)
    console = _console()
    origin = {"parameters": "parameters counted at export", "files": "the bundle's files"}[memory.weights_from]
    alone = memory.beyond(memory.bare_first_result)
    for line in (
        f"beyond onnxruntime imported alone, {statistics.median(memory.bare) / 1e6:.1f} MB; that with the same graphs "
        f"opened and run: {alone / 1e6:.1f} MB ({alone / memory.weights_bytes:.1f} times)",
        f"in brackets: times the weights in float32, {memory.weights_bytes / 1e6:.2f} MB ({origin})",
        f"medians of {len(memory.bare)} processes each",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def show_comparisons(rows: Sequence[Compared], of: str, baseline: str) -> None:
    """Show a row for each quantity measured twice."""
    table = _table(["", of, baseline, "unit", f"{of} / {baseline} ({CONFIDENCE:.0%} confidence)"])
    for row in rows:
        table.add_row(row.what, f"{row.median:.2f}", f"{row.baseline:.2f}", row.unit, show_ratio(row.ratio))
    _print(table)
    _say_too_few([row.ratio for row in rows])


def show_files(comparison: FileComparison, before: str, after: str) -> None:
    """Show what two files have in common, what differs in their setting, and what only one of them holds."""
    _line("before", before)
    _line("after", after)
    for name, (first, second) in comparison.different.items():
        _line("differs", f"{name}: {_words(first)} before, {_words(second)} after")
    show_comparisons(comparison.rows, "after", "before")
    for what in comparison.only_one:
        _line("left out", f"{what}: in one of the files only")


def show_ratio(ratio: Ratio) -> str:
    """Return a ratio with its interval, as text."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.3f} (no interval)"
    return f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"


def _say_too_few(ratios: Sequence[Ratio]) -> None:
    if any(ratio.low is None for ratio in ratios):
        least = f"--repeats {LEAST_ROUNDS} or more, and no fewer --rounds"
        _line("rounds", f"too few rounds for an interval: measure with {least}")


def _words_of(measurement: Measurement, name: str) -> str:
    return _threads(measurement.threads) if name == "threads" else str(getattr(measurement, name))


def _console(least: int = 0) -> Console:
    console = result_console()
    console.size = ConsoleDimensions(max(least, console.width), console.height)
    return console


def _print(table: Table) -> None:
    """Print a table, with less space where the terminal is narrow; nothing is cut, the terminal breaks long lines."""
    width, wide = _console().width, _console(_ENDLESS)
    if wide.measure(table).maximum > width:
        table.padding = 0
        for column in table.columns:  # only headings fold
            column.width = max(map(len, [*map(str, column.cells), *str(column.header).split()]))
        first = table.columns[0]
        words = " ".join(map(str, [first.header, *first.cells])).split()  # and what was measured
        first.width = max(
            max(map(len, words), default=0), (first.width or 0) - max(0, wide.measure(table).maximum - width)
        )
    _console(wide.measure(table).maximum).print(table)


def _table(headings: Sequence[str]) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _line(name: str, text: str) -> None:
    _console().print(f"{name:<9} {text}", highlight=False, soft_wrap=True)


def _threads(threads: int | None) -> str:
    return "by step size" if threads is None else str(threads)


def _words(value: object) -> str:
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, Mapping) else str(value)
