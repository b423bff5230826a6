"""Results in JSON, which `s2s-bench --json` writes and `--compare` reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from s2s_runtime.bench.comparison import Compared, Series, compare, latency_series, swept_axes
from s2s_runtime.bench.processes.cold_start import start_series
from s2s_runtime.bench.processes.memory import memory_series
from s2s_runtime.bench.timing import Measurement, swept
from s2s_runtime.errors import InputError
from s2s_runtime.files.json_fields import read_json

FORMAT: Final = "s2s-bench"
VERSION: Final = 1
LATENCY: Final = "latency"
COLD_START: Final = "cold-start"
MEMORY: Final = "memory"
COMPARISON: Final = "comparison"
_SETTING: Final = ("bundle", "inputs", "provider", "threads", "workers", "cpu", "cores", "versions")
_Read = TypeVar("_Read")


def result(kind: str, *parts: Mapping[str, object]) -> dict[str, object]:
    """Return a result for JSON: its kind, then the fields of the parts."""
    fields: dict[str, object] = {"format": FORMAT, "version": VERSION, "kind": kind}
    for part in parts:
        fields |= part
    return fields


@dataclass(frozen=True, slots=True)
class FileComparison:
    """The comparison of two result files.

    Attributes:
        rows: the quantities that both hold: the second file compared with the first.
        different: the parts of the setting that differ: first and second value by name.
        only_one: words for the quantities that only one of them holds.
    """

    rows: list[Compared]
    different: dict[str, tuple[object, object]]
    only_one: list[str]

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        rows = [row.to_dict() for row in self.rows]
        return {"comparisons": rows, "different": self.different, "only_one": self.only_one}


def compare_files(before: Path, after: Path) -> FileComparison:
    """Compare the quantities that both files hold; engine, threads, workers and provider may differ if each has one.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a file isn't a result, or they hold no quantity in common.
    """
    first, second = _read(before), _read(after)
    if first["kind"] != second["kind"]:
        raise InputError(f"--compare: expected results of one kind, got {first['kind']} and {second['kind']}")
    if first["kind"] == LATENCY:
        lists = _checked(before, _measurements, first), _checked(after, _measurements, second)
        axes = swept_axes(*lists)
        read: Callable[[Any], dict[str, Series]] = partial(latency_series, axes=axes)
        baseline, series = _checked(before, _series, read, lists[0]), _checked(after, _series, read, lists[1])
    else:
        read = {COLD_START: start_series, MEMORY: memory_series}[first["kind"]]
        baseline, series = _checked(before, _series, read, first), _checked(after, _series, read, second)
    rows = compare(series, baseline, paired=False)
    if not rows:
        raise InputError(f"--compare: {before} and {after} have no setting in common")
    different = {name: (first.get(name), second.get(name)) for name in _SETTING if first.get(name) != second.get(name)}
    return FileComparison(
        rows, different, [what for what in (baseline | series) if (what in baseline) != (what in series)]
    )


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    kinds = (LATENCY, COLD_START, MEMORY)
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("kind") not in kinds:
        raise InputError(f"{path}: expected what s2s-bench --json writes, of kind {', '.join(kinds)}")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: version {content.get('version')!r} of the format; this s2s-bench reads {VERSION}")
    return content


def _checked(path: Path, read: Callable[..., _Read], *given: Any) -> _Read:
    """Return what `read` makes of a file's content; turn what goes wrong into an error that names the file."""
    try:
        return read(*given)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path} is not what s2s-bench --json writes: {problem}; measure again") from error


def _measurements(content: Mapping[str, Any]) -> list[Measurement]:
    measured = [Measurement(**{"workers": None, **fields}) for fields in content["measurements"]]
    if any(fields.role != "bundle" for fields in measured):
        raise InputError("expected measurements of one bundle; it was written with --against")
    swept(measured)  # a TypeError where a setting is a list or an object
    return measured


def _series(read: Callable[[Any], dict[str, Series]], content: Any) -> dict[str, Series]:
    """Return the series that a reader gives, if each round has values and all values could have been measured."""
    series = read(content)
    for what, measured in series.items():
        values = [value for visit in measured.visits for value in visit]
        if not values or not all(measured.visits):
            raise ValueError(f"{what}: expected at least one value in each round")
        if not all(isinstance(value, int | float) and 0 < value < math.inf for value in values):
            raise ValueError(f"{what}: expected numbers above 0")
    return series
