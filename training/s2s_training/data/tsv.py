"""Reading pairs from a file: `source<TAB>target`, one pair a line, UTF-8, further columns ignored."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from s2s_training.data.corpus import Example
from s2s_training.errors import DataError

COLUMNS = 2


def read_tsv(path: Path, rows: int | None = None) -> list[Example]:
    r"""Read the pairs of a file, in its order.

    Args:
        path: the file. Lines end with "\n" or "\r\n"; a byte order mark is skipped.
        rows: only the first so many; None = all.

    Raises:
        DataError: a line isn't UTF-8, has no tab or an empty column (with its number), or there are no lines at all.
    """
    with path.open("rb") as lines:
        examples = [_pair(path, number, line) for number, line in enumerate(islice(lines, rows), start=1)]
    if not examples:
        raise DataError(f"{path} is empty: expected lines of source<TAB>target")
    return examples


def _pair(path: Path, number: int, line: bytes) -> Example:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8") from error
    columns = text.split("\t")
    if len(columns) < COLUMNS:
        raise DataError(f"{path}, line {number}: expected source<TAB>target, got no tab in {text[:60]!r}")
    source, target = columns[:COLUMNS]
    if not source.strip() or not target.strip():
        side = "target" if source.strip() else "source"
        raise DataError(f"{path}, line {number}: the {side} is empty; remove the line or fill it in")
    return Example(source, (target,))
