"""Pairs from files whose rows have names of their own, JSON lines and Parquet; and which files a folder holds.

Tabs and line ends inside a text, which a cell may hold, count as a space: `test.tsv`, and every command that reads a
text per line, has no other way to hold them.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from s2s_runtime.errors import MissingExtraError, raised_as
from s2s_runtime.files.json_fields import parse_line
from s2s_runtime.files.pair_rows import EMPTY, NO_SOURCE, NO_TARGET, LeftOut
from s2s_training.data.corpus import Example
from s2s_training.data.text_files import Reading, RowLimit
from s2s_training.errors import DataError, DataNotFoundError

JSON_LINES: Final = (".jsonl", ".ndjson")
PARQUET: Final = ".parquet"
RECORDS: Final = (*JSON_LINES, PARQUET)
KINDS: Final = (".tsv", ".txt", ".csv", *RECORDS)
"""The endings of files of pairs in a folder; all but Parquet may be packed."""

_PACKED: Final = (".gz", ".bz2", ".xz")
_INNER_BREAK: Final = re.compile(r"[\t\r\n]+")
_ROWS: Final = 4096  # of a Parquet file, read at once
_SHOWN: Final = 60
Cells = Iterable[tuple[int, str, str]]


def kind_of(path: Path) -> str:
    """Return the ending of a file's name, in small letters, without that of packing.

    >>> kind_of(Path("pairs.CSV.gz"))
    '.csv'
    """
    return next((suffix.lower() for suffix in reversed(path.suffixes) if suffix.lower() not in _PACKED), "")


def list_files(data: str) -> list[Path]:
    """Return the files of pairs that `data` names: one file, those of a folder, or those that a pattern matches.

    Files of a folder, and of a pattern, come in the order of their names.

    Raises:
        DataNotFoundError: there are none.
    """
    path = Path(data)
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
        files = [file for file in inside if kind_of(file) in KINDS]
        if not files:
            raise DataNotFoundError(f"{path}: expected a folder of files that end with {', '.join(KINDS)}; got none")
        return files
    if "*" in data and not path.exists():
        root = Path(path.anchor or ".")
        files = sorted(file for file in root.glob(str(path.relative_to(path.anchor))) if file.is_file())
        if not files:
            raise DataNotFoundError(f"no file matches {data!r}: expected files of pairs")
        return files
    return [path] if path.is_file() else []


def require_readable(path: Path, reading: Reading) -> None:
    """Check that a file is of the kind that its name says, by its beginning.

    Raises:
        DataError: it is no text, looks like another encoding, or is no Parquet file.
        MissingExtraError: a Parquet file, where pyarrow isn't installed.
    """
    if kind_of(path) == PARQUET:
        with _parquet(path):
            return
    with raised_as(DataError), reading.open(path):
        pass  # it was looked at


def read_records(
    path: Path, kind: str, columns: tuple[str, str], rows: int | RowLimit | None, reading: Reading
) -> Iterator[Example]:
    """Yield the pairs of a file of rows in which each value has the name of its column.

    Args:
        path: the file.
        kind: one of `RECORDS`.
        columns: the names of sources and targets.
        rows: only the first so many; None = all.
        reading: encoding, and what becomes of rows without a pair; a value that is missing or null is an empty text.

    Raises:
        DataError: no such column, a value that is no text, a bad line (with its number), or no pairs.
        MissingExtraError: a Parquet file, where pyarrow isn't installed.
    """
    limit = RowLimit.of(rows)
    if kind == PARQUET:
        with _parquet(path) as file:
            cells = _parquet_cells(path, file, columns, reading)
            yield from pairs_of_cells(path, limit.take(cells), reading, f"{path}: expected rows of pairs, got none")
        return
    with raised_as(DataError), reading.open(path) as opened:
        lines = ((number, text) for number, text in opened.lines() if text.strip())
        cells = (_json_cells(path, number, text, columns) for number, text in lines)
        yield from pairs_of_cells(
            path, limit.take(cells), reading, f"{path}: expected a JSON object per line, got none"
        )


def pairs_of_cells(path: Path, cells: Cells, reading: Reading, nothing: str) -> Iterator[Example]:
    """Yield the pairs among rows of (line number, source, target), and log which rows were left out.

    Raises:
        DataError: no row holds a pair, with the message `nothing`; or a row holds none and `reading` is strict.
    """
    left_out, has_pair = LeftOut(reading.strict), False
    for number, source, target in cells:
        left_out.seen = number
        if source.strip() and target.strip():
            has_pair = True
            yield Example(reading.checked(path, number, _one_line(source)), (_one_line(target),))
        else:
            problem = NO_TARGET if source.strip() else NO_SOURCE if target.strip() else EMPTY
            left_out.add(str(path), number, problem)
    reading.warn(path, left_out)
    if not has_pair:
        raise DataError(nothing)


def _json_cells(path: Path, number: int, text: str, columns: tuple[str, str]) -> tuple[int, str, str]:
    where = f"{path}, line {number}"
    record = parse_line(text, where)
    if not isinstance(record, dict):
        raise DataError(f'{where}: expected an object, such as {{"source": ..., "target": ...}}, got {text[:_SHOWN]!r}')
    if columns[0] not in record and columns[1] not in record:
        raise DataError(f"{where}: {_no_column(columns[0], list(record))}")
    source, target = (record.get(name) for name in columns)
    return number, _text(where, columns[0], source), _text(where, columns[1], target)


def _text(where: str, column: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: {column}: expected a text, got {str(value)[:_SHOWN]}")
    return value


def _parquet(path: Path) -> Any:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow is not installed: pip install 's2s-training[parquet]'") from error
    try:
        return parquet.ParquetFile(path)
    except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
        raise DataError(f"{path}: expected a Parquet file: {error}") from error


def _parquet_cells(path: Path, file: Any, columns: tuple[str, str], reading: Reading) -> Iterator[tuple[int, str, str]]:
    names = file.schema_arrow.names
    for name in columns:
        if name not in names:
            raise DataError(f"{path}: {_no_column(name, names)}")
    number, total = 0, file.metadata.num_rows
    for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
        sides = [batch.column(name).to_pylist() for name in columns]
        for source, target in zip(*sides, strict=True):
            number += 1
            where = f"{path}, row {number}"
            yield number, _text(where, columns[0], source), _text(where, columns[1], target)
        reading.stages(f"reading {path}", number, total)


def _no_column(name: str, names: list[str]) -> str:
    has = ", ".join(map(repr, names)) or "none"
    return f"no column {name!r}: it has {has}; give source_column and target_column"


def _one_line(text: str) -> str:
    r"""Return the text without tabs and line ends at its ends, and with spaces for those inside.

    >>> _one_line("Go on,\r\nTom!\n")
    'Go on, Tom!'
    """
    return _INNER_BREAK.sub(" ", text.strip("\t\r\n"))
