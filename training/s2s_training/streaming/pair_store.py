"""Pairs of numbers in two files: written one after another, read in chunks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Sizes = NDArray[np.int64]

_SIDES: Final = 2
_WRITTEN: Final = 1 << 20  # numbers that wait in memory until they are written
_INTEGER: Final = np.dtype(np.int32)


@dataclass(frozen=True)
class PairRows:
    """Rows of ids of both sides, one behind the other in flat arrays.

    Attributes:
        ids: (sum of lengths) int32; of each row the source's ids, then the target's.
        lengths: (rows, 2) int64: ids of the source and of the target.
    """

    ids: Ids
    lengths: Sizes

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, rows: Sizes) -> PairRows:
        """Return some of the rows, in that order."""
        sizes = self.lengths.sum(axis=1)
        return PairRows(self.ids[spans(self.starts()[rows], sizes[rows])], self.lengths[rows])

    def starts(self) -> Sizes:
        """Return where each row begins in `ids`: (rows,) int64."""
        sizes = self.lengths.sum(axis=1)
        return np.cumsum(sizes) - sizes


def joined(parts: Sequence[PairRows]) -> PairRows:
    """Return the rows of all parts, one part behind the other."""
    return PairRows(np.concatenate([part.ids for part in parts]), np.concatenate([part.lengths for part in parts]))


def spans(starts: Sizes, sizes: Sizes) -> Sizes:
    """Return the indices start, start + 1, ... of so many places each, one span behind the other.

    >>> spans(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    before = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes)


class PairWriter:
    """Writes pairs of ids into a folder, what `PairStore` reads; a context, at whose end all is written.

    Args:
        path: of the two files, without their endings.
    """

    def __init__(self, path: Path) -> None:
        self._ids, self._lengths = array("i"), array("i")
        ids, lengths = _files(path)
        self._files = (ids.open("wb"), lengths.open("wb"))

    def add(self, source: Iterable[int], target: Iterable[int]) -> None:
        """Write a pair behind the others."""
        for side in (source, target):
            before = len(self._ids)
            self._ids.extend(side)
            self._lengths.append(len(self._ids) - before)
        if len(self._ids) >= _WRITTEN:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        for file in self._files:
            file.close()

    def _flush(self) -> None:
        for file, waiting in zip(self._files, (self._ids, self._lengths), strict=True):
            waiting.tofile(file)
            del waiting[:]


class PairStore:
    """The pairs that a `PairWriter` wrote, of which chunks are read.

    Args:
        path: of the two files, without their endings.
        chunk_size: pairs in a chunk; the last has fewer.

    Attributes:
        rows: how many pairs there are.
        chunks: how many chunks.
    """

    def __init__(self, path: Path, chunk_size: int) -> None:
        self._ids, self._lengths = _files(path)
        self._chunk_size = chunk_size
        self.rows = self._lengths.stat().st_size // (_SIDES * _INTEGER.itemsize)
        self.chunks = -(-self.rows // chunk_size)
        sizes = [int(self.lengths(chunk).sum()) for chunk in range(self.chunks)]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def lengths(self, chunk: int) -> Sizes:
        """Return the lengths (pairs, 2) of a chunk's pairs, int64."""
        flat = self._read(self._lengths, chunk * self._chunk_size * _SIDES, self._chunk_size * _SIDES)
        return flat.reshape(-1, _SIDES).astype(np.int64)

    def chunk(self, number: int) -> PairRows:
        """Return the pairs of a chunk."""
        start, end = self._starts[number : number + 2]
        return PairRows(self._read(self._ids, int(start), int(end - start)), self.lengths(number))

    @staticmethod
    def _read(path: Path, start: int, count: int) -> Any:
        return np.fromfile(path, _INTEGER, count, offset=start * _INTEGER.itemsize)


def _files(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".ids"), path.with_suffix(".lengths")
