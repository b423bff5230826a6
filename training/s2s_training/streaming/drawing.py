"""Batches of pairs that lie on the disk, drawn from as many of them as memory is to hold.

Chunks of neighbours are dealt out to blocks anew in every epoch; the pairs of a block are drawn as `BucketedPairs`
draws from all, so that with a single block the batches are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.vocabulary.vocabulary_file import Vocabulary
from s2s_training.data.arrays import Ids, bucket_limits
from s2s_training.streaming.pair_store import PairRows, PairStore, Sizes, joined, spans
from s2s_training.streaming.symbol_table import counted

Keep = Callable[[Sizes], NDArray[np.bool_]]
"""Which pairs, by their lengths (pairs, 2), are drawn at all."""


def count_lengths(store: PairStore, keep: Keep) -> Sizes:
    """Return how many pairs have 0, 1, 2, ... symbols of both sides together, those that are kept: int64."""
    counts = np.zeros(1, np.int64)
    for chunk in range(store.chunks):
        lengths = store.lengths(chunk)
        counts = counted(counts, lengths[keep(lengths)].sum(axis=1))
    return counts


@dataclass(frozen=True)
class Side:
    """How the numbers of one side become padded ids.

    Attributes:
        ids: the id of each number, (numbers,) int32; with factors (numbers, 1 + factors).
        start: id before each row, or None.
        end: id behind it, or None.
        padding: id that fills rows.
        length: of all rows; None = that of the longest of a batch.
        on_left: whether rows are filled on the left.
        reverse: whether the order of symbols is reversed.
    """

    ids: Ids
    start: int | None
    end: int | None
    padding: int
    length: int | None
    on_left: bool
    reverse: bool

    @classmethod
    def of(cls, vocabulary: Vocabulary, ids: Ids, padding: int, length: int | None, *, on_left: bool = False) -> Side:
        """Return how a side becomes ids of its vocabulary."""
        named = (vocabulary.start_id, vocabulary.end_id)
        return cls(ids, *named, padding=padding, length=length, on_left=on_left, reverse=vocabulary.reverse)

    def padded(self, numbers: Ids, starts: Sizes, sizes: Sizes) -> Ids:
        """Return rows of numbers, each so many of them from its start on, as ids (rows, time); see also `Side.ids`."""
        before, behind = int(self.start is not None), int(self.end is not None)
        width = self.length if self.length is not None else int(sizes.max(initial=0)) + before + behind
        first = (width - sizes - behind if self.on_left else np.full(len(sizes), before))[:, None]
        array = np.full((len(sizes), width, *self.ids.shape[1:]), self.padding, np.int32)
        places = np.arange(width)
        array[(places >= first) & (places < first + sizes[:, None])] = self.ids[numbers[self._order(starts, sizes)]]
        rows = np.arange(len(sizes))
        if self.start is not None:
            array[rows, first[:, 0] - 1] = self.start
        if self.end is not None:
            array[rows, first[:, 0] + sizes] = self.end
        return array

    def _order(self, starts: Sizes, sizes: Sizes) -> Sizes:
        order = spans(starts, sizes)
        return np.repeat(2 * starts + sizes - 1, sizes) - order if self.reverse else order


class StreamedPairs:
    """The pairs of a store, from which batches are drawn; see `BucketedPairs`.

    Args:
        store: of numbered pairs.
        keep: which of them are drawn.
        sides: how the numbers of sources, and of targets, become ids.
        buckets: how many buckets at most.
        batch_size: rows in a batch; the last of a bucket may have fewer.
        block_size: pairs in memory, about.

    Attributes:
        pairs: how many are drawn in an epoch.
        blocks: in how many blocks.
    """

    def __init__(
        self,
        store: PairStore,
        keep: Keep,
        sides: tuple[Side, Side],
        *,
        buckets: int,
        batch_size: int,
        block_size: int,
    ) -> None:
        self._store, self._keep, self._sides = store, keep, sides
        self._batch_size = batch_size
        self._wraps = sum(part is not None for side in sides for part in (side.start, side.end))
        counts = count_lengths(store, keep)
        distinct = np.flatnonzero(counts)
        self.pairs = int(counts.sum())
        self._limits = bucket_limits(distinct + self._wraps, counts[distinct], buckets) - self._wraps
        self._limits[0] = -1  # what has no symbols too
        self._sizes = [int(counts[low + 1 : high + 1].sum()) for low, high in pairwise(self._limits)]
        self.blocks = -(-self.pairs // block_size)

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""
        return sum(-(-size // self._batch_size) for size in self._sizes)

    def batches(self, generator: np.random.Generator | None = None) -> Iterator[tuple[Ids, Ids]]:
        """Yield the batches of one epoch as `(source (batch, time), target (batch, time))`, int32.

        Args:
            generator: deals chunks out to blocks, shuffles rows within a block's buckets, and its batches; None = the
                order given.
        """
        waiting = [np.zeros(0, np.int64)] * len(self._sizes)  # of each bucket, rows that filled no batch
        rows: PairRows | None = None
        blocks = self._dealt(generator)
        for number, chunks in enumerate(blocks):
            carried = [] if rows is None else [rows.select(np.concatenate(waiting))]
            places = np.split(np.arange(sum(map(len, waiting))), np.cumsum([len(part) for part in waiting])[:-1])
            rows = joined([*carried, *(self._kept(chunk) for chunk in chunks)])
            plan, waiting = self._plan(rows, places, generator, last=number == len(blocks) - 1)
            order = range(len(plan)) if generator is None else generator.permutation(len(plan))
            starts = rows.starts()
            for i in order:
                yield self._batch(rows, starts, plan[i])

    def _dealt(self, generator: np.random.Generator | None) -> list[Sizes]:
        """Return the numbers of the chunks in each block, in their order on the disk."""
        chunks = np.arange(self._store.chunks)
        if generator is not None:
            chunks = generator.spawn(1)[0].permutation(chunks)  # what `generator` draws stays as it is in memory
        return [np.sort(block) for block in np.array_split(chunks, max(1, min(self.blocks, len(chunks))))]

    def _kept(self, chunk: int) -> PairRows:
        rows = self._store.chunk(chunk)
        keep = self._keep(rows.lengths)
        return rows if keep.all() else rows.select(np.flatnonzero(keep))

    def _plan(
        self, rows: PairRows, waiting: Sequence[Sizes], generator: np.random.Generator | None, *, last: bool
    ) -> tuple[list[Sizes], list[Sizes]]:
        """Return the rows of each batch, and for each bucket the rows that wait for the next block."""
        total = rows.lengths.sum(axis=1)
        carried = sum(map(len, waiting))
        plan, left = [], []
        for (low, high), before in zip(pairwise(self._limits), waiting, strict=True):
            own = carried + np.flatnonzero((total[carried:] > low) & (total[carried:] <= high))
            members = np.concatenate([before, own if generator is None else generator.permutation(own)])
            whole = len(members) if last else len(members) - len(members) % self._batch_size
            plan += [members[start : start + self._batch_size] for start in range(0, whole, self._batch_size)]
            left.append(members[whole:])
        return plan, left

    def _batch(self, rows: PairRows, starts: Sizes, members: Sizes) -> tuple[Ids, Ids]:
        source_sizes, target_sizes = rows.lengths[members].T
        begin = starts[members]
        source, target = self._sides
        return (
            source.padded(rows.ids, begin, source_sizes),
            target.padded(rows.ids, begin + source_sizes, target_sizes),
        )
