"""Pairs from files: TSV, CSV or TSV with column names, or two parallel text files.

Tabs and line ends inside a text, which a quoted cell may hold, count as a space: `test.tsv`, and every command that
reads a text per line, has no other way to hold them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path

from s2s_training.config.training import DataConfig
from s2s_training.data.corpus import Example
from s2s_training.data.tsv import read_tsv
from s2s_training.errors import DataError

INNER_BREAK = re.compile(r"[\t\r\n]+")


def read_pairs(
    config: DataConfig, path: Path, target_file: Path | None = None, rows: int | None = None
) -> list[Example]:
    """Read the pairs of a file, in its order.

    Args:
        config: which columns hold them, for a file with a header.
        path: the file of pairs, or of sources.
        target_file: the file of targets, line by line; None = `path` holds both.
        rows: only the first so many; None = all.

    Raises:
        DataError: a bad line (with its number), a missing column, no pairs, or files of different length.
    """
    if target_file is not None:
        return read_parallel(path, target_file, rows)
    if config.source_column is not None and config.target_column is not None:
        return read_columns(path, config.source_column, config.target_column, rows)
    if path.suffix.lower() == ".csv":
        header = _header(_table(path))
        raise DataError(
            f"{path}: a CSV file needs source_column and target_column, the names of two of its columns: "
            f"{', '.join(header) or 'it is empty'}"
        )
    return read_tsv(path, rows)


def read_columns(path: Path, source: str, target: str, rows: int | None = None) -> list[Example]:
    """Read the pairs of a file whose first line names its columns.

    Args:
        path: separated by commas and quoted as RFC 4180 has it where it ends in .csv; else by tabs, without quotes.
        source: name of the column of sources.
        target: name of the column of targets.
        rows: only the first so many; None = all.

    Raises:
        DataError: not UTF-8, no such column, an empty or missing cell (with its line), or no pairs.
    """
    table = _table(path)
    header = _header(table)
    missing = [name for name in (source, target) if name not in header]
    if missing:
        raise DataError(f"{path}: no column {missing[0]!r}: it has {', '.join(map(repr, header)) or 'none'}")
    places = header.index(source), header.index(target)
    examples = [_example(path, line, row, places) for line, row in islice(table, rows)]
    if not examples:
        raise DataError(f"{path}: expected rows of pairs after the header, got none")
    return examples


def read_parallel(path: Path, target_file: Path, rows: int | None = None) -> list[Example]:
    r"""Read two text files, line by line; lines end with "\n" or "\r\n".

    Raises:
        DataError: not UTF-8, an empty line in one of them (with its number), no lines, or different numbers of lines.
    """
    examples = []
    pairs = zip_longest(_lines(path), _lines(target_file))
    for number, (source, target) in enumerate(islice(pairs, rows), start=1):
        if source is None or target is None:
            short, long = (path, target_file) if source is None else (target_file, path)
            raise DataError(f"{short} has {number - 1} lines, {long} more: line n of one has to belong to line n")
        for file, line in ((path, source), (target_file, target)):
            if not line.strip():
                raise DataError(f"{file}, line {number}: empty; remove the line from both files or fill it in")
        examples.append(Example(_one_line(source), (_one_line(target),)))
    if not examples:
        raise DataError(f"{path} is empty: expected a source per line")
    return examples


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file with a header, the header first, each with the number of its last line.

    Raises:
        DataError: quotes that RFC 4180 doesn't have.
    """
    quoted = path.suffix.lower() == ".csv"
    layout = {"delimiter": ","} if quoted else {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True, **layout)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; quote the cell as RFC 4180 has it") from error


def _header(table: Iterator[tuple[int, list[str]]]) -> list[str]:
    _, names = next(table, (0, []))
    return names


def _one_line(text: str) -> str:
    r"""The text without tabs and line ends.

    >>> _one_line("Go on,\r\nTom!\n")
    'Go on, Tom!'
    """
    return INNER_BREAK.sub(" ", text.strip("\t\r\n"))


def _example(path: Path, line: int, row: list[str], places: tuple[int, int]) -> Example:
    cells = [row[place] if place < len(row) else "" for place in places]
    for side, cell in zip(("source", "target"), cells, strict=True):
        if not cell.strip():
            raise DataError(f"{path}, line {line}: the {side} is empty; remove the row or fill it in")
    return Example(_one_line(cells[0]), (_one_line(cells[1]),))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8") from error


def _lines(path: Path) -> Iterator[str]:
    # split, not splitlines: other line separators of Unicode are characters of the texts
    lines = _text(path).split("\n")
    return (line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1]))
