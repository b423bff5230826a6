"""A language model without a start token, which begins with the first token of its prompt.

The first step of a search reads no token there: what it gives is the token that was given as the source, for certain.
So every search, every rule and every score sees the whole text, and the model reads each token once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.search.step_model import PortableModel, StatesT, StepOutput

_NEVER: Final = np.float32(-1e9)  # of a logit; finite, as means of several models are taken


@dataclass(slots=True)
class _Begun(Generic[StatesT]):
    """States of the wrapped model; `first` holds the token that each row begins with, None once it is written."""

    states: StatesT
    first: NDArray[np.int64] | None


class BegunModel(Generic[StatesT]):
    """A `PortableModel` whose first step gives the token of each row's source, without asking the model.

    Args:
        model: the model that does the work.
        size: tokens in its vocabulary.
    """

    def __init__(self, model: PortableModel[StatesT], size: int) -> None:
        self._model = model
        self._size = size

    @property
    def provider(self) -> str:
        """The execution provider that decodes, by onnxruntime's name."""
        return str(getattr(self._model, "provider", ""))

    @property
    def alone(self) -> Mapping[str, Any] | None:
        """The sessions of one thread that the model has beside its own; None where it has none."""
        sessions: Mapping[str, Any] | None = getattr(self._model, "alone", None)
        return sessions

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> _Begun[StatesT]:
        """Return the states before the first step; `source` is int64 (rows, 1), the tokens to begin with."""
        return _Begun(self._model.encode(source, *others), source[:, 0].astype(np.int64))

    def step(self, states: _Begun[StatesT], tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        """Give the first tokens at the first step, and step the model at all others; see `StepModel.step`."""
        if states.first is None:
            return self._model.step(states.states, tokens, attention=attention)
        logits = np.full((len(states.first), self._size), _NEVER)
        logits[np.arange(len(logits)), states.first] = 0
        states.first = None
        return StepOutput(logits, None)

    def reorder(self, states: _Begun[StatesT], rows: NDArray[np.int64]) -> None:
        """See `StepModel.reorder`."""
        self._model.reorder(states.states, rows)
        states.first = None if states.first is None else states.first[rows]

    def select(self, states: _Begun[StatesT], rows: NDArray[np.int64]) -> _Begun[StatesT]:
        """See `StepModel.select`."""
        first = None if states.first is None else states.first[rows]
        return _Begun(self._model.select(states.states, rows), first)

    def to_arrays(self, states: _Begun[StatesT]) -> dict[str, NDArray[Any]]:
        """See `PortableModel.to_arrays`."""
        return self._model.to_arrays(states.states)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], time: int) -> _Begun[StatesT]:
        """Return states of rows that have begun; see `PortableModel.from_arrays`."""
        return _Begun(self._model.from_arrays(arrays, time), None)
