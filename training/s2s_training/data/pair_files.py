"""Pairs from files: TSV, CSV or TSV with column names, or two parallel text files.

Tabs and line ends inside a text, which a quoted cell may hold, count as a space: `test.tsv`, and every command that
reads a text per line, has no other way to hold them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

from s2s_runtime.errors import raised_as
from s2s_runtime.files.pair_rows import EMPTY, NO_SOURCE, NO_TARGET, LeftOut
from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import Example
from s2s_training.data.text_files import PLAIN, Reading
from s2s_training.data.tsv import read_tsv
from s2s_training.errors import DataError
from s2s_training.stages import Stages, unseen

INNER_BREAK = re.compile(r"[\t\r\n]+")
PACKED = (".gz", ".bz2", ".xz")
Table = Iterator[tuple[int, list[str]]]


def read_pairs(
    config: DataConfig,
    path: Path,
    target_file: Path | None = None,
    rows: int | None = None,
    *,
    stages: Stages = unseen,
) -> list[Example]:
    """Read the pairs of a file, in its order.

    Args:
        config: which columns hold them, for a file with a header; encoding; what becomes of rows without a pair.
        path: the file of pairs, or of sources.
        target_file: the file of targets, line by line; None = `path` holds both.
        rows: only the first so many; None = all.
        stages: is told how far it is.

    Raises:
        DataError: a bad line (with its number), a missing column, no pairs, or files of different length.
    """
    reading = Reading(config.encoding, config.strict, stages)
    if target_file is not None:
        return read_parallel(path, target_file, rows, reading)
    if config.source_column is not None and config.target_column is not None:
        return read_columns(path, config.source_column, config.target_column, rows, reading)
    if _is_csv(path):
        with raised_as(DataError), _table(path, reading) as table:
            header = _header(table)
        raise DataError(
            f"{path}: a CSV file needs source_column and target_column, the names of two of its columns: "
            f"{', '.join(header) or 'it is empty'}"
        )
    return read_tsv(path, rows, reading)


def read_columns(
    path: Path, source: str, target: str, rows: int | None = None, reading: Reading = PLAIN
) -> list[Example]:
    """Read the pairs of a file whose first line names its columns.

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
    left_out = LeftOut(reading.strict)
    with raised_as(DataError), _table(path, reading) as table:
        header = _header(table)
        missing = [name for name in (source, target) if name not in header]
        if missing:
            raise DataError(f"{path}: no column {missing[0]!r}: it has {', '.join(map(repr, header)) or 'none'}")
        first, second = header.index(source), header.index(target)
        cells = ((line, _cell(row, first), _cell(row, second)) for line, row in islice(table, rows))
        examples = list(_examples(path, cells, left_out))
    reading.warn(path, left_out)
    if not examples:
        raise DataError(f"{path}: expected rows of pairs after the header, got none")
    return examples


def read_parallel(path: Path, target_file: Path, rows: int | None = None, reading: Reading = PLAIN) -> list[Example]:
    """Read two text files, line by line; a line that is empty in one of them is left out of both.

    Raises:
        DataError: not in that encoding, no line that holds a pair, or different numbers of lines.
    """
    left_out = LeftOut(reading.strict)
    with raised_as(DataError), reading.open(path) as sources, reading.open(target_file) as targets:
        lines = _side_by_side((path, target_file), zip_longest(sources.lines(), targets.lines()))
        examples = list(_examples(path, islice(lines, rows), left_out))
    reading.warn(path, left_out)
    if not examples:
        raise DataError(f"{path} is empty: expected a source per line")
    return examples


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
        if _is_csv(path):
            layout = {"delimiter": ";" if first.count(";") > first.count(",") else ","}
        reader = csv.reader(chain([first] if first else [], lines), strict=True, **layout)
        try:
            yield ((reader.line_num, row) for row in reader)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}; quote the cell as RFC 4180 has it") from error


def _is_csv(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-1:] == [".csv"] or (suffixes[-2:-1] == [".csv"] and suffixes[-1] in PACKED)


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


def _examples(path: Path, cells: Iterable[tuple[int, str, str]], left_out: LeftOut) -> Iterator[Example]:
    """Yield the pairs among rows of (line number, source, target)."""
    for number, source, target in cells:
        left_out.seen = number
        if source.strip() and target.strip():
            yield Example(_one_line(source), (_one_line(target),))
        else:
            problem = NO_TARGET if source.strip() else NO_SOURCE if target.strip() else EMPTY
            left_out.add(str(path), number, problem)


def _one_line(text: str) -> str:
    r"""Return the text without tabs and line ends at its ends, and with spaces for those inside.

    >>> _one_line("Go on,\r\nTom!\n")
    'Go on, Tom!'
    """
    return INNER_BREAK.sub(" ", text.strip("\t\r\n"))
