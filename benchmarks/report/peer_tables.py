"""Tables of a comparison, as `compare.py` and `gpu.py` write it: times, ratios, the share of the limit, the setting."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from measuring.quiet import QUIET_CORES

from report.markdown import figure, quartiles, spread, table

OURS, INT8 = "ours", "ours:int8"
_PARTS = ("tagger_onnx:graph",)  # of what is ours, shown beside it

Visits = list[float]

_REHEARSED = (
    "**Not yet run on a GPU.** These figures are of the CPU, on which the same paths were tried and gave the tokens of "
    "the reference. They say nothing of a GPU's speed."
)


def peer_tables(results: dict[str, Any]) -> dict[str, str]:
    """Markdown by marker: CASE-times, CASE-ratios, CASE-setting and, where products were measured, CASE-limit."""
    name = case_of(results)
    visits = {(each["peer"], str(each["cell"])): each["visits"] for each in results["series"]}
    found = [{peer: visits.get((peer, str(cell))) for peer in results["peers"]} for cell in results["cells"]]
    made = {f"{name}-times": _times(results, found), f"{name}-ratios": _ratios(results, found)}
    limit = _limit(results, found)
    return made | ({f"{name}-limit": limit} if limit else {}) | {f"{name}-setting": _setting(results)}


def gpu_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the tables of a case of `gpu.py` by their markers; what wasn't run on a GPU says so."""
    made = peer_tables(results)
    first = next(iter(made))
    return made if results["device"] == "cuda" else {**made, first: f"{_REHEARSED}\n\n{made[first]}"}


def case_of(results: dict[str, Any]) -> str:
    """Return the name of a case, the cores with it where not all were used."""
    used, there = results["machine"]["cores_used"], results["machine"]["cores"]
    return results["case"] + ("" if used == there else f"-{used}-core")


def visits_of(results: dict[str, Any], cell: dict[str, int]) -> dict[str, Visits]:
    """Return the visits of each peer in the cell of these fields."""
    return {each["peer"]: each["visits"] for each in results["series"] if cell.items() <= each["cell"].items()}


def ratios_of_peers(visits: dict[str, Visits], own: str) -> dict[str, list[float]]:
    """Return how many times as long as ours each peer took, round by round, the fastest first; ours aren't peers."""
    peers = [name for name in visits if name not in _PARTS and name.split(":")[0] not in ("ours", "products")]
    ratios = {name: quotients(visits[name], visits.get(own)) for name in peers}
    measured = {name: each for name, each in ratios.items() if each}
    return dict(sorted(measured.items(), key=lambda each: statistics.median(each[1])))  # by rounds: speed swings


def others_of(results: dict[str, Any]) -> float | None:
    """Return how many cores other programs used, the median of all visits; None where that is unknown."""
    values = [value for series in results["series"] for value in series["foreign"] if value is not None]
    return statistics.median(values) if values else None


def _times(results: dict[str, Any], found: list[dict[str, Visits | None]]) -> str:
    words, convert = _UNITS[results["unit"]]
    rows = []
    for name, peer in _decoders(results).items():
        cells = [
            [convert(value, cell, results["steps"]) for value in by[name] or ()]
            for by, cell in zip(found, results["cells"], strict=True)
        ]
        rows.append([peer["title"], *_row(peer, cells)])
    return table([words, *_heads(results)], rows)


def _ratios(results: dict[str, Any], found: list[dict[str, Visits | None]]) -> str:
    """How many times as long as ours each takes, visit by visit of the same round; float32 and int8."""
    made = []
    for own in results.get("own", (OURS, INT8)):
        if own not in results["peers"] or "unavailable" in results["peers"][own]:
            continue
        rows = [
            [peer["title"], *_row(peer, [quotients(by[name], by[own]) for by in found])]
            for name, peer in _decoders(results).items()
            if name != own
        ]
        made.append(table([f"times as long as {results['peers'][own]['title']}", *_heads(results)], rows))
    return "\n\n".join(made)


def _limit(results: dict[str, Any], found: list[dict[str, Visits | None]]) -> str:
    """Return the fastest library's rate of matrix products, and what share of it each float32 peer reaches."""
    libraries = [name for name in results["peers"] if name.startswith("products:")]
    if not libraries:
        return ""
    rates, fastest = [], []
    for by, cell in zip(found, results["cells"], strict=True):
        operations = sum(2 * times * shared * columns for times, shared, columns in results["products"]) * cell["batch"]
        timed: dict[str, Visits] = {name: by[name] or [] for name in libraries if by[name]}
        best = min(timed, key=lambda name: statistics.median(timed[name]))
        fastest.append(timed[best])
        rate = figure(operations / statistics.median(timed[best]) / 1e9)
        rates.append(f"{rate} GFLOP/s ({best.partition(':')[2]})")
    rows = [["largest rate of the same products", *rates]]
    for name, peer in _decoders(results).items():
        if name != INT8 and "unavailable" not in peer:
            shares = [quotients(limit, by[name]) for by, limit in zip(found, fastest, strict=True)]
            rows.append([peer["title"], *(_percent(share) for share in shares)])
    return table(["share of the largest rate", *_heads(results)], rows)


def _decoders(results: dict[str, Any]) -> dict[str, Any]:
    return {name: peer for name, peer in results["peers"].items() if not name.startswith("products:")}


def _heads(results: dict[str, Any]) -> list[str]:
    beams = len({cell["beam"] for cell in results["cells"]}) > 1
    return [in_words(cell, search=beams) for cell in results["cells"]]


def in_words(cell: dict[str, int], *, search: bool) -> str:
    """Return how a cell was called, its search with it where that is asked for."""
    beam = "" if not search else "greedy, " if cell["beam"] == 1 else f"beam {cell['beam']}, "
    return f"{beam}{'texts, ' if cell.get('texts') else ''}batch {cell['batch']}"


def _row(peer: dict[str, Any], cells: list[list[float]]) -> list[str]:
    if "unavailable" in peer:
        return ["not here", *[""] * (len(cells) - 1)]
    return [spread(values) for values in cells]


def quotients(visits: Visits | None, others: Visits | None) -> list[float]:
    """Each visit by the other's in the same round; none where one of them wasn't measured."""
    return [a / b for a, b in zip(visits or (), others or (), strict=False)]


def _percent(values: list[float]) -> str:
    if not values:
        return ""
    low, middle, high = (round(100 * value) for value in quartiles(values))
    return f"{middle}% ({low} to {high})"


def _step(seconds: float, cell: dict[str, int], steps: int) -> float:
    return seconds / steps * 1e6


def _batch(seconds: float, cell: dict[str, int], steps: int) -> float:
    return seconds / max(1, (cell["sentences"] or cell["batch"]) // cell["batch"]) * 1e3


def _sentences(seconds: float, cell: dict[str, int], steps: int) -> float:
    return (cell["sentences"] or cell["batch"]) / seconds


_UNITS: dict[str, tuple[str, Callable[[float, dict[str, int], int], float]]] = {
    "step": ("us per decoding step of the whole batch", _step),
    "batch": ("ms per batch", _batch),
    "sentences": ("sentences per second", _sentences),
}


def times_of(results: dict[str, Any], cell: dict[str, int]) -> tuple[str, Callable[[float], float]]:
    """Return the words for what is told of a cell, and a function that makes it of seconds."""
    words, convert = _UNITS[results["unit"]]
    return words, lambda seconds: convert(seconds, cell, results["steps"])


def _setting(results: dict[str, Any]) -> str:
    machine, foreign = results["machine"], others_of(results)
    others = "" if foreign is None else f"other programs used {foreign:.2f} cores (median of the visits); "
    line = (
        f"{results['date']}; {machine['cpu']}, {machine['cores_used']} of {machine['cores']} cores, "
        f"{machine['system']}; {others}{results['rounds']} rounds; {results['model']}: {results['shape']}."
    )
    if foreign is not None and foreign > QUIET_CORES:
        line = f"**The machine was busy with other programs: for direction only.** {line}"
    return "\n".join([line, "", *(_about(name, peer, results) for name, peer in results["peers"].items())])


def _about(name: str, peer: dict[str, Any], results: dict[str, Any]) -> str:
    """Versions, threads, and how many sentences a peer decodes otherwise than the reference, and why."""
    if "unavailable" in peer:
        return f"- {peer['title']}: not measured, as {peer['unavailable']}"
    versions = ", ".join(f"{package} {version}" for package, version in peer["versions"].items())
    counted, differing = [], 0
    for series in results["series"]:
        cell = series["cell"]
        if series["peer"] == name and str(cell["beam"]) in peer["may_differ"]:
            search = "greedy" if cell["beam"] == 1 else f"beam {cell['beam']}"
            count = cell["sentences"] or cell["batch"]
            counted.append(f"{series['differing']:,} of {count:,} ({search}, batch {cell['batch']})")
            differing += series["differing"]
    reason = f": {next(iter(peer['may_differ'].values()))}" if differing else ""
    told = f"; sentences that differ from the reference: {', '.join(counted)}{reason}" if counted else ""
    return f"- {peer['title']}: {versions}; {peer['threads']} threads{told}"
