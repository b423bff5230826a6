"""Files of rows, read as Arrow tables of so many rows each: Parquet, CSV, TSV, JSON lines and texts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from s2s_runtime.arrow_tables.arrow import import_arrow
from s2s_runtime.errors import InputError
from s2s_runtime.files.json_fields import parse_line
from s2s_runtime.files.text_source import open_text

_PACKED: Final = (".gz", ".bz2", ".xz")
TEXT: Final = "text"
"""The one column of a text file: its lines."""


def kind_of(path: Path) -> str:
    """Return the ending of a file's name that says what it holds, without that of packing.

    Raises:
        InputError: it is none that is known.
    """
    ending = next((ending for ending in reversed(path.suffixes) if ending not in _PACKED), "")
    if ending not in _READERS:
        raise InputError(f"{path}: expected a file that ends with one of {', '.join(_READERS)}; rename it")
    return ending


def list_inputs(paths: Iterable[Path]) -> list[Path]:
    """Return the files to read: those given, and of a folder those in it, by name, whose ending is known.

    Raises:
        InputError: there is no such file, or none in a folder.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
            found = [file for file in inside if not set(file.suffixes).isdisjoint(_READERS)]
            if not found:
                raise InputError(f"{path}: expected a folder of files that end with {', '.join(_READERS)}; got none")
            files += found
        elif path.is_file():
            kind_of(path)
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    return files


def read_tables(path: Path, rows: int, encoding: str | None = None) -> Iterator[Any]:
    """Yield the rows of a file in their order as tables of so many rows, the last one of fewer.

    Args:
        path: the file; all but Parquet may be packed by gzip, bzip2 or xz.
        rows: of each table.
        encoding: of a file of text; None = UTF-8.

    Raises:
        InputError: a row can't be read; names its line.
    """
    yield from _READERS[kind_of(path)](path, rows, encoding)


def _read_parquet(path: Path, rows: int, _encoding: str | None) -> Iterator[Any]:
    arrow, parquet = import_arrow(), import_arrow("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            yield from _of_rows(file.iter_batches(batch_size=rows), rows, arrow)
    except (arrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: expected a Parquet file: {error}") from error


def _of_rows(batches: Iterable[Any], rows: int, arrow: Any) -> Iterator[Any]:
    """Yield tables of so many rows of batches that end where groups of rows do."""
    waiting: list[Any] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = arrow.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows).to_batches()
            count -= rows
    if count:
        yield arrow.Table.from_batches(waiting)


def _read_lines(path: Path, rows: int, encoding: str | None) -> Iterator[Any]:
    arrow = import_arrow()
    with open_text(path, encoding) as source:
        lines = (text for _, text in source.lines())
        while block := list(islice(lines, rows)):
            yield arrow.table({TEXT: arrow.array(block, arrow.string())})


def _read_columns(separator: str) -> Callable[[Path, int, str | None], Iterator[Any]]:
    """Return a reader of files with a line of names above, whose values stay texts: "007" isn't 7."""

    def read(path: Path, rows: int, encoding: str | None) -> Iterator[Any]:
        arrow = import_arrow()
        with open_text(path, encoding) as source:
            reader = csv.reader((f"{text}\n" for _, text in source.lines()), delimiter=separator)
            names = next(reader, [])
            if len(set(names)) < len(names):
                raise InputError(f"{path}, line 1: expected different names of columns, got {', '.join(names)}")
            while block := list(islice(reader, rows)):
                wrong = next((row for row in block if len(row) != len(names)), None)
                if wrong is not None:
                    raise InputError(
                        f"{path}, line {reader.line_num} or before it: expected {len(names)} columns, as line 1 has, "
                        f"got {len(wrong)}: {separator.join(wrong)[:60]!r}"
                    )
                columns = zip(*block, strict=True)
                yield arrow.table(
                    {name: arrow.array(texts, arrow.string()) for name, texts in zip(names, columns, strict=True)}
                )

    return read


def _read_json_lines(path: Path, rows: int, encoding: str | None) -> Iterator[Any]:
    arrow = import_arrow()
    schema = arrow.schema([])  # of all that was read: a column that is missing later is null, not gone
    with open_text(path, encoding) as source:
        numbered = ((number, text) for number, text in source.lines() if text.strip())
        while block := list(islice(numbered, rows)):
            table = _as_table([_object(path, number, text) for number, text in block], path, block[0][0], arrow)
            schema = _joined(schema, table.schema, f"{path}, from line {block[0][0]} on", arrow)
            columns = [
                table.column(field.name).cast(field.type)
                if field.name in table.column_names
                else arrow.nulls(len(block), field.type)
                for field in schema
            ]
            yield arrow.table(columns, schema=schema)


def _as_table(objects: Sequence[dict[str, Any]], path: Path, line: int, arrow: Any) -> Any:
    names = dict.fromkeys(name for found in objects for name in found)
    try:
        return arrow.table({name: arrow.array([found.get(name) for found in objects]) for name in names})
    except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
        raise InputError(
            f"{path}, from line {line} on: values of one column are of different kinds: {error}"
        ) from error


def _joined(schema: Any, other: Any, where: str, arrow: Any) -> Any:
    try:
        return arrow.unify_schemas([schema, other], promote_options="permissive")
    except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
        raise InputError(f"{where}: a column is of another kind than before: {error}") from error


def _object(path: Path, number: int, text: str) -> dict[str, Any]:
    found = parse_line(text, f"{path}, line {number}")
    if not isinstance(found, dict):
        raise InputError(f'{path}, line {number}: expected an object, such as {{"text": ...}}, got {text[:60]!r}')
    return found


_READERS: Final[dict[str, Callable[[Path, int, str | None], Iterator[Any]]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_columns(","),
    ".tsv": _read_columns("\t"),
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".txt": _read_lines,
}
