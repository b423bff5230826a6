"""Finds where an unrolled model reads one step of a sequence: `x[:, t]` in whatever way it is written.

Indexing, `ops.take`, `ops.split`, `ops.unstack`, a `Lambda` with the number of the step in its code: what such a call
does is seen by making it on numbers that are all different, so that no way of writing it has to be known.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from s2s_training.splitting.graph import Call, Graph, Value

_FEWEST = 3  # steps of one sequence that are read by themselves


@dataclass(frozen=True)
class StepSlice:
    """One step of a sequence.

    Attributes:
        sequence: (batch, time, ...).
        index: the step's number.
        keeps_axis: whether the slice is (batch, 1, ...) rather than (batch, ...).
    """

    sequence: Value
    index: int
    keeps_axis: bool

    @property
    def stream(self) -> tuple[Value, bool]:
        """What the slices of all steps have in common."""
        return self.sequence, self.keeps_axis


def step_slices(graph: Graph) -> dict[Value, StepSlice]:
    """Return every value that is one step of a sequence, of which at least three steps are read."""
    slices: dict[Value, StepSlice] = {}
    counts: dict[tuple[Value, bool], set[int]] = defaultdict(set)
    candidates: dict[Value, list[Call]] = defaultdict(list)
    for call in graph.calls:
        if _may_slice(call):
            candidates[call.inputs[0]].append(call)
    for sequence, calls in candidates.items():
        if sum(len(call.outputs) for call in calls) < _FEWEST:
            continue
        for call in calls:
            for value, made in _made_of_numbers(call, sequence).items():
                slices[value] = made
                counts[made.stream].add(made.index)
    return {value: made for value, made in slices.items() if len(counts[made.stream]) >= _FEWEST}


def _may_slice(call: Call) -> bool:
    """Return whether a call without weights makes values of one step from a sequence of known length."""
    if len(set(call.inputs)) != 1 or (isinstance(call.operation, keras.Layer) and call.operation.weights):
        return False
    shape = call.inputs[0].shape
    if len(shape) < 2 or None in shape[1:] or shape[1] < _FEWEST:
        return False
    one = ((*shape[:1], *shape[2:]), (*shape[:1], 1, *shape[2:]))
    return all(value.shape in one for value in call.outputs)


def _made_of_numbers(call: Call, sequence: Value) -> dict[Value, StepSlice]:
    """Return which outputs of a call are a step of the sequence, as making the call on different numbers shows."""
    shape = [2 if size is None else size for size in sequence.shape]
    numbers = np.arange(np.prod(shape)).reshape(shape)
    given = ops.cast(numbers, sequence.dtype)
    args, kwargs = tree.map_structure(lambda leaf: given if isinstance(leaf, Value) else leaf, (call.args, call.kwargs))
    outputs = [np.asarray(output) for output in tree.flatten(call.operation(*args, **kwargs))]
    found = {}
    for value, output in zip(call.outputs, outputs, strict=True):
        keeps = output.ndim == numbers.ndim
        rows = output[:, 0] if keeps else output
        for index in range(shape[1]):
            if np.array_equal(rows, numbers[:, index].astype(output.dtype)):
                found[value] = StepSlice(sequence, index, keeps)
    return found


def on_one_step(sequence: Any, made: StepSlice) -> Any:
    """Return what a slice is where the sequence has one step, (batch, 1, ...), itself."""
    return sequence if made.keeps_axis else ops.squeeze(sequence, axis=1)
