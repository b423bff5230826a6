"""Draws the tables of README.md again: `python benchmarks/redraw.py [RESULT.json ...]`, else from all kept results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from report.markdown import README, RESULTS, has_place, write_tables
from report.own_tables import breakdown_tables, eight_bits_tables, export_tables, growth_tables, own_tables
from report.peer_tables import peer_tables
from report.targets import renew


def tables_of(results: dict[str, Any]) -> dict[str, str]:
    """Return the tables of any result; none for what other programs keep there."""
    if "load_seconds" in results:
        return own_tables(results)
    if "lists" in results:
        return growth_tables(results)
    if "shares" in results:
        return breakdown_tables(results)
    if "exports" in results:
        return export_tables(results)
    if "eight_bits" in results:
        return eight_bits_tables(results)
    return peer_tables(results) if "case" in results else {}


def main() -> None:
    """Draw the tables again."""
    for path in [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("*.json")):
        made = tables_of(json.loads(path.read_text(encoding="utf-8")))
        if has_place(README, made):
            write_tables(README, made)
    renew()


if __name__ == "__main__":
    main()
