"""Cells and layers of the user's own: what a cell has to have, states of several axes, loops inside a layer."""

# ruff: noqa: D102  # Keras names what a layer has to have

import keras
from keras import layers, ops

from architectures.parts import UNITS, embed_source, embed_target, from_states, head, source_ids, target_ids

LENGTH, WIDTH = 6, 5  # of the memory that an `AttendingCell` carries


@keras.saving.register_keras_serializable(package="tests")
class BareCell(layers.Layer):
    """No more than Keras asks of a cell: `state_size`, and a call."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.read = self.add_weight(shape=(shape[-1], self.units), name="read")
        self.kept = self.add_weight(shape=(self.units, self.units), name="kept")

    def call(self, inputs, states):
        output = ops.tanh(ops.matmul(inputs, self.read) + ops.matmul(states[0], self.kept))
        return output, [output]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tests")
class AttendingCell(layers.Layer):
    """A GRU cell that looks at a memory among its states, of two axes, which never changes."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.output_size = units, units
        self.state_size = [units, (LENGTH, WIDTH)]
        self.cell, self.query = layers.GRUCell(units), layers.Dense(WIDTH)

    def build(self, shape):
        self.cell.build((None, shape[-1] + WIDTH))
        self.query.build((None, self.units))

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units)), ops.zeros((batch_size, LENGTH, WIDTH))]

    def call(self, inputs, states):
        state, memory = states
        weights = ops.softmax(ops.einsum("bw,blw->bl", self.query(state), memory), axis=-1)
        seen = ops.einsum("bl,blw->bw", weights, memory)
        output, (state,) = self.cell(ops.concatenate([inputs, seen], -1), [state])
        return output, [state, memory]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tests")
class Smoothed(layers.Layer):
    """Scans over time by `ops.scan`, after a recurrent layer and a wrapper of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.rnn = layers.Bidirectional(layers.GRU(4, return_sequences=True))
        self.each = layers.TimeDistributed(layers.Dense(6, activation="tanh"))

    def build(self, shape):
        self.rnn.build(shape)
        self.each.build((*shape[:2], 8))

    def call(self, x, mask=None):
        steps = ops.transpose(self.each(self.rnn(x, mask=mask)), (1, 0, 2))
        _, means = ops.scan(lambda mean, step: ((mean + step) / 2,) * 2, ops.zeros_like(steps[0]), steps)
        return ops.transpose(means, (1, 0, 2))

    def compute_output_shape(self, shape):
        return (*shape[:2], 6)


def cell_of_ones_own():
    """RNN of a cell of the user's own, with nothing but `state_size` and `call`."""
    return from_states(lambda **k: layers.RNN(BareCell(UNITS), **k), lambda **k: layers.RNN(BareCell(UNITS), **k))


def cell_of_ones_own_in_both_directions():
    """Bidirectional RNN of stacked cells of the user's own."""
    source, target = source_ids(), target_ids()
    cells = [BareCell(3), BareCell(4)]
    _, *states = layers.Bidirectional(layers.RNN(cells, return_state=True))(embed_source(source))
    y = layers.RNN([BareCell(6), BareCell(8)], return_sequences=True)(
        embed_target(target), initial_state=[layers.Concatenate()(states[::2]), layers.Concatenate()(states[1::2])]
    )
    return keras.Model([source, target], head(y))


def cell_that_attends():
    """A state of several axes: the memory that the user's own cell attends to."""
    source, target = source_ids(LENGTH), target_ids()
    memory, state = layers.GRU(WIDTH, return_sequences=True, return_state=True)(embed_source(source, False))
    y = layers.RNN(AttendingCell(WIDTH), return_sequences=True)(
        embed_target(target, False), initial_state=[state, memory]
    )
    return keras.Model([source, target], head(y))


def recurrent_layers_inside_a_layer():
    """A layer of the user's own that holds a Bidirectional GRU, a TimeDistributed, and a scan."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(Smoothed()(embed_source(source)))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], head(y))


MODELS = (
    cell_of_ones_own,
    cell_of_ones_own_in_both_directions,
    cell_that_attends,
    recurrent_layers_inside_a_layer,
)
