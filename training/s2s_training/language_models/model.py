"""A language model: as it is saved, and as it is trained, carrying its states from window to window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import keras
import tensorflow as tf
from keras import layers, ops, tree

from s2s_training.config.model import ModelConfig
from s2s_training.layers.recurrent_cells import RECURRENT_CELLS
from s2s_training.models.encoder_stack import after_layer, dropped, read

_NAME: Final = "language_model"
Recurrent = Callable[[int, Any], Any]


def build_language_model(config: ModelConfig, symbols: int) -> keras.Model:
    """Return a model from ids (batch, time) to the probabilities of what follows each, (batch, time, symbols)."""
    ids = keras.Input((None,), dtype="int32", name="target")
    layer_class = RECURRENT_CELLS[config.cell].layer

    def recurrent(number: int, given: Any) -> Any:
        return layer_class(config.units, return_sequences=True, name=f"decoder_{number}")(given)

    return keras.Model(ids, _stack(ids, config, symbols, recurrent), name=_NAME)


def build_carrying_model(config: ModelConfig, symbols: int, rows: int, start_id: int | None) -> keras.Model:
    """Return the model that is trained in the place of `build_language_model`'s; weights are in the same order.

    Args:
        config: the model section.
        symbols: how many there are.
        rows: of a batch.
        start_id: id before which a text is forgotten; None = it never is.
    """
    ids = keras.Input((None,), dtype="int32", name="target")
    begins = keras.Input((None, 1), name="begins")
    before: list[Any] = []
    after: list[Any] = []

    def recurrent(number: int, given: Any) -> Any:
        cell = ForgettingCell(RECURRENT_CELLS[config.cell].cell(config.units))
        states = [keras.Input((config.units,)) for _ in tree.flatten(cell.state_size)]
        rnn = layers.RNN(cell, return_sequences=True, return_state=True, name=f"decoder_{number}")
        output, *following = rnn(layers.Concatenate()([given, begins]), initial_state=states)
        before.extend(states)
        after.extend(following)
        return output

    probabilities = _stack(ids, config, symbols, recurrent)
    window = keras.Model([ids, begins, *before], [probabilities, *after], name="window")
    return CarryingModel(window, rows, config.units, start_id)


def _stack(ids: Any, config: ModelConfig, symbols: int, recurrent: Recurrent) -> Any:
    """Return the probabilities, given what makes a recurrent layer's output of its number, from 1, and its input."""
    # Rows of length one where the output's kernel is the same matrix; see `s2s_training.models`.
    initial = keras.initializers.RandomNormal(stddev=config.embedding**-0.5 if config.tied else 1.0)
    name = "target_embedding"
    if config.tied:
        embedding = layers.ReversibleEmbedding(
            symbols, config.embedding, tie_weights=True, embeddings_initializer=initial, name=name
        )
    else:
        embedding = layers.Embedding(symbols, config.embedding, initial, name=name)
    output = read(embedding(ids), config)
    for number in range(1, config.decoder_layers + 1):
        given = output
        output = dropped(after_layer(given, recurrent(number, given), config), config)
    if not config.tied:
        return layers.Dense(symbols, activation="softmax", name="probabilities")(output)
    if config.units != config.embedding:
        output = layers.Dense(config.embedding, name="projection")(output)
    return layers.Softmax(name="probabilities")(embedding(output, reverse=True))


class ForgettingCell(layers.Layer):
    """A recurrent cell that forgets its states where it is told to: before a step whose last feature is 1.

    Args:
        cell: reads the other features; its weights are the layer's only ones.
        options: of the layer.
    """

    def __init__(self, cell: Any, **options: Any) -> None:
        super().__init__(**options)
        self.cell = cell
        self.state_size = cell.state_size
        self.output_size = cell.output_size

    def build(self, input_shape: Any) -> None:
        """Build the cell."""
        self.cell.build((*input_shape[:-1], input_shape[-1] - 1))
        self.built = True

    def call(self, inputs: Any, states: Any, training: bool | None = None) -> Any:
        """Return output and states of a step (batch, features)."""
        kept = [state * (1 - inputs[:, -1:]) for state in tree.flatten(states)]
        output, following = self.cell(inputs[:, :-1], kept, training=training)
        return output, following


class CarryingModel(keras.Model):
    """A model of windows, each of which begins with the states that the window before it ended with.

    Args:
        window: from ids, where lines begin, and states to probabilities and states.
        rows: of a batch.
        units: of each state.
        start_id: see `build_carrying_model`.
    """

    def __init__(self, window: keras.Model, rows: int, units: int, start_id: int | None) -> None:
        super().__init__(name=_NAME)
        self.window = window
        self._start_id = -1 if start_id is None else start_id
        # No variables of Keras: they are no part of what is saved, as every epoch begins with zeros.
        self._states = tuple(tf.Variable(tf.zeros((rows, units)), trainable=False) for _ in window.inputs[2:])
        self((tf.zeros((rows, 1), tf.int32), tf.zeros((rows, 1))))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the probabilities of windows.

        Args:
            inputs: ids (rows, time), and where states are carried on, 1 or 0, (rows, 1).
            training: whether dropout acts.
        """
        ids, carried = inputs
        begins = ops.cast(ops.expand_dims(ops.equal(ids, self._start_id), -1), "float32")
        states = [state * carried for state in self._states]
        probabilities, *following = self.window([ids, begins, *states], training=training)
        for state, value in zip(self._states, following, strict=True):
            state.assign(value)
        return probabilities
