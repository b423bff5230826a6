"""Draws the rooms of the three packages, floor by floor, and the way of a sentence through the runtime's.

`python tests/docs/draw_architecture.py` writes docs/images/architecture.svg. Floors come from the contracts in
pyproject.toml that lint holds, arrows from the imports of the code; those that a longer way says already are left out.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import grimp
import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "images" / "architecture.svg"
PACKAGES: Final = {"s2s_export": "export", "s2s_training": "training", "s2s_runtime": "runtime"}
WAY: Final = (  # of a sentence: room by room, each imports the next one down, or is asked by the one before
    ("commands", "1  a line of text is read"),
    ("model", "2  one call, its options"),
    ("decoding", "3  lists, files, streams; 9  ids become results"),
    ("inputs", "4  rows, padded into batches"),
    ("vocabulary", "5  text becomes ids; 10  ids become text"),
    ("search", "6  greedy, beam search, sampling"),
    ("ort", "7  the graphs run in onnxruntime; 8  tokens come back"),
)
STEPS: Final = (
    *(("commands", "model"), ("model", "decoding"), ("decoding", "inputs"), ("inputs", "vocabulary")),
    *(("decoding", "search"), ("ort", "search"), ("decoding", "ort")),
)
BOX: Final = (2.3, 0.42)
GAP: Final = 0.62
APART: Final = 4.3
HIGHEST: Final = 1.1
INCHES: Final = 0.85
Place = tuple[float, float, float]
"""The centre of a room, and its width."""
COLOURS: Final = {"s2s_export": "#f3dfc1", "s2s_training": "#d5e5d0", "s2s_runtime": "#d3e0f0"}


def floors(package: str) -> list[list[str]]:
    """The rooms of a package, those of each floor, from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [layers] = [c["layers"] for c in settings["contracts"] if c.get("containers") == [package]]
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def imports() -> set[tuple[str, str]]:
    """Which room imports which, as "package.room"."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            ends = tuple(".".join(name.split(".")[:2]) for name in (module, other))
            if ends[0] != ends[1] and all("." in end for end in ends):
                found.add(ends)
    return found


def reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that no longer way says already."""
    below: dict[str, set[str]] = {}
    for importer, imported in arrows:
        below.setdefault(importer, set()).add(imported)

    def reaches(start: str, end: str) -> bool:
        return any(next_ == end or reaches(next_, end) for next_ in below.get(start, ()))

    return {(a, b) for a, b in arrows if not any(reaches(other, b) for other in below[a] - {b})}


def draw() -> Figure:
    """The picture."""
    arrows = imports()
    lowest = -max(len(floors(package)) for package in PACKAGES) * GAP
    figure = Figure(figsize=(15, INCHES * (HIGHEST - lowest)), layout="constrained")
    axes = figure.add_subplot()
    places: dict[str, Place] = {}
    for column, (package, folder) in enumerate(PACKAGES.items()):
        left = column * APART
        axes.text(left, 0.6, f"{folder}/  ({package})", fontsize=13, fontweight="bold", ha="center")
        for floor, rooms in enumerate(floors(package)):
            width = BOX[0] / len(rooms) - (0.06 if len(rooms) > 1 else 0)
            for i, room in enumerate(rooms):
                x = left + (i - (len(rooms) - 1) / 2) * BOX[0] / len(rooms)
                places[f"{package}.{room}"] = x, -floor * GAP, width
                _room(axes, places[f"{package}.{room}"], room, COLOURS[package])
    known = {(a, b) for a, b in arrows if a in places and b in places and a.split(".")[0] == b.split(".")[0]}
    inside = {(a, b) for a, b in known if places[a][1] > places[b][1]}  # others are for annotations alone
    for importer, imported in sorted(reduced(inside)):
        _arrow(axes, places[importer], places[imported])
    _way(axes, places, arrows)
    for (one, other), label in ((("s2s_export", "s2s_training"), "splits"), (("s2s_training", "s2s_runtime"), "reads")):
        x = [list(PACKAGES).index(package) * APART for package in (one, other)]
        axes.annotate("", (x[1] - 1.9, 0.66), (x[0] + 1.9, 0.66), arrowprops={"arrowstyle": "-|>", "color": "#555555"})
        axes.text(sum(x) / 2, 0.72, label, ha="center", fontsize=9, color="#555555")
    axes.set_xlim(-2.2, 13.2)
    axes.set_ylim(lowest, HIGHEST)
    axes.set_axis_off()
    return figure


def _room(axes: Any, place: Place, name: str, colour: str) -> None:
    (x, y, width), height = place, BOX[1]
    corner = x - width / 2, y - height / 2
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.02", fc=colour, ec="#777777", zorder=3))
    axes.text(x, y, name, ha="center", va="center", fontsize=min(10, 95 * width / len(name)), zorder=4)


def _arrow(axes: Any, start: Place, end: Place) -> None:
    """An import: straight to the next floor, in a bow past the floors between."""
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 9, "lw": 0.9, "color": "#777777", "zorder": 2}
    fallen = start[1] - end[1]
    if fallen <= GAP + 1e-6:
        ends, bow = ((start[0], start[1] - BOX[1] / 2), (end[0], end[1] + BOX[1] / 2)), 0.0
    else:
        left = min(start[0], end[0])
        edges = [left - (place[2] / 2 if start[0] == end[0] else 0) for place in (start, end)]
        ends, bow = ((edges[0], start[1]), (edges[1], end[1])), 0.5 / fallen + 0.12
    axes.add_patch(FancyArrowPatch(*ends, connectionstyle=f"arc3,rad={bow}", **style))


def _way(axes: Any, places: dict[str, Place], arrows: set[tuple[str, str]]) -> None:
    """The way of a sentence, numbered, on the right of the runtime's rooms."""
    missing = [step for step in STEPS if tuple(f"s2s_runtime.{room}" for room in step) not in arrows]
    if missing:
        raise ValueError(f"the way of a sentence takes arrows that the code doesn't have: {missing}")
    right = list(PACKAGES).index("s2s_runtime") * APART + BOX[0] / 2 + 0.12
    for room, words in WAY:
        y = places[f"s2s_runtime.{room}"][1]
        axes.text(right, y, words, fontsize=9, va="center", color="#a03020", zorder=5)


def write(path: Path) -> None:
    """Write the picture; the same code gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "rooms", "svg.fonttype": "none", "font.family": "sans-serif"}):
        draw().savefig(path, metadata={"Date": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    write(PICTURE)
