"""How long a run of a whole-search graph may take: Python answers signals between runs, not within one."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 0.3
"""Seconds that a run takes at most. Coming back costs about as much as a step, so that is one step in hundreds."""

_FIRST: Final = 48  # steps of the first run, whose cost nobody knows yet: a second where a step takes 20 ms


class Pace:
    """Measures runs and says how many steps the next one may take.

    Safe to share between threads: whoever measures leaves a whole pair.
    """

    def __init__(self) -> None:
        self._measured: tuple[int, float] | None = None

    def steps(self, rows: int) -> int:
        """Return how many steps a run with so many rows may take, at least 1."""
        if self._measured is None:
            return _FIRST
        measured_rows, seconds = self._measured
        return max(1, int(LONGEST / max(seconds * max(1.0, rows / measured_rows), 1e-9)))

    def note(self, rows: int, steps: int, seconds: float) -> None:
        """Take in what a run took."""
        self._measured = max(1, rows), seconds / max(1, steps)
