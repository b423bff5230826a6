"""What the project set out to reach, beside what the kept results say it reached.

`compare.py`, `own.py`, `growth.py` and `redraw.py` renew the table of README.md.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from report.markdown import README, RESULTS, figure, spread, table, write_tables
from report.own_tables import graphs_alone
from report.peer_tables import INT8, OURS, quotients, ratios_of_peers, visits_of

KEPT = ("canonical", "large", "words", "text", "attention", "own", "growth")
HEAD = ["target", "float32: wanted", "reached", "int8: wanted", "reached"]

Results = dict[str, dict[str, Any]]


def targets_table(results: Results) -> dict[str, str]:
    """Return the table by its marker.

    Args:
        results: what the programs wrote, by the name of the file without its ending; what isn't there stays blank.
    """
    rows = [
        *_against_fastest(results, "canonical", "canonical", ("1.2", "2.2", "1.5"), ("2", "4", "3")),
        ["batch 256, canonical, share of the matrix-product limit", "80%", _limit(results), "", ""],
        ["batch 1, canonical, against the published `predict` loop", "1,500 times", *_predict(results)],
        ["10,000 sentences of real text, against the fastest batched peer", "2.5 times", *_text(results)],
        *_beam(results),
        ["beam 5 against greedy, batch 1, same model", "at most 2.5 times the time", _beam_cost(results), "", ""],
        *_start(results),
        *_growth(results),
        *_against_fastest(results, "large", "1,024 units", ("1.2", "2.2", "1.5"), ("2", "4", "3")),
        *_against_fastest(
            results, "words", "512 units, two layers, 8,000 words", ("1.2", "2.2", "1.5"), ("2", "4", "3")
        ),
    ]
    return {"targets": table(HEAD, rows)}


def _against_fastest(
    results: Results, case: str, label: str, wanted: tuple[str, ...], wanted8: tuple[str, ...]
) -> list[list[str]]:
    """Return a row for each greedy batch size: the time of the peer that comes nearest by ours."""
    rows = []
    for batch, want, want8 in zip((1, 32, 256), wanted, wanted8, strict=True):
        reached = [_fastest(results.get(case), {"batch": batch, "beam": 1}, own) for own in (OURS, INT8)]
        row = f"batch {batch}, {label}, against the fastest peer"
        rows.append([row, f"{want} times", reached[0], f"{want8} times", reached[1]])
    return rows


def _fastest(results: dict[str, Any] | None, cell: dict[str, int], own: str) -> str:
    if results is None:
        return ""
    ratios = ratios_of_peers(visits_of(results, cell), own)
    name = next(iter(ratios), None)
    return "" if name is None else f"{spread(ratios[name])}, {results['peers'][name]['title']}"


def _limit(results: Results) -> str:
    visits = visits_of(results["canonical"], {"batch": 256}) if "canonical" in results else {}
    limits = [found for name, found in visits.items() if name.startswith("products:")]
    if not limits or OURS not in visits:
        return ""
    return f"{100 * statistics.median(quotients(min(limits, key=statistics.median), visits[OURS])):.0f}%"


def _predict(results: Results) -> list[str]:
    return [_one(results, "canonical", "keras_predict", {"batch": 1}), "", ""]


def _one(results: Results, case: str, peer: str, cell: dict[str, int]) -> str:
    """Of one peer's visits by ours."""
    visits = visits_of(results[case], cell) if case in results else {}
    return spread(quotients(visits.get(peer), visits.get(OURS)))


def _text(results: Results) -> list[str]:
    cell = {"batch": 256}
    return [_fastest(results.get("text"), cell, OURS), "5 times", _fastest(results.get("text"), cell, INT8)]


def _beam(results: Results) -> list[list[str]]:
    rows = []
    for batch, wanted in ((1, "8 times"), (32, "3 times")):
        reached = _one(results, "attention", "joeynmt", {"batch": batch, "beam": 5})
        rows.append([f"beam 5, batch {batch}, attention with input feeding, against JoeyNMT", wanted, reached, "", ""])
    return rows


def _beam_cost(results: Results) -> str:
    measured = results.get("own", {}).get("measurements", [])
    times = {each["beam_size"]: each["p50_ms"] for each in measured if each["batch_size"] == 1}
    return f"{figure(times[5] / times[1])} times" if {1, 5} <= times.keys() else ""


def _start(results: Results) -> list[list[str]]:
    own = results.get("own", {})
    took, ratio, weighed = "", "", ""
    if "cold_start" in own:
        took = f"{own['cold_start']['medians']['runtime']['total']:.2f} s"
        ratio = f"{own['cold_start']['ratio']['value']:.2f} times"
    if "memory" in own:
        memory = own["memory"]
        loaded = memory["measurements"][0]["beyond_bare"]["loaded"]  # nothing was decoded yet, whatever the batch size
        beyond = [value / memory["weights_bytes"] for value in (loaded, loaded - graphs_alone(memory))]
        weighed = f"{beyond[0]:.1f} times beyond its import, {beyond[1]:.1f} beyond the same graphs open"
    return [
        ["import, load and first result, canonical", "under 0.6 s", took, "", ""],
        ["the same against onnxruntime alone, import and graphs", "at most 1.3 times", ratio, "", ""],
        ["resident memory of the loaded bundle by its weights, beyond onnxruntime", "at most 3 times", weighed, "", ""],
    ]


def _growth(results: Results) -> list[list[str]]:
    rows = []
    for kind, words in (("batches", "batch"), ("lists", "list")):
        found = results.get("growth", {}).get(kind, [])
        medians = {each["sentences"]: statistics.median(each["seconds_per_token"]) for each in found}
        sizes = sorted(medians)
        reached = ""
        if len(sizes) > 1:
            reached = f"{100 * (max(medians.values()) / medians[sizes[0]] - 1):+.0f}% ({sizes[0]:,} to {sizes[-1]:,})"
        rows.append([f"time per token as the {words} grows", "at most +10%", reached, "", ""])
    return rows


def read_results(folder: Path = RESULTS) -> Results:
    """All results of a folder by the names of their files."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def publish(results: dict[str, Any], output: Path, tables: dict[str, str], *, renew_readme: bool) -> None:
    """Write a result as JSON, print its tables, and put them into README.md.

    Args:
        results: what was measured.
        output: file to write.
        tables: Markdown by marker.
        renew_readme: whether README.md is touched; all markers have to be there.

    Raises:
        ValueError: a marker is missing.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if renew_readme:
        write_tables(README, tables)
        renew()
    print("\n\n".join(tables.values()))


def renew() -> None:
    """Write the table from the kept results, where all are there that it shows."""
    results = read_results()
    missing = [name for name in KEPT if name not in results]
    if missing:
        print(f"the table of targets stays as it is: no results of {', '.join(missing)} in {RESULTS}")
    else:
        write_tables(README, targets_table(results))


if __name__ == "__main__":
    renew()
