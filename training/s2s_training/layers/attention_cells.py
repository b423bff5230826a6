"""Attention inside a decoder cell, where a step's attention is read by the next step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from s2s_training.layers.cells import PACKAGE, Given, StepCell, WrappingCell, build_once

FORMS = ("dot", "general", "additive")
_NEVER = -6e4  # a float16 too


@keras.saving.register_keras_serializable(package=PACKAGE)
class Alignment(keras.layers.Layer):
    """Scores the memory against one query, and returns the sum of the memory weighted by the scores.

    `dot`: query . memory, `general`: query . keys, where keys = W memory (Luong et al. 2015, equation 8); `additive`:
    v . tanh(W query + keys), where keys = U memory (Bahdanau et al. 2014, A.1.2). The keys are made outside, once per
    sentence.

    Args:
        form: "dot", "general" or "additive".
        units: features of the keys.
    """

    def __init__(self, form: str, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if form not in FORMS:
            raise ValueError(f"form: expected one of {', '.join(FORMS)}, got {form!r}")
        self.form, self.units = form, units

    def context_width(self, memory_width: int) -> int:
        """Return the features of the context: those of the memory."""
        return memory_width

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the layer for queries (batch, features)."""
        if self.form == "additive":
            self.kernel = self.add_weight((input_shape[-1], self.units), "glorot_uniform", name="kernel")
            self.scale = self.add_weight((self.units, 1), "glorot_uniform", name="scale")

    def call(self, query: Any, given: Any) -> Any:
        """Return the context (batch, memory features) of queries (batch, features); append the weights to `given`."""
        keys = given.memory if given.keys is None else given.keys
        if self.form == "additive":
            mixed = ops.tanh(ops.expand_dims(ops.matmul(query, self.kernel), 1) + keys)
            scores = ops.squeeze(ops.matmul(mixed, self.scale), axis=-1)  # (batch, source time)
        else:
            scores = ops.squeeze(ops.matmul(keys, ops.expand_dims(query, -1)), axis=-1)
        if given.mask is not None:
            scores = ops.where(given.mask, scores, _NEVER)
        weights = ops.softmax(scores, axis=-1)
        given.weights.append(weights)
        return ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), given.memory), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "form": self.form, "units": self.units}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MultiHeadAlignment(keras.layers.Layer):
    """Scores the memory against one query, head by head (Vaswani et al. 2017, section 3.2.2).

    Keys and values are made outside, once per sentence: the keys of all heads side by side, and the memory that is
    summed are the values of all heads.

    Args:
        heads: how many.
        width: features of each head's keys and values.
        units: features of the context.
    """

    def __init__(self, heads: int, width: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.width, self.units = heads, width, units

    def context_width(self, memory_width: int) -> int:
        """Return the features of the context, whatever those of the memory are."""
        return self.units

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the layer for queries (batch, features)."""
        joined = self.heads * self.width
        self.query_kernel = self.add_weight((input_shape[-1], joined), "glorot_uniform", name="query_kernel")
        self.query_bias = self.add_weight((joined,), "zeros", name="query_bias")
        self.kernel = self.add_weight((joined, self.units), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((self.units,), "zeros", name="bias")

    def call(self, query: Any, given: Any) -> Any:
        """Return the context (batch, units) of queries (batch, features); append the mean of the heads' weights."""
        queries = self._by_head(ops.expand_dims(ops.matmul(query, self.query_kernel) + self.query_bias, 1))
        scores = ops.sum(queries * self._by_head(given.keys), axis=-1) * self.width**-0.5  # (batch, source time, heads)
        if given.mask is not None:
            scores = ops.where(ops.expand_dims(given.mask, -1), scores, _NEVER)
        weights = ops.softmax(scores, axis=1)
        given.weights.append(ops.mean(weights, axis=-1))
        summed = ops.sum(ops.expand_dims(weights, -1) * self._by_head(given.memory), axis=1)  # (batch, heads, width)
        return ops.matmul(ops.reshape(summed, (-1, self.heads * self.width)), self.kernel) + self.bias

    def _by_head(self, vectors: Any) -> Any:
        """Return (batch, time, heads, width) of (batch, time, heads * width)."""
        return ops.reshape(vectors, (-1, ops.shape(vectors)[1], self.heads, self.width))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "heads": self.heads, "width": self.width, "units": self.units}


class _AttendingCell(WrappingCell):
    """A cell that attends to the memory with an `Alignment`, or one of several heads."""

    def __init__(self, cell: StepCell, alignment: Alignment | MultiHeadAlignment, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self.alignment = alignment
        self.attends = True

    def _context(self, query: Any, given: Given | None) -> Any:
        if given is None or given.memory is None:
            raise ValueError(f"{self.name} attends to a memory, but got none: call the layer with memory=")
        return self.alignment(query, given=given)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "alignment": keras.saving.serialize_keras_object(self.alignment)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class AttentionCell(_AttendingCell):
    """Attention after the recurrent step, with input feeding or without (Luong et al. 2015, sections 3.1 and 3.3).

    The attentional vector tanh(W [context; output]) is the output and, with input feeding, its last state, joined to
    the next step's input.

    Args:
        cell: the recurrent step.
        alignment: scores its output.
        units: size of the attentional vector.
        input_feeding: whether the next step reads it.
    """

    def __init__(
        self,
        cell: StepCell,
        alignment: Alignment | MultiHeadAlignment,
        units: int,
        input_feeding: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(cell, alignment, **kwargs)
        self.units, self.input_feeding = units, input_feeding
        self.state_size = [*cell.state_size, *([units] if input_feeding else [])]
        self.output_size, self.query_index = units, cell.query_index

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the cell for inputs (batch, features) and a memory (batch, source time, features)."""
        fed = self.units if self.input_feeding else 0
        build_once(self.cell, (input_shape[0], input_shape[-1] + fed), memory_shape)
        build_once(self.alignment, (input_shape[0], self.cell.output_size))
        width = self.alignment.context_width(memory_shape[-1]) + self.cell.output_size
        self.kernel = self.add_weight((width, self.units), "glorot_uniform", name="attentional_kernel")
        self.bias = self.add_weight((self.units,), "zeros", name="attentional_bias")

    def call(self, inputs: Any, states: Any, given: Any = None) -> tuple[Any, list[Any]]:
        """Take one step from (batch, features) to the attentional vector (batch, units) and the next states."""
        own = list(states)
        if self.input_feeding:
            inputs = ops.concatenate([inputs, own.pop()], axis=-1)
        output, following = self.cell(inputs, own, given=given)
        joined = ops.concatenate([self._context(output, given), output], axis=-1)
        attentional = ops.tanh(ops.matmul(joined, self.kernel) + self.bias)
        return attentional, [*following, *([attentional] if self.input_feeding else [])]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "input_feeding": self.input_feeding}


@keras.saving.register_keras_serializable(package=PACKAGE)
class AlignedCell(_AttendingCell):
    """Attention before the recurrent step (Bahdanau et al. 2014, section 3.1).

    The state of the step before is aligned with the memory; the context is read with the input, and stands beside the
    output, so that an output layer reads both.

    Args:
        cell: the recurrent step.
        alignment: scores the state of its top cell.
        memory_units: features of the memory.
    """

    def __init__(self, cell: StepCell, alignment: Alignment, memory_units: int, **kwargs: Any) -> None:
        super().__init__(cell, alignment, **kwargs)
        self.memory_units = memory_units
        self.state_size, self.query_index = list(cell.state_size), cell.query_index
        self.output_size = cell.output_size + memory_units

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the cell for inputs (batch, features)."""
        build_once(self.cell, (input_shape[0], input_shape[-1] + self.memory_units), memory_shape)
        build_once(self.alignment, (input_shape[0], self.state_size[self.query_index]))

    def call(self, inputs: Any, states: Any, given: Any = None) -> tuple[Any, list[Any]]:
        """Take one step from (batch, features) to (batch, units + memory features) and the next states."""
        context = self._context(states[self.query_index], given)
        output, following = self.cell(ops.concatenate([inputs, context], axis=-1), states, given=given)
        return ops.concatenate([output, context], axis=-1), following

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "memory_units": self.memory_units}
