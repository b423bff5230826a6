"""Sources that are decoded together, padded to one length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints


@dataclass(slots=True, eq=False)
class Batch:
    """Sources that are decoded together.

    Args:
        source: int64 (sentences, time) or float32 (sentences, time, features), padded.
        columns: bool (sentences, time), False at padding.
        limits: int64 (sentences,), longest target of each in tokens, at least 1.
        prefix: int64 (sentences, steps), forced tokens, -1 after the last of each sentence; None where there are none.
        indices: int64 (sentences,), index of each in the caller's inputs.
        others: what the encoder reads beside `source`, padded, sentences first.
    """

    source: NDArray[np.generic]
    columns: NDArray[np.bool_]
    limits: Ints
    prefix: Ints | None
    indices: Ints
    others: tuple[NDArray[np.generic], ...] = ()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def time(self) -> int:
        """Length of the padded source in steps."""
        time: int = self.columns.shape[1]
        return time

    def cut(self, first: int, last: int) -> Batch:
        """Return the sentences from index `first` to before index `last`."""
        return self if last - first == len(self) else self.take(slice(first, last), trim=False)

    def take(self, rows: NDArray[np.intp] | slice, *, trim: bool) -> Batch:
        """Return some of the sentences; with `trim` without the padding on the right that none of them needs."""
        time = int(np.flatnonzero(self.columns[rows].any(axis=0)).max()) + 1 if trim else self.time
        return Batch(
            source=self.source[rows][:, :time],
            columns=self.columns[rows][:, :time],
            limits=self.limits[rows],
            prefix=None if self.prefix is None else self.prefix[rows],
            indices=self.indices[rows],
            others=tuple(other[rows] for other in self.others),
        )

    def forced(self, sentences: Ints, step: int) -> Ints | None:
        """Return the token that each prefix forces at a step, -1 where it forces none; None where no sentence has one.

        Args:
            sentences: int64 (rows,), index of the sentence of each row.
            step: counted from 0.

        Returns:
            int64 (rows,).
        """
        if self.prefix is None or step >= self.prefix.shape[1]:
            return None
        forced: Ints = self.prefix[sentences, step]
        return forced
