"""Replays a graph's calls as an encoder and one step, and puts them together as two Keras models.

They share their crossing tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from s2s_training.errors import SplitError
from s2s_training.layers.conditioned_rnn import ConditionedRNN
from s2s_training.splitting.attention_weights import distributions
from s2s_training.splitting.feeding import StepFeeder, WithoutAxis
from s2s_training.splitting.graph import (
    Call,
    Value,
    ancestors,
    carries_window,
    flatten_model,
    replay,
    values_in,
    window_length,
)
from s2s_training.splitting.partition import Partition, feeds_on_itself
from s2s_training.splitting.source_inputs import ones_for, runs, runs_on, weights_over_first
from s2s_training.splitting.step import EmptyWindow, InitialState, StepTracer, initial_states, own_states


@dataclass(frozen=True)
class Step:
    """One traced step of the decoder.

    Attributes:
        fed: the input for what is fed, or none.
        states: its state inputs.
        memory: its memory inputs, then the masks of those that have one.
        outputs: output (batch, features), next states, then attention weights where there are some.
        attention: whether the last output holds attention weights.
    """

    fed: list[Any]
    states: list[Any]
    memory: list[Any]
    outputs: list[Any]
    attention: bool


@dataclass(frozen=True)
class Crossing:
    """What the encoder makes for the decoder's memory.

    Attributes:
        memory: the encoder's tensor for each value the decoder reads at every step.
        masks: the mask that rides on such a tensor, as a tensor of its own.
        sources: the encoder's inputs.
        vectors: which of these have no time axis.
    """

    memory: dict[Value, Any]
    masks: dict[Value, Any]
    sources: Sequence[Any]
    vectors: Sequence[bool]

    @classmethod
    def of(
        cls, environment: dict[Value, Any], values: Sequence[Value], sources: Sequence[Any], vectors: Sequence[bool]
    ) -> Crossing:
        """Collect the tensors of the values, and the masks that ride on them."""
        memory = {value: environment[value] for value in values}
        masks = {value: getattr(tensor, "_keras_mask", None) for value, tensor in memory.items()}
        return cls(memory, {value: mask for value, mask in masks.items() if mask is not None}, sources, vectors)

    def inputs(self) -> tuple[dict[Value, Any], dict[Value, Any]]:
        """Return fresh inputs of the step for memory and masks."""
        memory = {
            value: _input_like(tensor, f"s2s.memory_{i}") for i, (value, tensor) in enumerate(self.memory.items())
        }
        masks = {value: _input_like(mask, f"s2s.mask_{i}") for i, (value, mask) in enumerate(self.masks.items())}
        return memory, masks

    def lengths(self) -> frozenset[int]:
        """Return the source lengths that the memory's shapes fix."""
        return frozenset(t.shape[1] for t in self.memory.values() if len(t.shape) > 2 and t.shape[1] is not None)


@dataclass(frozen=True)
class Assembled:
    """The encoder and the decoder as `split.SplitModel` describes them."""

    encoder: keras.Model
    decoder: keras.Model
    state_count: int
    memory_count: int
    attention: bool


def step_outputs(
    output: Any, following: Sequence[Any], tracer: StepTracer, given: tuple[Sequence[Any], Crossing]
) -> list[Any]:
    """Return output without its time axis, next states, and the attention weights that were seen while tracing.

    Args:
        output: what the model gives for the step: (batch, 1, features) or (batch, features).
        following: the next states.
        tracer: what traced the step.
        given: all inputs of the step, memory and masks last, and what the encoder makes for these.
    """
    inputs, crossing = given
    weights = [*tracer.attention, *(candidate.over_source() for candidate in distributions(inputs, tracer.candidates))]
    made = [*crossing.memory.values(), *crossing.masks.values()]
    weights = weights_over_first((crossing.sources, crossing.vectors, made), inputs, weights)
    flat = WithoutAxis(1)(output) if len(output.shape) > 2 else output
    mean = weights if len(weights) < 2 else [sum(weights[1:], weights[0]) / float(len(weights))]
    return [flat, *following, *mean]


def assemble(sources: Sequence[Any], states: Sequence[Any], crossing: Crossing, step: Step) -> Assembled:
    """Return encoder and decoder as models, without the memories that the step never looks at."""
    used = _used(step)
    memory = _kept([*crossing.memory.values(), *crossing.masks.values()], used)
    return Assembled(
        encoder=keras.Model(list(sources), [*states, *memory], name="encoder"),
        decoder=keras.Model([*step.fed, *step.states, *_kept(step.memory, used)], step.outputs, name="decoder"),
        state_count=len(states),
        memory_count=len(memory),
        attention=step.attention,
    )


def run_encoder(
    inputs: Sequence[Value], vectors: Sequence[bool], reading: Partition
) -> tuple[list[Any], dict[Value, Any]]:
    """Replay the encoder's calls on fresh inputs, free in time where its layers allow it, else as recorded."""
    recorded = [value.shape[1:] for value in inputs]
    free, longer = list(recorded), list(recorded)
    for i, shape in enumerate(recorded):
        if shape and not vectors[i]:
            steps, *rest = shape
            free[i], longer[i] = (None, *rest), (steps and steps + 1, *rest)
    try:
        if longer != recorded:
            # Some layers take an unknown length while they are traced, but no other than the recorded when they run.
            sources, environment = _replay_encoder(inputs, longer, reading)
            if not runs(keras.Model(sources, list(environment.values())), vectors, {}):
                return _replay_encoder(inputs, recorded, reading)
        return _replay_encoder(inputs, free, reading)
    except (ValueError, TypeError):
        return _replay_encoder(inputs, recorded, reading)  # raises again if the length is not the reason


def with_lengths(
    put_together: Callable[[tuple[list[Any], dict[Value, Any]]], Assembled],
    inputs: Sequence[Value],
    vectors: Sequence[bool],
    reading: Partition,
) -> Assembled:
    """Return encoder and decoder, free in the sources' lengths where encoder and decoder together allow it.

    A decoder may need the recorded lengths although the encoder doesn't: where it joins the source's steps to the
    target's, or gives a value for each of them.

    Args:
        put_together: makes the two of what `run_encoder` returned.
        inputs: as for `run_encoder`.
        vectors: likewise.
        reading: likewise.
    """
    encoded = run_encoder(inputs, vectors, reading)
    recorded = [value.shape[1:] for value in inputs]
    if [tuple(tensor.shape[1:]) for tensor in encoded[0]] == recorded:
        return put_together(encoded)
    try:
        parts = put_together(encoded)
        needed = reading.output.shape[-1] is not None and parts.decoder.outputs[0].shape[-1] is None
    except SplitError:
        needed = True
    if not needed:
        longest = max(shape[0] or 0 for shape in recorded if shape)
        made = keras.tree.flatten(parts.encoder(ones_for(parts.encoder.inputs, longest + 1), training=False))
        for tensor in made:
            tensor._keras_mask = None  # masks are inputs of the step, not riders
        fed = ones_for(parts.decoder.inputs[: len(parts.decoder.inputs) - len(made)])
        needed = not runs_on(parts.decoder, [*fed, *made])
    return put_together(_replay_encoder(inputs, recorded, reading)) if needed else parts


def _replay_encoder(
    inputs: Sequence[Value], shapes: Sequence[tuple[int | None, ...]], reading: Partition
) -> tuple[list[Any], dict[Value, Any]]:
    environment: dict[Value, Any] = {
        value: keras.Input(shape, dtype=value.dtype, name=value.name)
        for value, shape in zip(inputs, shapes, strict=True)
    }
    sources = [environment[value] for value in inputs]
    replay(reading.encoder_calls, environment)
    return sources, environment


def first_states(
    recurrent: Sequence[Call], sources: Sequence[Any], environment: dict[Value, Any]
) -> dict[Call, list[Any]]:
    """Return the tensors (batch, ...) from which the states of each recurrent call of the decoder start."""
    first: dict[Call, list[Any]] = {}
    for call in recurrent:
        if carries_window(call):
            features = int(call.arguments()["inputs"].shape[-1])
            first[call] = [EmptyWindow((window_length(call.operation), features))(sources[0])]
            continue
        given = initial_states(call)
        first[call] = [environment[value] for value in given or []]
        if given is None or len(given) < _least_states(call):  # a layer of this package may be given the first few
            first[call] += InitialState(call.operation)(sources[0])[len(given or []) :]
    return first


def _least_states(call: Call) -> int:
    return len(own_states(call.operation)) if isinstance(call.operation, ConditionedRNN) else 0


def memory_values(reading: Partition) -> list[Value]:
    """Return the encoder values that decoder calls read as memory, that is, other than as initial states.

    Each stands in the list once, in order of first use.
    """
    memory: dict[Value, None] = {}
    for call in reading.decoder_calls:
        arguments = call.arguments()
        if isinstance(call.operation, keras.layers.RNN):
            arguments.pop("initial_state", None)
        for value in values_in(arguments):
            if value not in reading.decoder_values:
                memory.setdefault(value)
    return list(memory)


def run_step(reading: Partition, first: dict[Call, list[Any]], crossing: Crossing, feeder: StepFeeder) -> Step:
    """Replay the decoder's calls for one step on fresh inputs.

    Args:
        reading: which calls are the decoder's.
        first: the tensors from which the states of its recurrent calls start.
        crossing: its memory.
        feeder: makes the decoder's inputs.
    """
    memory, masks = crossing.inputs()
    state_inputs: dict[Call, list[Any]] = {}
    for layer, (call, tensors) in enumerate(first.items()):
        state_inputs[call] = [
            keras.Input(tuple(tensor.shape[1:]), dtype="float32", name=f"s2s.state_{layer}_{i}")
            for i, tensor in enumerate(tensors)
        ]
    position = [keras.Input((1,), dtype="int32", name="s2s.position")] if feeder.counts_steps else []
    states = [state for call in first for state in state_inputs[call]] + position
    fed = feeder.fresh()
    rows = next(iter([*fed, *memory.values(), *states]), None)
    environment: dict[Value, Any] = {**memory, **feeder.step(fed, memory, next(iter(position), None), rows)}
    tracer = StepTracer(reading, dict(state_inputs), dict(masks), crossing.lengths())
    replay(reading.decoder_calls, environment, tracer)
    following = [state for call in first for state in tracer.next_states[call]] + [each + 1 for each in position]
    everything = [*fed, *states, *memory.values(), *masks.values()]
    outputs = step_outputs(environment[reading.output], following, tracer, (everything, crossing))
    has_weights = len(outputs) > 1 + len(following)
    fed = [] if feeds_on_itself(reading) else fed
    return Step(fed, states, [*memory.values(), *masks.values()], outputs, has_weights)


def _input_like(tensor: Any, name: str) -> Any:
    return keras.Input(tuple(tensor.shape[1:]), dtype=keras.backend.standardize_dtype(tensor.dtype), name=name)


def _used(step: Step) -> list[bool]:
    """Return for each memory whether the outputs need it.

    Keras leaves masks on tensors whose readers never look at them.
    """
    program = flatten_model(keras.Model([*step.fed, *step.states, *step.memory], step.outputs))
    read = {value for call in ancestors(program.calls, program.outputs) for value in call.inputs}
    return [value in read for value in program.inputs[len(step.fed) + len(step.states) :]]


def _kept(tensors: Sequence[Any], used: Sequence[bool]) -> list[Any]:
    return [tensor for tensor, is_used in zip(tensors, used, strict=True) if is_used]
