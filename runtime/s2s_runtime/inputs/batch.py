"""Sources that are decoded together, padded to one length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """Sources that are decoded together.

    Args:
        source: int64 (sentences, time) or float32 (sentences, time, features), padded.
        columns: bool (sentences, time), False at padding.
        limits: (sentences,) longest target of each, at least 1.
        prefix: (sentences, steps) forced tokens, -1 after each sentence's last; None where there are none.
        indices: (sentences,) place of each in the caller's inputs.
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
        """Length of the padded source."""
        time: int = self.columns.shape[1]
        return time

    def cut(self, first: int, last: int) -> Batch:
        """The sentences from one place to before another."""
        if last - first == len(self):
            return self
        place = slice(first, last)
        return Batch(
            source=self.source[place],
            columns=self.columns[place],
            limits=self.limits[place],
            prefix=None if self.prefix is None else self.prefix[place],
            indices=self.indices[place],
            others=tuple(other[place] for other in self.others),
        )

    def forced(self, sentences: Ints, step: int) -> Ints | None:
        """The token that each sentence's prefix forces at a step, -1 where none; None where none has any."""
        if self.prefix is None or step >= self.prefix.shape[1]:
            return None
        forced: Ints = self.prefix[sentences, step]
        return forced
