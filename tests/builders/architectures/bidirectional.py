"""Encoders that read both ways, whatever joins the two."""

import keras
from keras import layers

from architectures.parts import UNITS, embed_source, embed_target, head, source_ids, target_ids


def bidirectional(cell, merge_mode):
    source, target = source_ids(), target_ids()
    encoded = layers.Bidirectional(cell(UNITS, return_sequences=True), merge_mode=merge_mode)(embed_source(source))
    size = encoded.shape[-1]
    decoded = cell(size, return_sequences=True)(embed_target(target))
    context = layers.Attention()([decoded, encoded])
    return keras.Model([source, target], head(layers.Concatenate()([decoded, context])))


def bidirectional_lstm_concat():
    """Bidirectional(LSTM), merge_mode="concat", read by attention."""
    return bidirectional(layers.LSTM, "concat")


def bidirectional_gru_sum():
    """Bidirectional(GRU), merge_mode="sum"."""
    return bidirectional(layers.GRU, "sum")


def bidirectional_lstm_mul():
    """Bidirectional(LSTM), merge_mode="mul"."""
    return bidirectional(layers.LSTM, "mul")


def bidirectional_rnn_ave():
    """Bidirectional(SimpleRNN), merge_mode="ave"."""
    return bidirectional(layers.SimpleRNN, "ave")


def bidirectional_separate():
    """Bidirectional(GRU), merge_mode=None, the two outputs joined by hand."""
    source, target = source_ids(), target_ids()
    forward, backward = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True), merge_mode=None)(
        embed_source(source)
    )
    decoded = layers.GRU(UNITS, return_sequences=True)(embed_target(target))
    contexts = [layers.Attention()([decoded, way]) for way in (forward, backward)]
    return keras.Model([source, target], head(layers.Concatenate()([decoded, *contexts])))


def bidirectional_states():
    """Bidirectional(LSTM), states joined by Concatenate."""
    source, target = source_ids(), target_ids()
    _, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(UNITS, return_state=True))(embed_source(source))
    states = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    decoded, _, _ = layers.LSTM(2 * UNITS, return_sequences=True, return_state=True)(
        embed_target(target), initial_state=states
    )
    return keras.Model([source, target], head(decoded))


def deep_encoder():
    """Encoder of three bidirectional layers, masks carried through."""
    source, target = source_ids(), target_ids()
    x = embed_source(source)
    for _ in range(2):
        x = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(x)
    memory, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True, return_state=True))(x)
    states = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    y = layers.LSTM(2 * UNITS, return_sequences=True)(embed_target(target), initial_state=states)
    y = layers.Concatenate()([y, layers.Attention()([y, memory])])
    return keras.Model([source, target], head(y))


MODELS = (
    bidirectional_lstm_concat,
    bidirectional_gru_sum,
    bidirectional_lstm_mul,
    bidirectional_rnn_ave,
    bidirectional_separate,
    bidirectional_states,
    deep_encoder,
)
