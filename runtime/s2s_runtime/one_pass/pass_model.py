"""What one pass over some sources gave, seen as a model that search steps through position by position."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.errors import InputError
from s2s_runtime.search.step_model import StepOutput

RunGraph = Callable[..., Sequence[Floats]]
Choose = Callable[..., Ints | None]
TakeStep = Callable[[NDArray[np.generic], Sequence[NDArray[Any]]], list[NDArray[Any]]]


@dataclass(slots=True)
class Positions:
    """The outputs of one pass, and how far search has read them.

    Attributes:
        outputs: float32 (rows, positions, size), logits, or values of value models.
        at: the position that is read next.
        further: what the pass gave beside `outputs`, likewise, of positions of their own.
    """

    outputs: Floats
    at: int = 0
    further: tuple[Floats, ...] = ()

    @property
    def count(self) -> int:
        """How many positions there are."""
        return int(self.outputs.shape[1])


class OnePassModel:
    """A model of one pass as the `StepModel` that search sees: `encode` is the pass, a step reads its next position.

    It is safe to share between threads: all that changes is in the `Positions`, which each call makes for itself.

    Args:
        run: runs the graph on padded sources, and returns its outputs, each float32 (rows, positions, size).
        provider: the execution provider that runs it, by onnxruntime's name.
        take_step: runs the graph of its step on a reading and the states; returns the output and the next states. None
            where the model isn't causal.
        place: which of the outputs is decoded; the others count as further ones where it is the first.
        choose: given the ids that are never chosen, and padded sources, returns the best symbols of the first output,
            int64 (rows, positions), or None where it can't. None = it never can.
    """

    def __init__(
        self,
        run: RunGraph,
        provider: str = "",
        take_step: TakeStep | None = None,
        place: int = 0,
        choose: Choose | None = None,
    ) -> None:
        self._run, self._place, self._choose = run, place, choose
        self.take_step = take_step
        self.provider = provider
        self.alone: Mapping[str, Any] | None = None
        """Sessions of one thread for few rows, where there are any; workers take them too."""

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> Positions:
        """Return the outputs of all positions; see `StepModel.encode`."""
        outputs = self._run(source, *others)
        return Positions(outputs[self._place], further=() if self._place else tuple(outputs[1:]))

    def best(self, source: NDArray[np.generic], never: frozenset[int]) -> Ints | None:
        """Return the best symbol of each position, int64 (rows, positions), where the pass itself chooses it.

        Args:
            source: padded, as for `encode`.
            never: ids that aren't chosen.

        Returns:
            None where the pass doesn't choose, or chooses among others: then `encode` tells.
        """
        return None if self._choose is None else self._choose(never, source)

    def of_output(self, place: int) -> OnePassModel:
        """Return a model that decodes another output of the same pass; the step of a causal one is the first's."""
        own = (None, place) if place else (self.take_step, 0, self._choose)
        return OnePassModel(self._run, self.provider, *own)

    def step(self, states: Positions, tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        """Return the outputs of the next position; see `StepModel.step`. No token is fed back."""
        if states.at >= states.count:
            raise InputError(f"expected at most {states.count} tokens, the positions that this model's pass gave")
        states.at += 1
        return StepOutput(states.outputs[:, states.at - 1].copy(), None)

    def reorder(self, states: Positions, rows: NDArray[np.int64]) -> None:
        """Leave all as it is: the beams of a sentence read the same positions; see `StepModel.reorder`."""

    def select(self, states: Positions, rows: NDArray[np.int64]) -> Positions:
        """Return the positions of some of the rows; see `StepModel.select`."""
        further = tuple(each.take(rows, axis=0) for each in states.further)
        return Positions(states.outputs.take(rows, axis=0), states.at, further)
