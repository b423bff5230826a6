"""What a CTC model gives: for each frame of a source a distribution over symbols and the blank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints

Logs = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frames:
    """Log-probabilities of several sources, padded to one length.

    An alignment names a symbol or the blank for each frame. What it says is read by taking runs of the same symbol for
    one, then leaving out the blanks; so the same symbol twice has a blank between.

    Args:
        logs: float64 (sources, frames, classes), the blank being one of the classes.
        lengths: int64 (sources,), how many frames of each count; those behind are padding.
        blank: which class is the blank.
    """

    logs: Logs
    lengths: Ints
    blank: int

    def __len__(self) -> int:
        return len(self.logs)

    def of(self, rows: Ints) -> Frames:
        """Return the sources of these rows, int64 (rows,); a row may be repeated."""
        return Frames(self.logs[rows], self.lengths[rows], self.blank)


def best_path(frames: Frames) -> list[list[int]]:
    """Return what the likeliest alignment of each source says.

    It is found frame by frame. What it says is not always the likeliest sequence of symbols: that one's probability is
    the sum of those of all its alignments.
    """
    classes = frames.logs.argmax(axis=2)
    new = np.ones(classes.shape, np.bool_)
    new[:, 1:] = classes[:, 1:] != classes[:, :-1]
    new &= classes != frames.blank
    new &= np.arange(classes.shape[1]) < frames.lengths[:, None]
    return [row[kept].tolist() for row, kept in zip(classes, new, strict=True)]
