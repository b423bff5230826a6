"""How far rounding alone moves what a model gives: what the model itself says of it.

A sum in another order, an exponential of another library: each rounds otherwise in its last place, as if the weights
before it were others in theirs. So the model is run again with every weight moved by one unit in its last place, up or
down: how far its own outputs move is how far two right programs for it can differ. Most models move by 1e-6; where a
normalisation divides nearly equal numbers by how little they differ, every layer multiplies that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final

import keras
import numpy as np

ATOL: Final = 1e-4
"""Difference allowed of any model, measured or not."""

MOST: Final = 1e-3
"""Difference never exceeded, however far a model moves: there it can no longer be told from a fault."""

NEAR_TIE: Final = 1e-4
"""Two candidates that stand nearer than this are told apart by rounding."""

_TIMES: Final = 3.0  # so many times as far as seen in `_TRIES` tries, which are few
_TRIES: Final = 4


def largest(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest absolute difference; infinite where shapes differ or a number is not finite."""
    if one.shape != other.shape:
        return float("inf")
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return float(difference.max(initial=0.0)) if np.isfinite(difference).all() else float("inf")


class Rounding:
    """What is allowed of differences from some outputs of a model; it is measured where something differs by more."""

    def __init__(self, model: keras.Model, atol: float | None, outputs: Callable[[], Sequence[np.ndarray]]) -> None:
        """Measure nothing yet.

        Args:
            model: the model, whose weights are moved and put back.
            atol: largest difference allowed, where somebody says it: then nothing is measured.
            outputs: runs the model on what is compared; returns an array for each difference.
        """
        self._model, self._outputs, self._measures = model, outputs, atol is None
        self.atol = ATOL if atol is None else atol

    def allowed(self, differences: Sequence[float]) -> list[float]:
        """Return how large each difference may be, given what they are."""
        if not self._measures or max(differences, default=0.0) <= self.atol:
            return [self.atol] * len(differences)
        return [max(self.atol, min(MOST, _TIMES * each)) for each in self._moved]

    def near_tie(self) -> float:
        """Return how near two candidates stand that rounding may exchange."""
        return max(NEAR_TIE, min(MOST, _TIMES * max(self._moved, default=0.0))) if self._measures else NEAR_TIE

    @cached_property
    def _moved(self) -> list[float]:
        """How far each of the outputs moves with the weights."""
        rng, unmoved, most = np.random.default_rng(0), self._outputs(), None
        for _ in range(_TRIES):
            with moved_weights(self._model, rng):
                moves = [largest(one, other) for one, other in zip(self._outputs(), unmoved, strict=True)]
            most = moves if most is None else [max(pair) for pair in zip(most, moves, strict=True)]
        return most or []


RoundingOf = Callable[[Callable[[], Sequence[np.ndarray]]], Rounding]
"""Takes what runs a model on what is compared; returns how far that moves."""


@contextmanager
def moved_weights(model: keras.Model, rng: np.random.Generator) -> Iterator[None]:
    """Move every weight of a model by one unit in its last place, up or down, while the block runs."""
    kept = [(weight, values) for weight in model.weights if (values := np.asarray(weight)).dtype == np.float32]
    try:
        for weight, values in kept:
            towards = np.where(rng.random(values.shape) < 0.5, np.float32(-np.inf), np.float32(np.inf))
            weight.assign(np.nextafter(values, towards))
        yield
    finally:
        for weight, values in kept:
            weight.assign(values)
