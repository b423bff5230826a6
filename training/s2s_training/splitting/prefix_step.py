"""Decoders that are run on their whole prefix again at every step.

Masked self-attention, and whatever else looks back without recurrence, has no state of a fixed size. Where trying shows
that no step depends on a later one, the prefix itself is the state: a step writes down what it is fed and runs the
decoder on all of it. That is exact, and costs more with every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from s2s_runtime.spelling import option
from s2s_training.errors import SplitError, UnsaidError
from s2s_training.splitting.assemble import Crossing, Step
from s2s_training.splitting.feeding import AtPosition, StepFeeder
from s2s_training.splitting.graph import Call, Graph, Value, ancestors, replay
from s2s_training.splitting.partition import Partition, fed_readings, no_source
from s2s_training.splitting.source_inputs import noise, read_beside, sets_target_steps
from s2s_training.splitting.step import EmptyWindow, Fill, with_riding_masks

_STEPS = 6  # of the target, on which it is tried whether a decoder is causal
_RANKS = (2, 3)


@dataclass(frozen=True)
class Prefix:
    """A decoder whose state is its prefix.

    Attributes:
        reading: what is the encoder's and what the decoder's; its problems are why it can't be stepped otherwise.
        longest: most steps that it can take.
    """

    reading: Partition
    longest: int


def find_prefix(graph: Graph, decoder_input: str | None, fed: Sequence[Value], longest: int | None) -> Prefix | None:
    """Return the reading in which no output depends on later steps of the target; None where there isn't just one.

    Args:
        graph: the whole training model.
        decoder_input: name of the decoder's input, where it was said.
        fed: inputs that are known to be read step by step.
        longest: most steps of the target, where it was said.

    Raises:
        SplitError: how long a target may get was not said, and the model doesn't fix it.
    """
    found = [reading for reading in fed_readings(graph, decoder_input, fed) if _is_causal(graph, reading)]
    if len(found) != 1:
        return None
    (reading,) = found
    if reading.unclear:
        raise SplitError(reading.unclear)
    fixed = [value.shape[1] for value in reading.decoder_inputs if value.shape[1] is not None]
    most = min([*fixed, *([] if longest is None else [longest])], default=None)
    if most is None:
        raise UnsaidError(
            "the decoder has no state of a fixed size and is run on its whole prefix again at every step "
            f"({'; '.join(reading.problems)}): give {option('max_length', 'N')}, the most steps that it may take"
        )
    return Prefix(reading, fixed[0] if fixed else most)


def _is_causal(graph: Graph, reading: Partition) -> bool:
    """Return whether an output depends on the source and on no later step of the target, as runs on noise show."""
    used = {value for call in ancestors(graph.calls, [reading.output]) for value in call.inputs}
    inputs = reading.decoder_inputs
    sources = [value for value in graph.inputs if value in used and value not in inputs]
    ranks = all(len(value.shape) in _RANKS for value in inputs) and len(reading.output.shape) == 3
    fixed = {value.shape[1] for value in inputs}
    if (not sources and no_source(graph) is None) or not ranks or len(fixed) > 1 or read_beside(graph, inputs):
        return False
    if not sets_target_steps(graph, reading.output, inputs):
        return False
    (steps,) = fixed
    rng = np.random.default_rng(0)
    made_up = {value: noise(rng, graph, value, steps or _STEPS) for value in (*sources, *inputs)}
    whole = _output(graph, reading.output, made_up)
    if whole is None:
        return False
    for cut in sorted({1, (steps or _STEPS) // 2, (steps or _STEPS) - 1} - {0}):
        other = dict(made_up)
        for value in inputs:
            later = noise(rng, graph, value, steps or _STEPS)[:, cut:]
            other[value] = np.concatenate([made_up[value][:, :cut], later], axis=1)
        cases = [other] if steps else [other, {**made_up, **{value: made_up[value][:, :cut] for value in inputs}}]
        for made in (_output(graph, reading.output, case) for case in cases):
            if made is None or not np.allclose(made[:, :cut], whole[:, :cut], atol=1e-5):
                return False
    return True


def _output(graph: Graph, output: Value, inputs: Mapping[Value, np.ndarray]) -> np.ndarray | None:
    environment: dict[Value, Any] = {value: ops.convert_to_tensor(a, dtype=value.dtype) for value, a in inputs.items()}
    try:
        replay(ancestors(graph.calls, [output]), environment)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None
    return np.asarray(environment[output])


@keras.saving.register_keras_serializable(package="s2s")
class GrowingPrefix(keras.layers.Layer):
    """Writes a step behind those before it, and gives all that is written.

    Args:
        whole: whether it gives the places that nothing is written in yet too, for decoders of a fixed length.
    """

    def __init__(self, whole: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.whole = whole

    def call(self, written: Any, step: Any, position: Any) -> tuple[Any, Any]:
        """Return the next (batch, longest, ...), and its steps so far, for (batch, 1, ...) and int32 (batch, 1)."""
        here = ops.equal(ops.arange(written.shape[1], dtype=position.dtype)[None], position)
        here = here[..., None] if len(written.shape) > 2 else here
        following = ops.where(here, ops.cast(step, written.dtype), written)
        return following, following if self.whole else following[:, : ops.max(position) + 1]

    def compute_output_spec(
        self, written: Any, step: Any, position: Any
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the specs of both; how many steps there are so far isn't known."""
        steps = written.shape[1] if self.whole else None
        shape = (written.shape[0], steps, *written.shape[2:])
        return keras.KerasTensor(written.shape, written.dtype), keras.KerasTensor(shape, written.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "whole": self.whole}


def empty_prefixes(prefix: Prefix, feeder: StepFeeder, rows: Any) -> list[Any]:
    """Return what the states start from: nothing written for each of the decoder's inputs, for as many rows."""
    values = [read.value for read in feeder.inputs]
    return [EmptyWindow((prefix.longest, *value.shape[2:]), value.dtype)(rows) for value in values]


def run_prefix(prefix: Prefix, crossing: Crossing, feeder: StepFeeder) -> Step:
    """Replay the decoder's calls on the prefix, one step longer."""
    reading, (memory, masks) = prefix.reading, crossing.inputs()
    written = {
        value: keras.Input((prefix.longest, *value.shape[2:]), dtype=value.dtype, name=f"s2s.prefix_{i}")
        for i, value in enumerate(read.value for read in feeder.inputs)
    }
    position, fed = keras.Input((1,), dtype="int32", name="s2s.position"), feeder.fresh()
    environment, following = dict(memory), []
    for value, step in feeder.step(fed, memory, position, position).items():
        made, environment[value] = GrowingPrefix(value.shape[1] is not None)(written[value], step, position)
        following.append(made)
    riding = dict(masks)

    def run(call: Call, fill: Fill) -> Any:
        """Make a call as the training model does; what rides on the memory has to be named."""
        made = call.operation(*fill(call.args), **fill(with_riding_masks(call, call.kwargs, riding)))
        if isinstance(call.operation, keras.layers.MultiHeadAttention):  # it takes the masks off its inputs
            for value in call.inputs:
                riding.pop(value, None)
        return made

    replay(reading.decoder_calls, environment, run)
    output = ops.squeeze(AtPosition()(environment[reading.output], position), axis=1)
    states = [*written.values(), position]
    return Step(fed, states, [*memory.values(), *masks.values()], [output, *following, position + 1], attention=False)
