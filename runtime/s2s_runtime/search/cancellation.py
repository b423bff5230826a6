"""Cancelling a running call.

A call given `cancel` looks at it before each run of the encoder and each step of the decoder, or, where the steps run
inside a graph, every eight steps at most, and raises `CancelledError` as soon as it is set: what was decoded so far is
dropped, because half of a batch is seldom what the caller waits for (to keep what a sentence has so far, let a
`callback` return True instead). The model stays as it was.
"""

from __future__ import annotations

import sys
from typing import Any, Final, Generic, cast

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.errors import CancelledError, OptionError
from s2s_runtime.options import CancelSignal
from s2s_runtime.search.step_model import (
    BeamSteps,
    BeamWriting,
    Choice,
    StatesT,
    StepModel,
    StepOutput,
    Writing,
    WritingModel,
    Written,
    can_write,
    nominators,
)
from s2s_runtime.spelling import shown

_STEPS_BETWEEN: Final = 8  # where the steps run inside one graph: each return to Python costs about as much as a step


class CancellableModel(Generic[StatesT]):
    """A `StepModel` that raises `CancelledError` once a signal is set.

    Args:
        model: the model that does the work.
        signal: checked before each encoding and each step.
        steps: most steps between two looks, where they run inside one graph.
    """

    def __init__(self, model: StepModel[StatesT], signal: CancelSignal, steps: int = _STEPS_BETWEEN) -> None:
        self._model = model
        self._signal = signal
        self._steps = steps

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> StatesT:
        """See `StepModel.encode`."""
        self._check()
        return self._model.encode(source, *others)

    def step(self, states: StatesT, tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        """See `StepModel.step`."""
        self._check()
        return self._model.step(states, tokens, attention=attention)

    @property
    def can_write(self) -> bool:
        """See `WritingModel.can_write`."""
        return can_write(self._model)

    @property
    def choices(self) -> frozenset[Choice]:
        """See `WritingModel.choices`."""
        return getattr(self._model, "choices", frozenset())

    @property
    def nominators(self) -> list[StepModel[Any]]:
        """See `s2s_runtime.search.step_model.nominators`."""
        return [CancellableModel(member, self._signal, self._steps) for member in nominators(self._model)]

    def write(self, states: StatesT, tokens: NDArray[np.int64], writing: Writing) -> Written:
        """See `WritingModel.write`."""
        self._check()
        model = cast("WritingModel[StatesT]", self._model)
        return model.write(states, tokens, writing._replace(steps=min(writing.steps, self._steps)))

    def write_beams(self, states: StatesT, tokens: NDArray[np.int64], beams: BeamWriting) -> BeamSteps:
        """See `WritingModel.write_beams`."""
        self._check()
        model = cast("WritingModel[StatesT]", self._model)
        return model.write_beams(states, tokens, beams._replace(steps=min(beams.steps, self._steps)))

    def reorder(self, states: StatesT, rows: NDArray[np.int64]) -> None:
        """See `StepModel.reorder`."""
        self._model.reorder(states, rows)

    def select(self, states: StatesT, rows: NDArray[np.int64]) -> StatesT:
        """See `StepModel.select`."""
        return self._model.select(states, rows)

    def _check(self) -> None:
        if self._signal.is_set():
            raise CancelledError("the call was cancelled; nothing of it is returned")


def cancellable(model: StepModel[StatesT], signal: CancelSignal | None) -> StepModel[StatesT]:
    """Return a model that stops at a signal; the model itself where there is none, so that such calls pay nothing.

    Raises:
        OptionError: it is no signal.
    """
    if signal is None:
        return model
    if not callable(getattr(signal, "is_set", None)):
        raise OptionError(f"cancel: expected a threading.Event or the like, with is_set(), got {shown(signal)}")
    return CancellableModel(model, signal)


def stoppable(model: StepModel[StatesT], signal: CancelSignal) -> StepModel[StatesT]:
    """Return a model that raises once a signal is set, at the next return from a graph: nothing is cut for its sake."""
    return CancellableModel(model, signal, sys.maxsize)
