"""Pairs from files: TSV, CSV or TSV with column names, JSON lines, Parquet, or two parallel text files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from s2s_runtime.errors import raised_as
from s2s_runtime.files import pair_rows
from s2s_runtime.files.pair_rows import LeftOut
from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import Example
from s2s_training.data.record_files import RECORDS, kind_of, pairs_of_cells, read_records
from s2s_training.data.text_files import PLAIN, Reading, RowLimit
from s2s_training.errors import DataError
from s2s_training.source_factors import source_check
from s2s_training.stages import Stages, unseen

Table = Iterator[tuple[int, list[str]]]


def read_pairs(
    config: DataConfig,
    paths: Sequence[Path],
    target_file: Path | None = None,
    rows: int | None = None,
    *,
    stages: Stages = unseen,
) -> Iterator[Example]:
    """Yield the pairs of files, in their order.

    Args:
        config: which columns hold them, for a file with names of columns; encoding; what becomes of rows without a
            pair.
        paths: the files of pairs, each as its ending says, or the one of sources.
        target_file: the file of targets, line by line; None = `paths` hold both.
        rows: only the first so many, of all files together; None = all.
        stages: is told how far it is.

    Raises:
        DataError: a bad line (with its number), a missing column, no pairs, or files of different length.
        MissingExtraError: a Parquet file, where pyarrow isn't installed.
    """
    check = source_check(config)
    reading, limit = Reading(config.encoding, config.strict, stages, check), RowLimit.of(rows)
    for path in paths:
        if limit.left == 0:
            return
        if target_file is not None:
            yield from read_parallel(path, target_file, limit, reading)
        elif (kind := kind_of(path)) in RECORDS:
            columns = (config.source_column or "source", config.target_column or "target")
            yield from read_records(path, kind, columns, limit, reading)
        elif config.source_column is not None and config.target_column is not None:
            yield from read_columns(path, config.source_column, config.target_column, limit, reading)
        elif kind == ".csv":
            with raised_as(DataError), _table(path, reading) as table:
                header = _header(table)
            raise DataError(
                f"{path}: a CSV file needs source_column and target_column, the names of two of its columns: "
                f"{', '.join(header) or 'it is empty'}"
            )
        else:
            yield from read_tsv(path, limit, reading)


def read_tsv(path: Path, rows: int | RowLimit | None = None, reading: Reading = PLAIN) -> Iterator[Example]:
    """Yield the pairs of a file, in its order.

    Args:
        path: the file.
        rows: only the first so many; None = all.
        reading: encoding, and what becomes of lines without a pair.

    Raises:
        DataError: a line isn't in that encoding or has no tab (with its number), or no line holds a pair.
    """
    limit = RowLimit.of(rows)
    left_out = LeftOut(reading.strict)
    with raised_as(DataError), reading.open(path) as opened:
        for number, source, targets in pair_rows.read_pairs(opened, left_out, rows=limit.left):
            yield Example(reading.checked(path, number, source), targets)
    limit.use(left_out.seen)
    reading.warn(path, left_out)


def read_columns(
    path: Path, source: str, target: str, rows: int | RowLimit | None = None, reading: Reading = PLAIN
) -> Iterator[Example]:
    """Yield the pairs of a file whose first line names its columns.

    Args:
        path: where it ends in .csv, packed or not, separated by commas (or semicolons, as Excel has it in many
            languages) and quoted as RFC 4180 has it; else by tabs, without quotes.
        source: name of the column of sources.
        target: name of the column of targets.
        rows: only the first so many; None = all.
        reading: encoding, and what becomes of rows without a pair.

    Raises:
        DataError: not in that encoding, no such column, quotes that RFC 4180 doesn't have, or no pairs.
    """
    limit = RowLimit.of(rows)
    with raised_as(DataError), _table(path, reading) as table:
        header = _header(table)
        missing = [name for name in (source, target) if name not in header]
        if missing:
            raise DataError(f"{path}: no column {missing[0]!r}: it has {', '.join(map(repr, header)) or 'none'}")
        first, second = header.index(source), header.index(target)
        cells = ((line, _cell(row, first), _cell(row, second)) for line, row in limit.take(table))
        nothing = f"{path}: expected rows of pairs after the header, got none"
        yield from pairs_of_cells(path, cells, reading, nothing)


def read_parallel(
    path: Path, target_file: Path, rows: int | RowLimit | None = None, reading: Reading = PLAIN
) -> Iterator[Example]:
    """Yield the pairs of two text files, line by line; a line that is empty in one of them is left out of both.

    Raises:
        DataError: not in that encoding, no line that holds a pair, or different numbers of lines.
    """
    limit = RowLimit.of(rows)
    with raised_as(DataError), reading.open(path) as sources, reading.open(target_file) as targets:
        lines = _side_by_side((path, target_file), zip_longest(sources.lines(), targets.lines()))
        yield from pairs_of_cells(path, limit.take(lines), reading, f"{path} is empty: expected a source per line")


@contextmanager
def _table(path: Path, reading: Reading) -> Iterator[Table]:
    """Yield the rows of a file with a header, the header first, each with the number of its last line.

    Raises:
        DataError: quotes that RFC 4180 doesn't have.
    """
    with reading.open(path) as opened:
        lines = (f"{line}\n" for _, line in opened.lines())
        first = next(lines, "")
        layout: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        if kind_of(path) == ".csv":
            layout = {"delimiter": ";" if first.count(";") > first.count(",") else ","}
        reader = csv.reader(chain([first] if first else [], lines), strict=True, **layout)
        try:
            yield ((reader.line_num, row) for row in reader)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}; quote the cell as RFC 4180 has it") from error


def _header(table: Table) -> list[str]:
    _, names = next(table, (0, []))
    return names


def _cell(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _side_by_side(
    paths: tuple[Path, Path], pairs: Iterable[tuple[tuple[int, str], tuple[int, str]]]
) -> Iterator[tuple[int, str, str]]:
    """Yield line n of one file together with line n of the other: line number, source, target.

    Raises:
        DataError: one has more lines.
    """
    for number, (source, target) in enumerate(pairs, 1):
        if source is None or target is None:
            short, long = paths if source is None else reversed(paths)
            raise DataError(f"{short} has {number - 1} lines, {long} more: line n of one has to belong to line n")
        yield number, source[1], target[1]
