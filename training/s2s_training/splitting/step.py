"""How each kind of decoder layer is called for one target step.

In the step graph a recurrent layer is one call of its cell on states that are graph inputs, a `TimeDistributed` layer
is its inner layer, and every other layer sees a time axis of length 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops, tree

from s2s_training.errors import IN_A_LAYER, SplitError
from s2s_training.layers.cells import feeds_itself
from s2s_training.layers.conditioned_rnn import ConditionedRNN, ConditionedStep
from s2s_training.splitting.attention_layers import ATTENTION, WithAttentionWeights
from s2s_training.splitting.attention_weights import Candidate, extra_outputs, softmax_over_source
from s2s_training.splitting.feeding import WithoutAxis
from s2s_training.splitting.graph import Call, Value, carries_window, substitute, values_in
from s2s_training.splitting.partition import Partition

Fill = Callable[[Any], Any]


@keras.saving.register_keras_serializable(package="s2s")
class InitialState(keras.layers.Wrapper):
    """Gives the state from which a recurrent layer starts when it is given none, for as many rows as its input has.

    Args:
        layer: the recurrent layer; its `get_initial_state` says what the state is (zeros for all of Keras's own).
    """

    def build(self, *_: Any) -> None:
        """Build nothing: the layer has its weights."""
        self.built = True

    def compute_mask(self, *_: Any) -> None:
        """Return None: a state has no time axis."""

    def call(self, x: Any) -> list[Any]:
        """Return one tensor (batch, ...) per state for an `x` of (batch, ...)."""
        return tree.flatten(self.layer.get_initial_state(batch_size=ops.shape(x)[0]))


@keras.saving.register_keras_serializable(package="s2s")
class OneStep(keras.layers.Wrapper):
    """One step of a recurrent cell: what it reads (batch, ...) and its states to its output and the next states.

    The cells of a loaded model share their names, which a model's graph does not allow; this layer has its own.
    """

    def build(self, *_: Any) -> None:
        """Build nothing: the cell has its weights."""
        self.built = True

    def call(self, step: Any, states: Any) -> list[Any]:
        """Return the output and the next states, flattened; `states` are nested as the cell takes them."""
        takes_training = "training" in inspect.signature(self.layer.call).parameters
        output, following = self.layer(step, states, **({"training": False} if takes_training else {}))
        return [output, *tree.flatten(following)]


@keras.saving.register_keras_serializable(package="s2s")
class EmptyWindow(keras.layers.Layer):
    """Gives what stands before the first step, zeros, for as many rows as its input has.

    Args:
        shape: of what a row holds.
        kind: its dtype.
    """

    def __init__(self, shape: Sequence[int], kind: str = "float32", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape, self.kind = tuple(shape), kind

    def call(self, x: Any) -> Any:
        """Return zeros (batch, ...) for an `x` of (batch, ...)."""
        return ops.zeros((ops.shape(x)[0], *self.shape), dtype=self.kind)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the spec of the zeros."""
        return keras.KerasTensor((x.shape[0], *self.shape), self.kind)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "shape": self.shape, "kind": self.kind}


@keras.saving.register_keras_serializable(package="s2s")
class OneConvolution(keras.layers.Wrapper):
    """One step of a causal convolution: its input and those before it to its output and the window of the next step."""

    def build(self, *_: Any) -> None:
        """Build nothing: the layer has its weights."""
        self.built = True

    def call(self, step: Any, window: Any) -> tuple[Any, Any]:
        """Return (batch, 1, filters) and the next window, for (batch, 1, features) and (batch, length, features)."""
        layer, read = self.layer, ops.concatenate([window, step], axis=1)
        made = self._convolved(read)
        made = made + layer.bias if layer.use_bias else made
        return (made if layer.activation is None else layer.activation(made)), read[:, 1:]

    def _convolved(self, read: Any) -> Any:
        """Return (batch, 1, filters) of all steps that one output looks at.

        It is one matrix product; tf2onnx moves axes of size one wrongly from a convolution into what follows it.
        """
        layer, read = self.layer, read[:, :: self.layer.dilation_rate[0]]
        steps, features, filters = layer.kernel.shape
        if layer.groups == 1:
            kernel = ops.reshape(layer.kernel, (steps * features, filters))
            return ops.matmul(ops.reshape(read, (-1, 1, steps * features)), kernel)
        kernel = ops.reshape(layer.kernel, (steps, features, layer.groups, filters // layer.groups))
        read = ops.reshape(read, (-1, steps, layer.groups, features))
        return ops.reshape(ops.einsum("bsgf,sfgn->bgn", read, kernel), (-1, 1, filters))

    def compute_output_spec(self, step: Any, window: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the specs of the output and the next window."""
        made = keras.KerasTensor((step.shape[0], 1, self.layer.filters), self.compute_dtype)
        return made, keras.KerasTensor(window.shape, window.dtype)


def initial_states(call: Call) -> list[Value] | None:
    """Return the encoder values that start a decoder layer, flattened; None when it starts from its own state."""
    given = call.arguments().get("initial_state")
    return list(values_in(given)) if given is not None else None


def own_states(layer: Any) -> Any:
    """Return the states from which a layer starts by itself, nested as its cell takes them, for one row."""
    return layer.get_initial_state(batch_size=1)


def _nested(call: Call, states: Sequence[Any]) -> list[Any]:
    """Return flat states as the cell takes them: nested like those that the layer is given, or else its own."""
    given = call.arguments().get("initial_state")
    alike = own_states(call.operation) if given is None else given
    return list(tree.pack_sequence_as(alike if tree.is_nested(alike) else [alike], list(states)))


@dataclass
class StepTracer:
    """Replays decoder calls for one step and collects what they make.

    Attributes:
        partition: which values change from step to step.
        states: the current states of each recurrent call, in the order of its cell.
        masks: the mask tensor of each memory that has one.
        lengths: source lengths where the training model fixes them.
        next_states: filled while tracing, like `states`.
        attention: attention weights (batch, source time), one tensor per attention layer or hand-made softmax over
            the source, filled while tracing.
        candidates: outputs of custom layers that may be attention weights, filled while tracing.
    """

    partition: Partition
    states: dict[Call, Sequence[Any]]
    masks: dict[Value, Any]
    lengths: frozenset[int] = frozenset()
    next_states: dict[Call, list[Any]] = field(default_factory=dict)
    attention: list[Any] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    def __call__(self, call: Call, fill: Fill) -> Any:
        """Make one call; `graph.replay` takes this as its `run`.

        Raises:
            SplitError: the layer does not accept a single step; the message names it and holds its own words.
        """
        try:
            outputs = self._run(call, fill)
        except (ValueError, TypeError, IndexError) as error:
            kept = IN_A_LAYER.search(str(error))
            reason = (str(error) if kept is None else kept["said"]).strip().split("\n")[0]
            raise SplitError(f"layer {call.name} can't be called on a single target step: {reason}") from error
        for tensor in tree.flatten(outputs):
            # A riding mask here is the target's own: all true for a token that is being fed.
            if tensor is not None:
                tensor._keras_mask = None
        if self.partition.output not in call.outputs:
            self._look_for_weights(call, outputs)
        return outputs

    def _look_for_weights(self, call: Call, outputs: Any) -> None:
        candidate = softmax_over_source(call.operation, tree.flatten(outputs)[0], self.lengths)
        if candidate is not None:
            self.attention.append(candidate.over_source())
        self.candidates += extra_outputs(call.operation, outputs)

    def _run(self, call: Call, fill: Fill) -> Any:
        layer = call.operation
        if call in self.states:
            return self._convolved(call, fill) if carries_window(call) else self._recurrent(call, fill)
        if isinstance(layer, ATTENTION):
            return self._attention(call, fill)
        if isinstance(layer, keras.layers.RNN):
            return self._carried(call, fill)
        if isinstance(layer, keras.layers.RepeatVector) and self.states:
            return ops.expand_dims(fill(call.arguments()["inputs"]), axis=1)
        wide = isinstance(layer, keras.layers.Dense) and len(call.outputs[0].shape) == 3
        if wide or isinstance(layer, keras.layers.TimeDistributed):
            # Without a time axis a Dense layer is a plain matrix product instead of a reshaping contraction.
            given = fill(call.arguments()["inputs"])
            if given.shape[1] == 1:  # else it is the source's axis, which hand-made attention may work on
                step = WithoutAxis(1)(given)
                return ops.expand_dims((layer if wide else layer.layer)(step), axis=1)
        return layer(*fill(call.args), **fill(self._kwargs(call)))

    def _convolved(self, call: Call, fill: Fill) -> Any:
        output, window = OneConvolution(call.operation)(fill(call.arguments()["inputs"]), *self.states[call])
        self.next_states[call] = [window]
        return output

    def _recurrent(self, call: Call, fill: Fill) -> list[Any]:
        layer = call.operation
        arguments = call.arguments()
        mask = arguments.get("mask")
        if isinstance(mask, Value) and mask not in self.partition.decoder_values:
            raise ValueError("its mask is the source's, whose positions are not the target's")
        step = WithoutAxis(1)(fill(next(iter(arguments.values()))))  # (batch, features)
        if isinstance(layer, ConditionedRNN):
            output, *states = self._conditioned(call, fill, step)
        else:
            output, *states = OneStep(layer.cell)(step, _nested(call, self.states[call]))
        self.next_states[call] = states
        unread = [None] * (len(call.outputs) - 1)  # final states, known only when the target has ended
        return [ops.expand_dims(output, axis=1), *unread]

    def _conditioned(self, call: Call, fill: Fill, step: Any) -> list[Any]:
        """Make one call of a cell that reads a memory, or its own last output, beside what is fed."""
        cell, states = call.operation.cell, self.states[call]
        known = {**call.arguments(), **self._kwargs(call)}
        read = {name: fill(known[name]) for name in ("memory", "keys", "memory_mask") if known.get(name) is not None}
        # What feeds itself doesn't read the sequence: the step must not ask for a decoder input.
        output, *rest = ConditionedStep(cell)(states[0] if feeds_itself(cell) else step, *states, **read)
        if cell.attends:
            self.attention.append(rest.pop())
        return [output, *rest]

    def _carried(self, call: Call, fill: Fill) -> list[Any]:
        """Call a layer of an unrolled model once, on a sequence of length 1 and states that are values of the graph."""
        layer, arguments = call.operation, call.arguments()
        sequence = WithoutAxis(1)(fill(next(iter(arguments.values()))))
        output, *states = OneStep(layer.cell)(sequence, _nested(call, tree.flatten(fill(arguments["initial_state"]))))
        output = ops.expand_dims(output, axis=1) if layer.return_sequences else output
        return [output, *(states if layer.return_state else [])]

    def _attention(self, call: Call, fill: Fill) -> Any:
        kwargs = self._kwargs(call)
        asked = kwargs.pop("return_attention_scores", False)
        output, weights = WithAttentionWeights(call.operation)(*fill(call.args), **fill(kwargs))
        if isinstance(call.operation, keras.layers.MultiHeadAttention):
            # Keras's MultiHeadAttention takes the masks off its inputs: layers after it see the memory unmasked.
            for value in call.inputs:
                self.masks.pop(value, None)
        heads = len(weights.shape) == 4  # (batch, heads, 1, source time)
        over_source = ops.mean(weights, axis=1) if heads else weights  # (batch, 1, source time)
        self.attention.append(WithoutAxis(1)(over_source))
        return [output, weights] if asked else output

    def _kwargs(self, call: Call) -> dict[str, Any]:
        """Return the named arguments with every mask made explicit.

        Keras finds masks on the tensors themselves; those that come from the encoder are graph inputs here and must
        be named, those of the target itself are true wherever a step is taken and are dropped.
        """
        kwargs = dict(call.kwargs)
        for name in [name for name in kwargs if _is_mask(name)]:
            kwargs[name] = self._without_target_masks(kwargs[name])
        return with_riding_masks(call, kwargs, self.masks)

    def _without_target_masks(self, structure: Any) -> Any:
        changing = {value: None for value in values_in(structure) if value in self.partition.decoder_values}
        return substitute(structure, changing)


def with_riding_masks(call: Call, kwargs: dict[str, Any], masks: Mapping[Value, Any]) -> dict[str, Any]:
    """Return named arguments of a call with the masks that ride on its tensors, where it takes them and has none."""
    arguments, made = call.arguments(), dict(kwargs)
    parameters = inspect.signature(call.operation.call).parameters
    tensors = {name: given for name, given in arguments.items() if values_in(given) and not _is_mask(name)}
    names = {"mask": next(iter(tensors))} if len(tensors) == 1 else {f"{name}_mask": name for name in tensors}
    for mask_name, name in names.items():
        if mask_name in parameters and made.get(mask_name) is None:
            riding = tree.map_structure(masks.get, tensors[name])
            if any(mask is not None for mask in tree.flatten(riding)):
                made[mask_name] = riding
    return made


def _is_mask(name: str) -> bool:
    return name == "mask" or name.endswith("_mask")
