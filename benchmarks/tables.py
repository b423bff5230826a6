"""Results as tables, and tables into a document between its markers.

`python benchmarks/tables.py [RESULT.json ...]` draws the tables of README.md again from results that were kept.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2s_runtime.bench.processes.memory import STAGES

HERE = Path(__file__).resolve().parent
RESULTS, README = HERE / "results", HERE / "README.md"


def write_tables(document: Path, tables: dict[str, str]) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end NAME -->`.

    Args:
        document: Markdown file.
        tables: Markdown by marker.

    Raises:
        ValueError: a marker is missing.
    """
    text = document.read_text(encoding="utf-8")
    for name, made in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{document}: expected the markers {begin.strip()} and {end}")
        head, rest = text.split(begin, 1)
        text = head + begin + made.strip() + "\n" + end + rest.split(end, 1)[1]
    document.write_text(text, encoding="utf-8")


def has_place(document: Path, tables: dict[str, str]) -> bool:
    """Whether a document has the markers of all tables: README.md shows one core for the canonical model alone."""
    text = document.read_text(encoding="utf-8")
    return all(f"<!-- {name} -->\n" in text for name in tables)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its first column of words, the others of figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float] | None) -> str:
    """Median, and in brackets the middle half; nothing where there are no values."""
    if not values:
        return ""
    low, middle, high = quartiles(values)
    return f"{figure(middle)} ({figure(low)} to {figure(high)})"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def own_tables(results: dict[str, Any]) -> dict[str, str]:
    """The table of what `s2s-bench --json` wrote."""
    head = ["batch", "beam", "median ms", "90th percentile ms", "99th percentile ms", "sentences/s", "tokens/s"]
    names = ("p50_ms", "p90_ms", "p99_ms", "sentences_per_second", "tokens_per_second")
    rows = [
        [str(each["batch_size"]), str(each["beam_size"]), *(figure(each[name]) for name in names)]
        for each in results["measurements"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    setting = (
        f"{results['bundle']}, {results['inputs']}; {results['cpu']}, {results['cores']} cores; "
        f"{results['provider']}; {versions}; loaded in {results['load_seconds']:.2f} s."
    )
    return {"bench": f"{table(head, rows)}\n\n{setting}", **_start_tables(results)}


def _start_tables(results: dict[str, Any]) -> dict[str, str]:
    """Cold starts and memory, where they were measured."""
    if "cold_start" not in results:
        return {}
    start, memory = results["cold_start"], results["memory"]
    steps = ("import_seconds", "load_seconds", "first_result_seconds", "total")
    head = ["a fresh process, ms", "import", "load", "first result", "in all"]
    rows = [
        [title, *(figure(1000 * start["medians"][who][step]) for step in steps)]
        for title, who in (("s2s_runtime", "runtime"), ("onnxruntime alone, the same graphs", "bare"))
    ]
    ratio = start["ratio"]
    times = f"{ratio['value']:.2f} times as long ({ratio['low']:.2f} to {ratio['high']:.2f}, 95% confidence)."
    made = [table(head, rows), f"Median of {len(start['runtime'])} processes each, in turn: {times}"]
    stages = {name: title for name, title in STAGES.items() if name != "peak"}
    rows = [
        [str(each["batch_size"]), *(_megabytes(each["beyond_bare"][stage]) for stage in stages)]
        for each in memory["measurements"]
    ]
    made += [
        table(["resident MB beyond onnxruntime imported; batch", *stages.values()], rows),
        f"The weights are {_megabytes(memory['weights_bytes'])} MB in float32. onnxruntime alone, the same graphs open "
        f"and run once: {_megabytes(graphs_alone(memory))} MB. Most of either is onnxruntime's own code, which is read "
        "from its file when it is first run, and which processes share.",
    ]
    return {"start": "\n\n".join(made)}


def graphs_alone(memory: dict[str, Any]) -> float:
    """Bytes that onnxruntime alone takes, beyond its import, with the graphs open that decode greedily."""
    return statistics.median(memory["bare_first_result"]) - statistics.median(memory["bare"])


def _megabytes(count: float) -> str:
    return figure(count / 1e6)


def growth_tables(results: dict[str, Any]) -> dict[str, str]:
    """The tables of what `growth.py` wrote."""
    made = []
    for kind, head in (("batches", "sentences in a batch"), ("lists", "sentences in a list")):
        first = results[kind][0]
        rows = []
        for each in results[kind]:
            ratios = [a / b for a, b in zip(each["seconds_per_token"], first["seconds_per_token"], strict=False)]
            times = [value * 1e6 for value in each["seconds_per_token"]]
            rows.append([f"{each['sentences']:,}", spread(times), spread(ratios)])
        made.append(table([head, "us per token", f"times as long as with {first['sentences']:,}"], rows))
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    setting = (
        f"{results['date']}; {results['model']}; lists in batches of {results['list_batch']}; "
        f"{results['rounds']} rounds; {results['cpu']}, {results['cores']} cores; {versions}."
    )
    return {"growth": "\n\n".join([*made, setting])}


def breakdown_tables(results: dict[str, Any]) -> dict[str, str]:
    """The table of what `breakdown.py` wrote."""
    sizes = list(results["shares"])
    kinds = list(results["shares"][sizes[0]])
    rows = [
        [kind, *(f"{100 * results['shares'][size][kind] / results['shares'][size]['whole']:.0f}%" for size in sizes)]
        for kind in kinds
        if kind != "whole"
    ]
    head = ["share of a call", *(f"batch {size}" for size in sizes)]
    setting = f"One thread; {results['cpu']}; onnxruntime {results['onnxruntime']}."
    return {"breakdown": f"{table(head, rows)}\n\n{setting}"}


def tables_of(results: dict[str, Any]) -> dict[str, str]:
    """The tables of any result; none for what other programs keep there."""
    from peer_tables import peer_tables

    if "load_seconds" in results:
        return own_tables(results)
    if "lists" in results:
        return growth_tables(results)
    if "shares" in results:
        return breakdown_tables(results)
    return peer_tables(results) if "case" in results else {}


def main() -> None:
    """Draw the tables again."""
    from targets import renew

    for path in [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("*.json")):
        made = tables_of(json.loads(path.read_text(encoding="utf-8")))
        if has_place(README, made):
            write_tables(README, made)
    renew()


if __name__ == "__main__":
    main()
