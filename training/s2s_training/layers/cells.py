"""Cells of decoders that read what they have said: stacks, output layers and readouts, one wrapped in the other.

A cell is Keras's notion: `call(inputs, states)` gives an output and the next states. Those here also take a `Given`,
what stays the same through a sequence, and hand it to the cell inside. `conditioned_rnn.ConditionedRNN` runs them over
time, the splitter calls them for one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops, tree

PACKAGE = "s2s_training"


@dataclass
class Given:
    """What a cell reads beside its input and states.

    Attributes:
        memory: encoder outputs (batch, source time, features), for attention.
        keys: what attention compares with, (batch, source time, units); None = the memory itself.
        mask: bool (batch, source time), False where the source is padding; None = all real.
        noise: dropout masks (batch, width) of the stack's layers and its output, the same at every step (Gal &
            Ghahramani 2016); none in inference.
        weights: attention weights (batch, source time), appended by each attention that is called.
    """

    memory: Any = None
    keys: Any = None
    mask: Any = None
    noise: Sequence[Any] = ()
    weights: list[Any] = field(default_factory=list)


def build_once(layer: Any, *shapes: Any) -> None:
    """Build a layer inside another one, unless it came from a file and is built already."""
    if not layer.built:
        layer.build(*shapes)


class StepCell(keras.layers.Layer):
    """A cell that takes a `Given`; the base of those here.

    Attributes:
        state_size: units of each state, a flat list.
        output_size: features of the output.
        query_index: which of the states is the output of the top recurrent cell at the step before.
        attends: whether calling it appends attention weights.
    """

    state_size: list[int]
    output_size: int
    query_index: int = 0
    attends: bool = False

    def noise(self, batch_size: Any) -> list[Any]:
        """Return dropout masks for one call of the layer around this cell; none where there is no dropout."""
        raise NotImplementedError

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return zeros (batch_size, units) for every state."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]


class WrappingCell(StepCell):
    """A `StepCell` around another one.

    Args:
        cell: the one inside.
    """

    def __init__(self, cell: StepCell, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = cell
        self.attends = cell.attends

    def noise(self, batch_size: Any) -> list[Any]:
        """Return the dropout masks of the cell inside."""
        return self.cell.noise(batch_size)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WrappingCell:
        """Build the cell again, and all layers inside it."""
        inside = {
            name: keras.saving.deserialize_keras_object(value)
            for name, value in config.items()
            if isinstance(value, dict) and "class_name" in value and name != "dtype"
        }
        return cls(**config | inside)


@keras.saving.register_keras_serializable(package=PACKAGE)
class StackCell(StepCell):
    """Recurrent cells one above the other.

    Args:
        cells: Keras cells (`LSTMCell`, `GRUCell`, `SimpleRNNCell`), bottom first.
        residual: add a cell's input to its output where both are equally wide (Wu et al. 2016).
        layer_norm: normalise each cell's output (Ba et al. 2016).
        dropout: share of each cell's input, and of the output, that is dropped in training.
        passes_state: one state goes through all cells: each starts from what the one below left at this very step, the
            bottom one from what the top one left at the step before (`inner_broadcast_state` of the add-on library).

    Raises:
        ValueError: with `passes_state`, cells of different states.
    """

    def __init__(
        self,
        cells: Sequence[Any],
        residual: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
        passes_state: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cells = list(cells)
        self.residual, self.layer_norm, self.dropout = residual, layer_norm, dropout
        self.passes_state = passes_state
        self.norms = [keras.layers.LayerNormalization() for _ in self.cells] if layer_norm else []
        self.seed_generator = keras.random.SeedGenerator()
        sizes = [tree.flatten(cell.state_size) for cell in self.cells]
        if passes_state and any(own != sizes[0] for own in sizes):
            raise ValueError(f"passes_state: expected cells of equal states, got state sizes {sizes}")
        self._counts = [len(own) for own in sizes]
        self.state_size = sizes[0] if passes_state else [size for own in sizes for size in own]
        self.output_size = int(tree.flatten(self.cells[-1].output_size)[0])
        self.query_index = 0 if passes_state else sum(self._counts[:-1])

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the cells for inputs (batch, features)."""
        self._widths = [input_shape[-1], *(int(tree.flatten(cell.output_size)[0]) for cell in self.cells)]
        for cell, width in zip(self.cells, self._widths, strict=False):
            build_once(cell, (input_shape[0], width))
        for norm, width in zip(self.norms, self._widths[1:], strict=False):
            build_once(norm, (input_shape[0], width))

    def noise(self, batch_size: Any) -> list[Any]:
        """Return one dropout mask for each cell's input, and one for the output."""
        if not self.dropout:
            return []
        ones = [ops.ones((batch_size, width), dtype=self.compute_dtype) for width in self._widths]
        return [keras.random.dropout(one, self.dropout, seed=self.seed_generator) for one in ones]

    def call(self, inputs: Any, states: Any, given: Any = None) -> tuple[Any, list[Any]]:
        """Take one step from (batch, features) to (batch, units) and the next states."""
        noise = given.noise if given is not None else ()
        left, following, own = list(states), [], list(states)
        for i, cell in enumerate(self.cells):
            inputs = inputs * noise[i] if noise else inputs
            if not self.passes_state:
                own, left = left[: self._counts[i]], left[self._counts[i] :]
            output, own = cell(inputs, own)
            own = tree.flatten(own)
            if self.residual and output.shape[-1] == inputs.shape[-1]:
                output = output + inputs
            inputs = self.norms[i](output) if self.norms else output
            following = own if self.passes_state else [*following, *own]
        return inputs * noise[-1] if noise else inputs, following

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "cells": [keras.saving.serialize_keras_object(cell) for cell in self.cells],
            "residual": self.residual,
            "layer_norm": self.layer_norm,
            "dropout": self.dropout,
            "passes_state": self.passes_state,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StackCell:
        """Build the stack again, and the cells in it."""
        cells = [keras.saving.deserialize_keras_object(cell) for cell in config["cells"]]
        return cls(**config | {"cells": cells})


@keras.saving.register_keras_serializable(package=PACKAGE)
class OutputCell(WrappingCell):
    """A cell with a look-up before it and an output layer behind it, so that its output can be its next input.

    Args:
        cell: what runs between the two.
        size: features of the output; with an embedding, symbols.
        activation: of the output layer.
        embedding: size of the vectors that stand for symbols; 0 = inputs are vectors already.
        tied: the embedding's transpose is the output kernel (Press & Wolf 2017).
    """

    def __init__(
        self,
        cell: StepCell,
        size: int,
        activation: str = "softmax",
        embedding: int = 0,
        tied: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(cell, **kwargs)
        self.size, self.embedding, self.tied = size, embedding, tied
        self.activation = keras.activations.get(activation)
        self.state_size, self.query_index = list(cell.state_size), cell.query_index
        self.output_size = size

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the cell for ids (batch,) or vectors (batch, features)."""
        width = self.embedding or input_shape[-1]
        if self.embedding:
            spread = keras.initializers.RandomNormal(stddev=self.embedding**-0.5 if self.tied else 1.0)
            self.table = self.add_weight((self.size, self.embedding), spread, name="embedding")
        build_once(self.cell, (input_shape[0], width), memory_shape)
        features = self.cell.output_size
        if self.tied and features != self.embedding:
            self.projection = self.add_weight((features, self.embedding), "glorot_uniform", name="projection")
        if not self.tied:
            self.kernel = self.add_weight((features, self.size), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((self.size,), "zeros", name="bias")

    def call(self, inputs: Any, states: Any, given: Any = None) -> tuple[Any, list[Any]]:
        """Take one step from ids (batch,), distributions (batch, size) or vectors to (batch, size) and next states."""
        output, following = self.cell(self.look_up(inputs), states, given=given)
        if not self.tied:
            return self.activation(ops.matmul(output, self.kernel) + self.bias), following
        if self.cell.output_size != self.embedding:
            output = ops.matmul(output, self.projection)
        return self.activation(ops.matmul(output, ops.transpose(self.table)) + self.bias), following

    def look_up(self, inputs: Any) -> Any:
        """Return vectors (batch, features): for ids their rows, for distributions the mean row."""
        if not self.embedding:
            return inputs
        if keras.backend.standardize_dtype(inputs.dtype).startswith(("int", "uint")):
            return ops.take(self.table, inputs, axis=0)
        return ops.matmul(inputs, self.table)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "activation": keras.activations.serialize(self.activation),
            "embedding": self.embedding,
            "tied": self.tied,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class PeekCell(WrappingCell):
    """A cell that reads the same vector at every step beside its input (Cho et al. 2014).

    The vector is its first state, which stays as it is.

    Args:
        cell: what runs.
        peek: how the vector is read: "concat" = as a further input, "add" = added to it.
        width: features of the vector; those of the input where it is added.
    """

    def __init__(self, cell: StepCell, peek: str, width: int, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        if peek not in ("concat", "add"):
            raise ValueError(f"peek: expected 'concat' or 'add', got {peek!r}")
        self.peek, self.width = peek, width
        self.state_size, self.output_size = [width, *cell.state_size], cell.output_size
        self.query_index = cell.query_index + 1

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the cell for inputs (batch, features)."""
        width = input_shape[-1] + (self.width if self.peek == "concat" else 0)
        build_once(self.cell, (input_shape[0], width), memory_shape)

    def call(self, inputs: Any, states: Any, given: Any = None) -> tuple[Any, list[Any]]:
        """Take one step; the first of the next states is the first of these."""
        context, *own = states
        read = ops.concatenate([inputs, context], axis=-1) if self.peek == "concat" else inputs + context
        output, following = self.cell(read, own, given=given)
        return output, [context, *following]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "peek": self.peek, "width": self.width}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ReadoutCell(WrappingCell):
    """A cell whose own output is its next input ("readout").

    Its first state is that output: what it starts from is the first input.

    Args:
        cell: what runs; its input is as wide as its output.
        peek: how the sequence's input is read beside the readout: "concat" = as a further input (Cho et al. 2014),
            "add" = added to it, None = not at all.
    """

    def __init__(self, cell: StepCell, peek: str | None = None, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        if peek not in (None, "concat", "add"):
            raise ValueError(f"peek: expected None, 'concat' or 'add', got {peek!r}")
        self.peek = peek
        self.state_size, self.output_size = [cell.output_size, *cell.state_size], cell.output_size
        self.query_index = cell.query_index + 1

    def build(self, input_shape: Any, memory_shape: Any = None) -> None:
        """Build the cell for sequence inputs (batch, features); without `peek` it reads nothing of them."""
        width = self.output_size + (input_shape[-1] if self.peek == "concat" else 0)
        build_once(self.cell, (input_shape[0], width), memory_shape)

    def call(self, inputs: Any, states: Any, given: Any = None) -> tuple[Any, list[Any]]:
        """Take one step; its output is also the first of the next states."""
        readout, *own = states
        if self.peek == "concat":
            readout = ops.concatenate([readout, inputs], axis=-1)
        elif self.peek == "add":
            readout = readout + inputs
        output, following = self.cell(readout, own, given=given)
        return output, [output, *following]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "peek": self.peek}


def feeds_itself(cell: object) -> bool:
    """Return whether a cell reads nothing of its sequence but how long it is."""
    return isinstance(cell, ReadoutCell) and cell.peek is None
