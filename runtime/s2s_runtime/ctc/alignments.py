"""All alignments of given symbols to frames: the sum of their probabilities, and the likeliest (Graves et al. 2006).

The symbols of a source are laid out with a blank before, between and behind them. Of two neighbouring frames the later
one stands at the same place of this layout, at the next, or two on where that skips a blank between different symbols.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints
from s2s_runtime.ctc.frames import Frames, Logs


def log_probabilities(frames: Frames, targets: Sequence[Sequence[int]]) -> Logs:
    """Return the log-probability of each target, float64 (sources,): the sum over all its alignments.

    Args:
        frames: of the sources.
        targets: the symbols of each; one that is too long for its frames has the log-probability -inf.
    """
    layout = _Layout(frames, targets)
    reached = layout.first()
    ended = np.where(frames.lengths == 1, layout.ends(reached), -np.inf)
    for frame in range(1, frames.logs.shape[1]):
        with np.errstate(invalid="ignore"):
            reached = np.logaddexp.reduce(layout.before(reached)) + layout.emitted(frame)
        ended = np.where(frames.lengths == frame + 1, layout.ends(reached), ended)
    return ended


def best_frames(frames: Frames, targets: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """Return for each symbol of each target the frames that it takes in the likeliest alignment.

    Args:
        frames: of the sources.
        targets: the symbols of each, each possible in its frames.

    Returns:
        For each symbol its first frame and the frame behind its last.
    """
    layout = _Layout(frames, targets)
    reached, steps = layout.first(), np.zeros((*frames.logs.shape[:2], layout.places), np.int8)
    last = reached.copy()
    for frame in range(1, frames.logs.shape[1]):
        ways = layout.before(reached)
        steps[:, frame] = ways.argmax(axis=0)
        reached = ways.max(axis=0) + layout.emitted(frame)
        last = np.where((frames.lengths == frame + 1)[:, None], reached, last)
    return [_spans(last[row], steps[row], int(frames.lengths[row]), len(target)) for row, target in enumerate(targets)]


def _spans(last: Logs, steps: NDArray[np.int8], length: int, symbols: int) -> list[tuple[int, int]]:
    """Follow the likeliest alignment of one source back from its last frame."""
    if not symbols:
        return []
    place = 2 * symbols if last[2 * symbols] >= last[2 * symbols - 1] else 2 * symbols - 1
    first, behind = [0] * symbols, [0] * symbols
    for frame in range(length - 1, -1, -1):
        if place % 2:
            symbol = place // 2
            first[symbol], behind[symbol] = frame, behind[symbol] or frame + 1
        place -= int(steps[frame, place])
    return list(zip(first, behind, strict=True))


class _Layout:
    """Targets with blanks before, between and behind their symbols: place 2i + 1 is symbol i, the others are blanks."""

    def __init__(self, frames: Frames, targets: Sequence[Sequence[int]]) -> None:
        self.symbols = np.array([len(target) for target in targets], np.int64)
        self.places = 2 * int(self.symbols.max(initial=0)) + 1
        self.classes: Ints = np.full((len(targets), self.places), frames.blank, np.int64)
        for row, target in enumerate(targets):
            self.classes[row, 1 : 2 * len(target) : 2] = target
        self.logs = frames.logs
        self.skips = np.zeros(self.classes.shape, np.bool_)
        self.skips[:, 3::2] = self.classes[:, 3::2] != self.classes[:, 1:-2:2]

    def emitted(self, frame: int) -> Logs:
        """Return the log-probability of what stands at each place in one frame, (sources, places)."""
        emitted: Logs = np.take_along_axis(self.logs[:, frame], self.classes, axis=1)
        return emitted

    def first(self) -> Logs:
        """Return the log-probability of standing at each place in the first frame."""
        reached = np.full(self.classes.shape, -np.inf)
        reached[:, :2] = self.emitted(0)[:, :2]
        return reached

    def before(self, reached: Logs) -> Logs:
        """Return the ways to each place from the frame before, (3, sources, places): stay, go on, skip a blank."""
        ways = np.full((3, *reached.shape), -np.inf)
        ways[0], ways[1, :, 1:] = reached, reached[:, :-1]
        ways[2, :, 2:] = np.where(self.skips[:, 2:], reached[:, :-2], -np.inf)
        return ways

    def ends(self, reached: Logs) -> Logs:
        """Return the log-probability of ending at the last symbol or the blank behind it."""
        rows, last = np.arange(len(reached)), 2 * self.symbols
        before = np.where(self.symbols > 0, reached[rows, last - (self.symbols > 0)], -np.inf)
        with np.errstate(invalid="ignore"):
            ended: Logs = np.logaddexp(reached[rows, last], before)
        return ended
