"""The step of a causal model of one pass: one reading in, the output of its position out, states kept between them.

Where nothing looks at a later position than its own, the outputs so far don't change as readings come, and a step that
carries the states of recurrent layers (and the last inputs of causal convolutions) gives each as soon as it can be
known: for sensors, keyboards and microphones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import ops, tree

from s2s_training.errors import SplitError
from s2s_training.splitting.assemble import Crossing, first_states, run_step
from s2s_training.splitting.feeding import FedInput, Feed, StepFeeder
from s2s_training.splitting.graph import carries_window, distinct_names, flatten_model, reserve_names
from s2s_training.splitting.partition import NO_ENCODER, fed_readings
from s2s_training.splitting.source_inputs import holds_ids
from s2s_training.splitting.splitter import SplitModel

_STEPS: Final = 9


@dataclass(frozen=True)
class CausalStep:
    """A step with its states.

    Attributes:
        model: Functional, from what is read, ids (batch,) or values (batch, features), and the states to the output of
            the position, (batch, features), and the next states.
        states: a tensor (batch, ...) for each state; all are zeros before the first reading.
    """

    model: keras.Model
    states: tuple[Any, ...]


def causal_step(split: SplitModel) -> CausalStep | None:
    """Return the step of a model of one pass; None where it isn't causal, or doesn't begin with zeros.

    Args:
        split: the model of one pass.
    """
    if len(split.sources) != 1 or split.vectors[0]:
        return None
    graph = flatten_model(split.encoder)
    (value,) = graph.inputs
    with distinct_names(graph):
        reserve_names(graph)
        readings = fed_readings(graph, value.name)
        if not readings or set(readings[0].problems) - {NO_ENCODER}:  # of one pass there is none
            return None
        reading = readings[0]
        recurrent = [
            call
            for call in reading.decoder_calls
            if isinstance(call.operation, keras.layers.RNN) or carries_window(call)
        ]
        fed = FedInput(0, value, Feed(), False, holds_ids(graph, value))
        feeder = StepFeeder([fed], reading.output.shape[-1], None)
        rows = keras.Input((1,))
        try:
            first = first_states(recurrent, [rows], {})
            flat = [state for call in recurrent for state in first[call]]
            if reading.memory or not flat or not _are_zeros(rows, flat):
                return None
            step = run_step(reading, first, Crossing.of({}, [], [rows], [True]), feeder)
        except (SplitError, KeyError):
            return None
        made = keras.Model([*step.fed, *step.states], step.outputs[: 1 + len(flat)], name="step")
        return CausalStep(made, tuple(flat)) if _gives_the_same(made, split.encoder, flat) else None


def _gives_the_same(step: keras.Model, whole: keras.Model, states: list[Any]) -> bool:
    """Return whether steps give what the whole gives, as a run on noise shows: some layers may look ahead unseen."""
    read = whole.inputs[0]
    shape = (1, read.shape[1] or _STEPS, *read.shape[2:])
    rng = np.random.default_rng(0)
    noise = rng.normal(size=shape) if len(shape) == 3 else np.ones(shape)
    expected = np.asarray(whole(ops.convert_to_tensor(noise, dtype=read.dtype), training=False))
    carried: list[Any] = [ops.zeros((1, *state.shape[1:]), dtype=state.dtype) for state in states]
    for position in range(shape[1]):
        fed = ops.convert_to_tensor(noise[:, position], dtype=step.inputs[0].dtype)
        output, *carried = tree.flatten(step([fed, *carried], training=False))
        if position >= expected.shape[1] or not np.allclose(output, expected[:, position], atol=1e-4):
            return False
    return bool(expected.shape[1] == shape[1])


def _are_zeros(rows: Any, states: list[Any]) -> bool:
    made = tree.flatten(keras.Model(rows, states)(np.ones((1, 1), np.float32), training=False))
    return not any(np.asarray(state).any() for state in made)
