"""Recurrent layers and what can be asked of them, an encoder's states starting the decoder."""

import keras
from keras import layers

from architectures.parts import (
    SOURCE,
    TARGET,
    UNITS,
    embed_source,
    embed_target,
    from_states,
    head,
    source_ids,
    target_ids,
)


def canonical():
    """one-hot LSTM without a mask, the tutorial's model."""
    source, target = keras.Input((None, SOURCE)), keras.Input((None, TARGET))
    _, h, c = layers.LSTM(UNITS, return_state=True)(source)
    decoded, _, _ = layers.LSTM(UNITS, return_sequences=True, return_state=True)(target, initial_state=[h, c])
    return keras.Model([source, target], head(decoded))


def gru_reset_after():
    """GRU, reset_after=True, decoder without return_state."""
    return from_states(lambda **k: layers.GRU(UNITS, **k), lambda **k: layers.GRU(UNITS, **k))


def gru_reset_before():
    """GRU, reset_after=False."""

    def make(**k):
        return layers.GRU(UNITS, reset_after=False, **k)

    return from_states(make, make)


def simple_rnn():
    """SimpleRNN."""
    return from_states(lambda **k: layers.SimpleRNN(UNITS, **k), lambda **k: layers.SimpleRNN(UNITS, **k))


def rnn_of_cell():
    """RNN(LSTMCell)."""

    def make(**k):
        return layers.RNN(layers.LSTMCell(UNITS), **k)

    return from_states(make, make)


def rnn_of_stacked_cells():
    """RNN(StackedRNNCells) of two LSTM cells."""

    def make(**k):
        return layers.RNN(layers.StackedRNNCells([layers.LSTMCell(UNITS), layers.LSTMCell(UNITS)]), **k)

    return from_states(make, make)


def other_activations():
    """LSTM with relu and hard_sigmoid."""

    def make(**k):
        return layers.LSTM(UNITS, activation="relu", recurrent_activation="hard_sigmoid", **k)

    return from_states(make, make)


def activation_without_onnx_twin():
    """GRU with gelu, which ONNX's GRU lacks."""

    def make(**k):
        return layers.GRU(UNITS, activation="gelu", **k)

    return from_states(make, make, mask=False)


def without_bias():
    """LSTM and GRU with use_bias=False."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, use_bias=False, return_state=True)(embed_source(source))
    decoded = layers.GRU(UNITS, use_bias=False, return_sequences=True)(embed_target(target), initial_state=state)
    decoded = layers.LSTM(UNITS, use_bias=False, return_sequences=True)(decoded)
    return keras.Model([source, target], head(decoded))


def encoder_backwards():
    """Encoder with go_backwards=True."""
    return from_states(lambda **k: layers.LSTM(UNITS, go_backwards=True, **k), lambda **k: layers.LSTM(UNITS, **k))


def unrolled():
    """unroll=True on fixed time dimensions."""
    source, target = source_ids(6), target_ids(8)
    _, state = layers.GRU(UNITS, unroll=True, return_state=True)(embed_source(source, False))
    decoded = layers.GRU(UNITS, unroll=True, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], head(decoded))


def dropouts():
    """Dropout and recurrent dropout."""

    def make(**k):
        return layers.LSTM(UNITS, dropout=0.3, recurrent_dropout=0.3, **k)

    return from_states(make, make)


def stateful():
    """stateful=True with a fixed batch size."""
    source = keras.Input(batch_shape=(4, None), dtype="int32", name="source_tokens")
    target = keras.Input(batch_shape=(4, None), dtype="int32", name="target_tokens")
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source, False))
    decoded = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    decoded = layers.LSTM(UNITS, return_sequences=True, stateful=True)(decoded)
    return keras.Model([source, target], head(decoded))


MODELS = (
    canonical,
    gru_reset_after,
    gru_reset_before,
    simple_rnn,
    rnn_of_cell,
    rnn_of_stacked_cells,
    other_activations,
    activation_without_onnx_twin,
    without_bias,
    encoder_backwards,
    unrolled,
    dropouts,
    stateful,
)
