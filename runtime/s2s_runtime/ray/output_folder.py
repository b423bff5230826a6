"""The folder that a batch job writes: a file for each block of rows, and what the job was asked for.

A file is there whole or not at all, under a name that says which rows it holds: whoever goes on knows what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from s2s_runtime.arrow_tables.arrow import import_arrow
from s2s_runtime.errors import OptionError
from s2s_runtime.files.atomic_write import clear_leftovers, replacing, write_text
from s2s_runtime.files.json_fields import digest

JOB: Final = "_job.json"  # readers of Parquet folders pass over names that begin so
_MOST_SHOWN: Final = 200  # characters of an option's value


class OutputFolder:
    """The folder of a job.

    Args:
        path: the folder; made where it isn't there.
        job: what the job is asked for, as plain values: the same again goes on with it.
        force: whether what another job left is deleted.

    Raises:
        OptionError: it holds something else, or what another job wrote; says what differs.
    """

    def __init__(self, path: Path, job: Mapping[str, Any], *, force: bool) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        job = json.loads(json.dumps(job))  # as it is read again: tuples are lists
        file = path / JOB
        parts = sorted(path.glob("part-*.parquet"))
        if not file.is_file() and any(entry.name[0] != "." for entry in path.iterdir()):
            raise OptionError(f"--output: expected a folder of this command's, or an empty one, got {path}")
        left = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else job
        if left != job:
            if not force:
                raise OptionError(
                    f"--output: {path} holds what another job wrote ({_difference(left, job)}); give that again to go "
                    "on with it, another folder, or --force to begin anew"
                )
            for part in parts:
                part.unlink()
        clear_leftovers(path, "part-*.parquet")  # of a killed process also where its file is there, and stays
        write_text(file, json.dumps(job, indent=1, ensure_ascii=False) + "\n")

    def part(self, file: int, block: int) -> Path:
        """Return the path of the output of a block of a file, both counted from 0."""
        return self._path / f"part-{file:05}-{block:06}.parquet"

    def write(self, part: Path, table: Any) -> None:
        """Write a part, whole or not at all."""
        with replacing(part) as beside:
            import_arrow("pyarrow.parquet").write_table(table, beside)


def summarized(value: object) -> object:
    """Return an option's value as plain values for JSON, or a digest of them where they are many, as of a lexicon."""
    text = json.dumps(value, default=_content, sort_keys=True)
    return json.loads(text) if len(text) <= _MOST_SHOWN else digest({"value": json.loads(text)})


def _content(value: object) -> object:
    """Return a mapping as a dictionary and other collections as a list."""
    if isinstance(value, Mapping):
        return dict(value.items())
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"expected a decoding option of plain values, got {value!r}")


def _difference(left: Mapping[str, Any], job: Mapping[str, Any]) -> str:
    """Return in a few words the first thing in which two jobs differ."""
    name = next(name for name in (*job, *left) if left.get(name) != job.get(name))
    one, other = left.get(name), job.get(name)
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        pairs = [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
        one, other = pairs[0] if pairs else (f"{len(one)} of them", f"{len(other)}")
    return f"{name}: {one}, not {other}"
