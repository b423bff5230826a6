"""The ids of a text in files, mapped into memory where they are read: a text may be larger than memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from s2s_training.data.corpus import PARTS, Part

Ids = NDArray[np.uint16] | NDArray[np.uint32]
Starts = NDArray[np.int64]
_MOST_BLOCKS: Final = 1 << 20  # of lines, each of which has a place of its own in the order of an epoch
_LARGEST_SHORT: Final = 1 << 16


@dataclass(frozen=True)
class IdFile:
    """The ids of one part of a text.

    Attributes:
        ids: (symbols,), mapped from the file.
        starts: int64 (blocks,), where each block of whole lines begins; the first is 0.
    """

    ids: Ids
    starts: Starts


def write_ids(
    folder: Path, lines: Iterable[tuple[Part, list[int]]], symbols: int, counts: Mapping[Part, int]
) -> dict[Part, IdFile]:
    """Write the ids of all parts, and return those that hold some.

    Args:
        folder: gets a file for each part, `PART.ids`.
        lines: the ids of each line, with its part.
        symbols: how many there are.
        counts: lines of each part, at least.
    """
    code = "H" if symbols <= _LARGEST_SHORT else "I"
    with ExitStack() as stack:
        files = {part: stack.enter_context(id_file(folder, part).open("wb")) for part in PARTS}
        writers = {part: _Writer(file, code, counts[part]) for part, file in files.items()}
        for part, ids in lines:
            writers[part].add(ids)
        for writer in writers.values():
            writer.flush()
    mapped = {}
    for part, writer in writers.items():
        if writer.count:
            ids = np.memmap(id_file(folder, part), np.dtype(code), "r")
            mapped[part] = IdFile(ids, np.frombuffer(writer.starts, np.int64))
    return mapped


def id_file(folder: Path, part: Part) -> Path:
    """Return the path of the file of a part."""
    return folder / f"{part}.ids"


class _Writer:
    def __init__(self, file: IO[bytes], code: str, lines: int) -> None:
        self._file, self._code = file, code
        self._lines_per_block = -(-lines // _MOST_BLOCKS) or 1
        self._lines = 0
        self._waiting = array(code)
        self.starts = array("q")
        self.count = 0

    def add(self, ids: list[int]) -> None:
        if self._lines % self._lines_per_block == 0:
            self.starts.append(self.count)
        self._lines += 1
        self.count += len(ids)
        self._waiting.extend(ids)
        if len(self._waiting) >= _LARGEST_SHORT:
            self.flush()

    def flush(self) -> None:
        self._waiting.tofile(self._file)
        self._waiting = array(self._code)


@dataclass(frozen=True)
class Windows:
    """Windows of a text: rows of a batch read stretches of it side by side, window after window.

    Args:
        file: the ids.
        rows: of a batch.
        used: how many of them at most read something.
        length: symbols of a window.
        unpredicted: id that is never predicted, as it only begins a line; None where every id is.
        whole_lines: whether rows begin with a line, so that each of them is predicted from all that it has.
    """

    file: IdFile
    rows: int
    used: int
    length: int
    unpredicted: int | None
    whole_lines: bool

    @property
    def steps(self) -> int:
        """The number of batches."""
        return max(1, *(-(-(stop - start - 1) // self.length) for start, stop in self._stretches()))

    def batches(self, order: NDArray[np.int64] | None = None) -> Iterator[tuple[NDArray[np.int32], ...]]:
        """Yield `(inputs, labels, weights, carried)` of each window.

        Inputs and labels are int32 (rows, length), labels one step later; weights float32 (rows, length), 0 at what is
        not predicted; carried float32 (rows, 1), 0 where rows begin anew.

        Args:
            order: of the blocks; None = as they stand.
        """
        text = _Ordered(self.file, order)
        stretches = self._stretches()
        for step in range(self.steps):
            read = np.zeros((self.rows, self.length + 1), np.int32)
            counts = np.zeros((self.rows, self.length), np.float32)
            for row, (start, stop) in enumerate(stretches):
                begin = start + step * self.length
                ids = text.read(begin, min(begin + self.length + 1, stop))
                read[row, : len(ids)] = ids
                counts[row, : max(0, len(ids) - 1)] = 1
            labels = read[:, 1:]
            if self.unpredicted is not None:
                counts *= labels != self.unpredicted
            yield read[:, :-1], labels, counts, np.full((self.rows, 1), float(step > 0), np.float32)

    def _stretches(self) -> list[tuple[int, int]]:
        """Return where each row begins and ends; rows behind them stay empty.

        The last symbol of a row is predicted, and begins the next: that which a line begins with is not.
        """
        total = len(self.file.ids)
        cuts = np.linspace(0, total, self.used + 1).astype(np.int64)
        if self.whole_lines:
            starts = np.append(self.file.starts, total)
            cuts = np.unique(starts[np.searchsorted(starts, cuts)])
        overlap = 0 if self.whole_lines else 1
        pairs = [(int(one), min(int(other) + overlap, total)) for one, other in pairwise(cuts)]
        return [(start, stop) for start, stop in pairs if stop > start]


class _Ordered:
    """A text whose blocks stand in another order, read by positions."""

    def __init__(self, file: IdFile, order: NDArray[np.int64] | None) -> None:
        stops = np.append(file.starts[1:], len(file.ids))
        order = np.arange(len(file.starts)) if order is None else order
        self._ids = file.ids
        self._starts, sizes = file.starts[order], (stops - file.starts)[order]
        self._behind = np.cumsum(sizes)

    def read(self, begin: int, stop: int) -> NDArray[np.int32]:
        """Return the ids from one position to another."""
        pieces = [np.zeros(0, self._ids.dtype)]
        block = int(np.searchsorted(self._behind, begin, side="right"))
        while begin < stop:
            size = self._behind[block] - (self._behind[block - 1] if block else 0)
            at = int(self._starts[block] + begin - (self._behind[block] - size))
            taken = min(int(self._behind[block]), stop) - begin
            pieces.append(self._ids[at : at + taken])
            begin, block = begin + taken, block + 1
        return np.concatenate(pieces).astype(np.int32)
