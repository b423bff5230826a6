"""Rows of different batches put together: states one behind the other, memory made equally long where it may be.

Memory that has a step for each of the source's can be padded, or cut where only padding is left, if the decoder knows
by a mask what padding is. That is so where the model masks its padding, reads one source, and the mask itself, bool
(rows, time), is part of the memory. In other models only batches whose memory has the same length go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest


class Memory(NamedTuple):
    """Memory of some rows; `time` is the length of their padded source."""

    arrays: Sequence[NDArray[Any]]
    time: int


class MemoryJoiner:
    """Puts memory together.

    Args:
        manifest: says what the memory is.

    Attributes:
        joins_any: whether sources of all lengths go together.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._has_time = [len(spec.shape) > 1 and spec.shape[1] is None for spec in manifest.memory]
        masks = [spec for spec in manifest.memory if spec.dtype == "bool" and len(spec.shape) == 2]
        self._is_masked = manifest.padding.masked and not manifest.source.others and len(masks) > 0
        is_fixed = manifest.padding.length is not None and not manifest.source.others
        self.joins_any = not any(self._has_time) or self._is_masked or is_fixed

    def __call__(self, first: Memory, second: Memory, time: int) -> list[NDArray[Any]] | None:
        """The rows of the first, then those of the second.

        Args:
            first: as many arrays as the manifest names.
            second: likewise.
            time: length that fits the sources of both.

        Returns:
            None where the arrays don't fit together.
        """
        if self._is_masked and all(self._follows_source(memory) for memory in (first, second)):
            first, second = (Memory(self._resized(memory.arrays, time), time) for memory in (first, second))
        pairs = list(zip(first.arrays, second.arrays, strict=True))
        if any(one.shape[1:] != other.shape[1:] for one, other in pairs):
            return None
        return [np.concatenate(pair) for pair in pairs]

    def _follows_source(self, memory: Memory) -> bool:
        arrays = zip(memory.arrays, self._has_time, strict=True)
        return all(array.shape[1] == memory.time for array, has_time in arrays if has_time)

    def _resized(self, arrays: Sequence[NDArray[Any]], time: int) -> list[NDArray[Any]]:
        pairs = zip(arrays, self._has_time, strict=True)
        return [_resized(array, time) if has_time else array for array, has_time in pairs]


def _resized(array: NDArray[Any], time: int) -> NDArray[Any]:
    """An array (rows, any time, ...) made (rows, time, ...), with zeros, or False, on the right."""
    missing = time - array.shape[1]
    if missing <= 0:
        return array[:, :time]
    return np.concatenate([array, np.zeros((len(array), missing, *array.shape[2:]), array.dtype)], axis=1)
