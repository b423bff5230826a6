"""Puts a traced step and the encoder it needs together as two Keras models that share their crossing tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from s2s_training.splitting.attention_weights import distributions
from s2s_training.splitting.feeding import WithoutAxis
from s2s_training.splitting.graph import Value, ancestors, flatten_model
from s2s_training.splitting.source_inputs import weights_over_first
from s2s_training.splitting.step import StepTracer


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
