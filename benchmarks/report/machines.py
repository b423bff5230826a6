"""What was measured on each kind of machine: a file for each in `machines/`, and the table made from all of them.

`results/` holds what was measured last and is not kept in the repository; these files are. Whoever runs `make
bench-peers` on another machine adds a file, or renews that of its kind.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from measuring.quiet import QUIET_CORES

from report.markdown import HERE, spread, table
from report.peer_tables import (
    INT8,
    OURS,
    case_of,
    in_words,
    others_of,
    quotients,
    ratios_of_peers,
    times_of,
    visits_of,
)

MACHINES: Final = HERE / "machines"
HEAD: Final = [
    "model, search",
    "machine, cores used",
    "s2s_runtime",
    "int8",
    "fastest of the peers measured",
    "takes so many times as long",
    "as int8",
]


def keep(results: dict[str, Any], folder: Path = MACHINES) -> Path:
    """Put what a comparison measured into the file of its kind of machine, and return the file.

    Args:
        results: as `compare.py` writes them. What was measured before of that case there is replaced.
        folder: of the files.
    """
    machine = results["machine"]
    path = folder / f"{kind_of(machine)}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[case_of(results)] = results
    folder.mkdir(exist_ok=True)
    path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")
    return path


def kind_of(machine: dict[str, Any]) -> str:
    """Return a name for a kind of machine: its processor and how many cores it has."""
    return re.sub(r"[^a-z0-9]+", "-", f"{machine['cpu']} {machine['cores']} cores".lower()).strip("-")


def machine_table(folder: Path = MACHINES) -> dict[str, str]:
    """Return by its marker the table of all kinds of machines: each case and cell, one machine below the other."""
    rows: dict[tuple[str, str], list[list[str]]] = {}
    for path in sorted(folder.glob("*.json")):
        for results in json.loads(path.read_text(encoding="utf-8")).values():
            for cell in results["cells"]:
                row = _row(results, cell)
                if row:
                    rows.setdefault((results["case"], str(cell)), []).append(row)
    made = [row for group in rows.values() for row in group]
    return {"machines": table(HEAD, made) if made else "Nothing is kept yet."}


def _row(results: dict[str, Any], cell: dict[str, int]) -> list[str]:
    """Return a row of the table; an empty one where there is nothing beside ours."""
    visits = visits_of(results, cell)
    ratios = ratios_of_peers(visits, OURS)
    if not ratios:
        return []
    unit, convert = times_of(results, cell)
    fastest = next(iter(ratios))
    machine, others = results["machine"], others_of(results)
    busy = others is not None and others > QUIET_CORES
    return [
        f"{results['title']}, {in_words(cell, search=True)}, {unit}",
        f"{machine['cpu']}, {machine['cores_used']} of {machine['cores']}, {results['date'][:10]}"
        + (f"; **busy: others used {others:.2f} cores**" if busy else ""),
        spread([convert(value) for value in visits[OURS]]),
        spread([convert(value) for value in visits.get(INT8, ())]),
        f"{results['peers'][fastest]['title']} (of {len(ratios)})",
        spread(ratios[fastest]),
        spread(quotients(visits[fastest], visits.get(INT8))),
    ]
