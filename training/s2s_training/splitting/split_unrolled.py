"""Builds encoder and step of a model that was saved unrolled; see `unrolled` for how its loop is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops, tree

from s2s_runtime.spelling import option
from s2s_training.errors import SplitError, UnsaidError
from s2s_training.splitting.assemble import Assembled, Crossing, Step, assemble, step_outputs
from s2s_training.splitting.feeding import ConstantInput
from s2s_training.splitting.graph import Call, Graph, Value, replay
from s2s_training.splitting.partition import Partition
from s2s_training.splitting.step import InitialState, StepTracer, initial_states, own_states
from s2s_training.splitting.step_slices import on_one_step
from s2s_training.splitting.unrolled import Unrolled

Start = int | Literal["zeros"] | None


def with_first_states(graph: Graph) -> Graph:
    """Return the graph with an initial state written down wherever a layer has one in one call and none in another.

    A loop's first step often leaves to the layer what the later ones hand on.
    """
    started = {
        call.operation
        for call in graph.calls
        if isinstance(call.operation, keras.layers.RNN) and initial_states(call) is not None
    }
    calls: list[Call] = []
    for call in graph.calls:
        if call.operation in started and initial_states(call) is None:
            layer, sequence = call.operation, next(iter(call.arguments().values()))
            own = own_states(layer)
            shapes = [(None, *state.shape[1:]) for state in tree.flatten(own)]
            states = tuple(Value(f"{layer.name}_{i}", shape, "float32") for i, shape in enumerate(shapes))
            given = tree.pack_sequence_as(own, list(states))
            calls.append(Call(InitialState(layer), (sequence,), {}, states))
            calls.append(Call(layer, call.args, {**call.kwargs, "initial_state": given}, call.outputs))
        else:
            calls.append(call)
    return Graph(graph.inputs, tuple(calls), graph.outputs)


def split_unrolled(
    loop: Unrolled, sources: Sequence[Value], vectors: Sequence[bool], start: Start
) -> tuple[Assembled, Partition]:
    """Return encoder and single step of an unrolled model.

    Everything the loop carries is a state, what it feeds back among them; states of shape (batch, 1, features) cross
    without their time axis.

    Args:
        loop: the model's loop.
        sources: its source inputs, in order.
        vectors: which of them have no time axis.
        start: what the first step reads: a token, or a row of zeros.

    Raises:
        SplitError: the start token is not known, or a layer refuses to be called alone.
    """
    if not sources:
        raise SplitError("the model was saved unrolled, but has no source input beside the first step's")
    environment = {value: _input(value) for value in sources}
    if loop.decoder_input is not None and not loop.slices:
        row = _start_row(loop.decoder_input, start)
        first = ConstantInput(row.tolist(), loop.decoder_input.dtype)
        environment[loop.decoder_input] = first(environment[sources[0]])
    tensors = [environment[value] for value in sources]
    replay(loop.encoder_calls, environment)
    fed = () if loop.decoder_input is None else (loop.decoder_input,)
    reading = Partition(fed, loop.encoder_calls, loop.calls, loop.values, loop.output, ())
    crossing = Crossing.of(environment, reading.memory, tensors, vectors)
    states = [_flat(environment[carried.first]) for carried in loop.carried]
    return assemble(tensors, states, crossing, _step(loop, reading, crossing, states)), reading


def _step(loop: Unrolled, reading: Partition, crossing: Crossing, states: Sequence[Any]) -> Step:
    memory, masks = crossing.inputs()
    inputs = [
        keras.Input(tuple(state.shape[1:]), dtype=keras.backend.standardize_dtype(state.dtype), name=f"s2s.state_{i}")
        for i, state in enumerate(states)
    ]
    environment: dict[Value, Any] = dict(memory)
    fed = []
    if loop.slices and loop.decoder_input is not None:
        target = loop.decoder_input
        fed = [keras.Input(target.shape[2:], dtype=target.dtype, name="s2s.fed")]
        environment[target] = ops.expand_dims(fed[0], axis=1)
    for carried, tensor in zip(loop.carried, inputs, strict=True):
        environment[carried.current] = ops.expand_dims(tensor, axis=1) if _has_step_axis(carried.first) else tensor
    tracer = StepTracer(reading, {}, dict(masks), crossing.lengths())
    _replay_slices(loop, environment, tracer)
    following = []
    for carried in loop.carried:
        value = environment[carried.following]
        following.append(ops.squeeze(value, axis=1) if _has_step_axis(carried.first) else value)
    everything = [*fed, *inputs, *memory.values(), *masks.values()]
    outputs = step_outputs(environment[loop.output], following, tracer, (everything, crossing))
    has_weights = len(outputs) > 1 + len(following)
    return Step(fed, inputs, [*memory.values(), *masks.values()], outputs, has_weights)


def _replay_slices(loop: Unrolled, environment: dict[Value, Any], tracer: StepTracer) -> None:
    """Replay the step's calls; what is read of a sequence at the step's own position is all that it has here."""
    waiting = dict(loop.slices)
    for call in [None, *loop.calls]:
        if call is not None:
            replay([call], environment, tracer)
        for value, made in list(waiting.items()):
            if made.sequence in environment:
                environment[value] = on_one_step(environment[made.sequence], made)
                del waiting[value]


def _has_step_axis(value: Value) -> bool:
    return len(value.shape) == 3 and value.shape[1] == 1


def _flat(tensor: Any) -> Any:
    return ops.squeeze(tensor, axis=1) if len(tensor.shape) == 3 and tensor.shape[1] == 1 else tensor


def _input(value: Value) -> Any:
    return keras.Input(value.shape[1:], dtype=value.dtype, name=value.name)


def _start_row(value: Value, start: Start) -> np.ndarray:
    """Return the decoder input of one sentence: the start token's one-hot row, or its id, or zeros."""
    if start is None:
        raise UnsaidError(
            f"this model was saved unrolled and feeds its own output back, so the first step's input {value.name!r} "
            "becomes part of the encoder: give the target's symbols and its start, or "
            f"{option('start_id', 'N')}, or {option('start_zeros', '')} for a row of zeros"
        )
    shape = tuple(1 if size is None else size for size in value.shape[1:])
    if value.dtype.startswith(("int", "uint")):
        if start == "zeros":
            raise UnsaidError(
                f"{option('start_zeros', '')}: the first step's input {value.name!r} holds ids; give "
                f"{option('start_id', 'N')} in its place"
            )
        return np.full(shape, start)
    row = np.zeros(shape)
    if start == "zeros":
        return row
    if start >= shape[-1]:
        raise UnsaidError(
            f"{option('start_id')}: expected 0 to {shape[-1] - 1} (the size of {value.name!r}), got {start}"
        )
    row[..., start] = 1
    return row
