"""Draws the tables of README.md again: `python benchmarks/redraw.py [RESULT.json ...]`, else from all kept results.

The table of machines is always drawn from all files of `machines/`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report.machines import machine_table
from report.markdown import README, RESULTS, has_place, write_tables
from report.own_tables import (
    breakdown_tables,
    eight_bits_tables,
    export_tables,
    growth_tables,
    loading_tables,
    option_tables,
    own_tables,
)
from report.peer_tables import gpu_tables, peer_tables
from report.targets import renew
from report.transformer_tables import transformer_tables

TABLES: dict[str, Callable[[dict[str, Any]], dict[str, str]]] = {  # by what a result has that none below it has
    "load_seconds": own_tables,
    "lists": growth_tables,
    "shares": breakdown_tables,
    "exports": export_tables,
    "loadings": loading_tables,
    "eight_bits": eight_bits_tables,
    "option_costs": option_tables,
    "beside_transformer": transformer_tables,
    "device": gpu_tables,
    "case": peer_tables,
}


def tables_of(results: dict[str, Any]) -> dict[str, str]:
    """Return the tables of any result; none for what other programs keep there."""
    return next((make(results) for name, make in TABLES.items() if name in results), {})


def main() -> None:
    """Draw the tables again."""
    for path in [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("*.json")):
        made = tables_of(json.loads(path.read_text(encoding="utf-8")))
        if has_place(README, made):
            write_tables(README, made)
    write_tables(README, machine_table())
    renew()


if __name__ == "__main__":
    main()
