"""Held-out texts on the disk: each source once with all its targets, as `Corpus.merged` has them in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Final, Self

from s2s_training.data.corpus import Example, hash_share

_WAITING: Final = 10_000  # rows in memory
_TABLE: Final = (
    "CREATE TABLE pairs (part TEXT, share REAL, key TEXT, number INTEGER PRIMARY KEY, source TEXT, target TEXT, "
    "source_length INTEGER, target_length INTEGER)"
)


class HeldOut:
    """The texts of the validation and test parts; a context, at whose end the file is closed.

    Args:
        path: of the database, which is made anew where `new` is set.
        new: whether it is to be written.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        if new:
            path.unlink(missing_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._waiting: list[tuple[object, ...]] = []
        if new:
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute(_TABLE)

    def add(self, part: str, key: str, example: Example, lengths: tuple[int, int]) -> None:
        """Write a pair of a part, whose source has this key and whose texts have so many symbols."""
        share = hash_share(key, salt="order")
        self._waiting.append((part, share, key, example.source, example.targets[0], *lengths))
        if len(self._waiting) >= _WAITING:
            self._flush()

    def finish(self) -> None:
        """Write what waits, and make it fast to read."""
        self._flush()
        self._connection.execute("CREATE INDEX by_share ON pairs (part, share, key, number)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def merged(self, part: str, bounds: tuple[float, float], most: int | None = None) -> Iterator[Example]:
        """Yield each source of a part once with all its targets, those of pairs within the lengths given."""
        rows = self._connection.execute(
            "SELECT key, source, target FROM pairs WHERE part = ? AND source_length <= ? AND target_length <= ? "
            "ORDER BY share, key, number",
            (part, *bounds),
        )
        for _, group in islice(groupby(rows, key=lambda row: row[0]), most):
            pairs = [(source, target) for _, source, target in group]
            yield Example(pairs[0][0], tuple(dict.fromkeys(target for _, target in pairs)))

    def _flush(self) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT INTO pairs (part, share, key, source, target, source_length, target_length) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._waiting,
        )
        self._connection.execute("COMMIT")
        self._waiting = []
