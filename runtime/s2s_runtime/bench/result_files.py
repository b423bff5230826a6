"""Results as JSON: what `s2s-bench --json` writes and `--compare` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from s2s_runtime.bench.cold_start import start_series
from s2s_runtime.bench.comparison import Compared, compare, latency_series, swept_axes
from s2s_runtime.bench.memory import memory_series
from s2s_runtime.bench.timing import Measurement
from s2s_runtime.errors import InputError

FORMAT: Final = "s2s-bench"
VERSION: Final = 1
LATENCY: Final = "latency"
COLD_START: Final = "cold-start"
MEMORY: Final = "memory"
COMPARISON: Final = "comparison"
_SETTING: Final = ("bundle", "inputs", "provider", "threads", "workers", "cpu", "cores", "versions")


def result(kind: str, *parts: Mapping[str, object]) -> dict[str, object]:
    """A result for JSON: its kind, then the fields of the parts."""
    found: dict[str, object] = {"format": FORMAT, "version": VERSION, "kind": kind}
    for part in parts:
        found |= part
    return found


@dataclass(frozen=True, slots=True)
class FileComparison:
    """Two result files.

    Attributes:
        rows: what both hold: of the second, compared with the first.
        different: what of the setting differs: first and second value by name.
        only_one: what stands in one of them only, in words.
    """

    rows: list[Compared]
    different: dict[str, tuple[object, object]]
    only_one: list[str]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        rows = [each.to_dict() for each in self.rows]
        return {"comparisons": rows, "different": self.different, "only_one": self.only_one}


def compare_files(before: Path, after: Path) -> FileComparison:
    """Compare what two files hold in common; engine, threads, workers and provider may differ where each has one.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a file is no result, or they have nothing in common.
    """
    first, second = _read(before), _read(after)
    if first["kind"] != second["kind"]:
        raise InputError(f"--compare: expected results of one kind, got {first['kind']} and {second['kind']}")
    try:
        if first["kind"] == LATENCY:
            lists = _measurements(before, first), _measurements(after, second)
            axes = swept_axes(*lists)
            baseline, series = (latency_series(each, axes) for each in lists)
        else:
            reader = {COLD_START: start_series, MEMORY: memory_series}[first["kind"]]
            baseline, series = reader(first), reader(second)
    except (KeyError, TypeError) as error:
        raise InputError(f"--compare: {before} or {after} is not what s2s-bench --json writes: {error!r}") from error
    rows = compare(series, baseline, paired=False)
    if not rows:
        raise InputError(f"--compare: {before} and {after} have no setting in common")
    different = {name: (first.get(name), second.get(name)) for name in _SETTING if first.get(name) != second.get(name)}
    return FileComparison(
        rows, different, [what for what in (baseline | series) if (what in baseline) != (what in series)]
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a JSON file in UTF-8: {error}") from error
    kinds = (LATENCY, COLD_START, MEMORY)
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("kind") not in kinds:
        raise InputError(f"{path}: expected what s2s-bench --json writes, of kind {', '.join(kinds)}")
    if found.get("version") != VERSION:
        raise InputError(f"{path}: version {found.get('version')!r} of the format; this s2s-bench reads {VERSION}")
    return found


def _measurements(path: Path, found: Mapping[str, Any]) -> list[Measurement]:
    measured = [Measurement(**{"workers": None, **each}) for each in found["measurements"]]
    if any(each.role != "bundle" for each in measured):
        raise InputError(f"{path}: expected measurements of one bundle; it was written with --against")
    return measured
