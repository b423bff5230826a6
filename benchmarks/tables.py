"""Results as tables, and tables into a document between its markers.

`python benchmarks/tables.py [RESULT.json ...]` draws the tables of README.md again from results that were kept.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from quiet import QUIET_CORES

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
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{document}: expected the markers {begin.strip()} and {end}")
        head, rest = text.split(begin, 1)
        text = head + begin + table.strip() + "\n" + end + rest.split(end, 1)[1]
    document.write_text(text, encoding="utf-8")


def peer_tables(results: dict[str, Any]) -> dict[str, str]:
    """Tables of a comparison, as `compare.py` writes it: times, ratios, setting."""
    batches = results["batches"]
    used, there = results["machine"]["cores_used"], results["machine"]["cores"]
    suffix = "" if used == there else f"-{used}-core"
    by = {(series["peer"], series["batch"]): series["visits"] for series in results["series"]}
    times, ratios = [], []
    for name, peer in results["peers"].items():
        visits = [by.get((name, batch)) for batch in batches]
        times.append([peer["title"], *(_time(each, results["steps"]) for each in visits)])
        against = [_ratios(each, by[("ours", batch)]) for each, batch in zip(visits, batches, strict=True)]
        ratios.append([peer["title"], *(_spread(each) for each in against)])
    heads = [f"batch {batch}" for batch in batches]
    return {
        "times" + suffix: _table(["us per decoding step of the whole batch", *heads], times),
        "ratios" + suffix: _table(["times as long as s2s_runtime", *heads], ratios),
        "setting" + suffix: _setting(results),
    }


def own_tables(results: dict[str, Any]) -> dict[str, str]:
    """The table of what `s2s-bench --json` wrote."""
    head = ["batch", "beam", "median ms", "90th percentile ms", "99th percentile ms", "sentences/s", "tokens/s"]
    names = ("p50_ms", "p90_ms", "p99_ms", "sentences_per_second", "tokens_per_second")
    rows = [
        [str(each["batch_size"]), str(each["beam_size"]), *(_figure(each[name]) for name in names)]
        for each in results["measurements"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    setting = (
        f"{results['bundle']}, {results['inputs']}; {results['cpu']}, {results['cores']} cores; "
        f"{results['provider']}; {versions}; loaded in {results['load_seconds']:.2f} s."
    )
    return {"bench": f"{_table(head, rows)}\n\n{setting}"}


def _time(visits: list[float] | None, steps: int) -> str:
    """Median and middle half of the visits, in microseconds per step."""
    return _spread(None if visits is None else [value / steps * 1e6 for value in visits])


def _ratios(visits: list[float] | None, ours: list[float]) -> list[float] | None:
    """Of each visit against our visit in the same round."""
    return None if visits is None else [a / b for a, b in zip(visits, ours, strict=False)]


def _spread(values: list[float] | None) -> str:
    if values is None:
        return ""
    low, middle, high = _quartiles(values)
    return f"{_figure(middle)} ({_figure(low)} to {_figure(high)})"


def _quartiles(values: list[float]) -> tuple[float, ...]:
    return tuple(statistics.quantiles(values, n=4, method="inclusive")) if len(values) > 1 else (values[0],) * 3


def _figure(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _setting(results: dict[str, Any]) -> str:
    machine = results["machine"]
    foreign = [value for series in results["series"] for value in series["foreign"] if value is not None]
    others = f"other programs used {statistics.median(foreign):.2f} cores (median of the visits); " if foreign else ""
    busy = bool(foreign) and statistics.median(foreign) > QUIET_CORES
    lines = [
        f"{results['date']}; {machine['cpu']}, {machine['cores_used']} of {machine['cores']} cores, "
        f"{machine['system']}; {others}{results['rounds']} rounds; {results['model']}: {results['shape']}."
    ]
    for peer in results["peers"].values():
        versions = ", ".join(f"{name} {version}" for name, version in peer["versions"].items())
        lines.append(f"- {peer['title']}: {versions}; {peer['threads']} threads")
    if busy:
        lines[0] = f"**The machine was busy with other programs: for direction only.** {lines[0]}"
    return "\n".join([lines[0], "", *lines[1:]])


def main() -> None:
    """Draw the tables again."""
    for path in [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        write_tables(README, own_tables(results) if "measurements" in results else peer_tables(results))


if __name__ == "__main__":
    main()
