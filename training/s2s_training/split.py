"""Splits a training model into an encoder and a single-step decoder.

`split` takes any encoder-decoder of recurrent layers, whatever its layers are called and however they are wired, and
returns two Keras models that share its weights:

    encoder: source input(s)                     -> state.0 ... , memory.0 ...
    decoder: token | value, state.*, memory.*    -> output, next_state.* , attention

Tensors that cross from one to the other are of two kinds. Those that start a recurrent layer of the decoder are its
*states*: they change at every step. All others are *memory*: constant through the target, such as encoder outputs,
their mask, or a context vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import ops

from s2s_training.errors import SplitError
from s2s_training.graph import Call, Graph, Value, ancestors, flatten_model, replay, values_in
from s2s_training.partition import Partition, partition
from s2s_training.step import InitialState, StepTracer, initial_states, state_sizes

Fed = Literal["token", "value", "none"]


@dataclass(frozen=True)
class SplitModel:
    """A training model taken apart.

    Attributes:
        encoder: from the source input(s), in the training model's order, to the states, then the memory.
        decoder: from what is fed (when something is), the states and the memory to the output of one step
            (batch, features), the next states in the same order, and attention weights (batch, source time) if
            `attention`.
        fed: what the decoder input takes: integer ids (batch,), vectors (batch, features), or nothing.
        state_count: how many states there are.
        memory_count: how many memories there are, masks among them.
        attention: whether the decoder's last output holds attention weights. With several attention layers they are
            the mean of all, with several heads the mean over heads.
        source_indices: which of the training model's inputs, in its order, are the source's.
        target_index: which is the decoder's; None where nothing is fed.
        output_index: which of the training model's outputs is decoded.
        reading: which call of the training model went where.
    """

    encoder: keras.Model
    decoder: keras.Model
    fed: Fed
    state_count: int
    memory_count: int
    attention: bool
    source_indices: tuple[int, ...]
    target_index: int | None
    output_index: int
    reading: Partition


def split(model: keras.Model, *, decoder_input: str | None = None) -> SplitModel:
    """Splits an encoder-decoder by what depends on the decoder input.

    Args:
        model: a Functional (or Sequential) model from the source and, unless its decoder repeats a context vector,
            the target fed in, to one output per target step.
        decoder_input: name of the input that gets the target, for graphs with two readings.

    Raises:
        SplitError: the model has no graph, no valid reading or several, or a layer refuses a single step.
    """
    graph = flatten_model(model)
    reading = partition(graph, decoder_input)
    recurrent = [call for call in reading.decoder_calls if isinstance(call.operation, keras.layers.RNN)]
    sources, environment = _run_encoder(graph, reading)
    states = _first_states(recurrent, sources, environment)
    memory = {value: environment[value] for value in _memory_values(reading)}
    masks = {value: mask for value, tensor in memory.items() if (mask := _riding_mask(tensor)) is not None}
    crossing = [*memory.values(), *masks.values()]
    step = _run_step(reading, recurrent, memory, masks)
    used = _used(step)
    return SplitModel(
        encoder=keras.Model(sources, [*states, *_kept(crossing, used)], name="encoder"),
        decoder=keras.Model([*step.fed, *step.states, *_kept(step.memory, used)], step.outputs, name="decoder"),
        fed=_fed(graph, reading),
        state_count=len(states),
        memory_count=sum(used),
        attention=step.attention,
        source_indices=tuple(i for i, value in enumerate(graph.inputs) if value is not reading.decoder_input),
        target_index=next((i for i, value in enumerate(graph.inputs) if value is reading.decoder_input), None),
        output_index=graph.outputs.index(reading.output),
        reading=reading,
    )


@dataclass(frozen=True)
class _Step:
    """The traced step: its inputs by kind, its outputs, and whether the last of them holds attention weights."""

    fed: list[Any]
    states: list[Any]
    memory: list[Any]
    outputs: list[Any]
    attention: bool


def _run_encoder(graph: Graph, reading: Partition) -> tuple[list[Any], dict[Value, Any]]:
    """Replays the encoder's calls on fresh inputs; free in time where its layers allow, else as recorded."""
    inputs = [value for value in graph.inputs if value is not reading.decoder_input]
    try:
        return _replay_encoder(inputs, reading, free_time=True)
    except (ValueError, TypeError):
        # A layer such as Flatten needs the recorded length; raised again below if that is not the reason.
        return _replay_encoder(inputs, reading, free_time=False)


def _replay_encoder(
    inputs: Sequence[Value], reading: Partition, *, free_time: bool
) -> tuple[list[Any], dict[Value, Any]]:
    environment: dict[Value, Any] = {}
    for value in inputs:
        shape = value.shape[1:]
        shape = (None, *shape[1:]) if free_time and len(shape) > 0 else shape
        environment[value] = keras.Input(shape, dtype=value.dtype, name=value.name)
    sources = [environment[value] for value in inputs]
    replay(reading.encoder_calls, environment)
    return sources, environment


def _first_states(recurrent: Sequence[Call], sources: Sequence[Any], environment: dict[Value, Any]) -> list[Any]:
    """The tensor each decoder state starts from, in the order of the recurrent calls."""
    tensors: list[Any] = []
    for call in recurrent:
        given = initial_states(call)
        tensors += InitialState(call.operation.cell)(sources[0]) if given is None else [environment[v] for v in given]
    return tensors


def _memory_values(reading: Partition) -> list[Value]:
    """Encoder values that decoder calls read other than as initial states, each once, in order of first use."""
    found: dict[Value, None] = {}
    for call in reading.decoder_calls:
        arguments = call.arguments()
        if isinstance(call.operation, keras.layers.RNN):
            arguments.pop("initial_state", None)
        for value in values_in(arguments):
            if value not in reading.decoder_values:
                found.setdefault(value)
    return list(found)


def _riding_mask(tensor: Any) -> Any | None:
    return getattr(tensor, "_keras_mask", None)


def _input_like(tensor: Any, name: str) -> Any:
    return keras.Input(tuple(tensor.shape[1:]), dtype=keras.backend.standardize_dtype(tensor.dtype), name=name)


def _run_step(
    reading: Partition, recurrent: Sequence[Call], memory: dict[Value, Any], masks: dict[Value, Any]
) -> _Step:
    """Replays the decoder's calls for one step on fresh inputs."""
    memory_inputs = {value: _input_like(tensor, f"memory_{i}") for i, (value, tensor) in enumerate(memory.items())}
    mask_inputs = {value: _input_like(mask, f"mask_{i}") for i, (value, mask) in enumerate(masks.items())}
    state_inputs: dict[Call, list[Any]] = {}
    for layer, call in enumerate(recurrent):
        sizes = enumerate(state_sizes(call))
        state_inputs[call] = [keras.Input((size,), dtype="float32", name=f"state_{layer}_{i}") for i, size in sizes]
    environment: dict[Value, Any] = dict(memory_inputs)
    fed = []
    if reading.decoder_input is not None:
        target = reading.decoder_input
        fed = [keras.Input(target.shape[2:], dtype=target.dtype, name="fed")]
        environment[target] = ops.expand_dims(fed[0], axis=1)  # (batch, 1) or (batch, 1, features)
    tracer = StepTracer(reading, dict(state_inputs), dict(mask_inputs))
    replay(reading.decoder_calls, environment, tracer)
    output = environment[reading.output]
    outputs = [ops.squeeze(output, axis=1) if len(output.shape) > 2 else output]
    outputs += [state for call in recurrent for state in tracer.next_states[call]]
    if tracer.attention:
        outputs.append(_mean(tracer.attention))
    states = [state for call in recurrent for state in state_inputs[call]]
    return _Step(fed, states, [*memory_inputs.values(), *mask_inputs.values()], outputs, bool(tracer.attention))


def _mean(tensors: Sequence[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else sum(tensors[1:], tensors[0]) / float(len(tensors))


def _used(step: _Step) -> list[bool]:
    """Which memories the outputs need: Keras leaves masks on tensors whose readers never look at them."""
    program = flatten_model(keras.Model([*step.fed, *step.states, *step.memory], step.outputs))
    read = {value for call in ancestors(program.calls, program.outputs) for value in call.inputs}
    return [value in read for value in program.inputs[len(step.fed) + len(step.states) :]]


def _kept(tensors: Sequence[Any], used: Sequence[bool]) -> list[Any]:
    return [tensor for tensor, is_used in zip(tensors, used, strict=True) if is_used]


def _fed(graph: Graph, reading: Partition) -> Fed:
    """Ids are integers, or whatever an `Embedding` reads: notebooks often leave its input's dtype at float32."""
    value = reading.decoder_input
    if value is None:
        return "none"
    embedded = any(value in call.inputs and isinstance(call.operation, keras.layers.Embedding) for call in graph.calls)
    if embedded or value.dtype.startswith(("int", "uint")):
        if len(value.shape) != 2:
            raise SplitError(
                f"the decoder input {value.name!r} holds ids of shape {value.shape}; expected (batch, time)"
            )
        return "token"
    return "value"
