"""Reading pairs from a file: `source<TAB>target`, one pair a line, further columns ignored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from s2s_runtime.errors import raised_as
from s2s_runtime.files.pair_rows import LeftOut, read_pairs
from s2s_training.data.corpus import Example
from s2s_training.data.text_files import PLAIN, Reading, RowLimit
from s2s_training.errors import DataError


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
        for _, source, targets in read_pairs(opened, left_out, rows=limit.left):
            yield Example(source, targets)
    limit.use(left_out.seen)
    reading.warn(path, left_out)
