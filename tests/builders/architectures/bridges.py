"""What goes from the encoder to the decoder other than its states as they are."""

import keras
from keras import layers, ops

from architectures.parts import (
    EMBEDDED,
    SOURCE,
    TARGET,
    UNITS,
    embed_source,
    embed_target,
    head,
    source_ids,
    target_ids,
)


def joined(join):
    source, target = source_ids(), target_ids()
    embedded = embed_source(source)
    _, h1, c1 = layers.LSTM(UNITS, return_state=True)(embedded)
    _, h2, c2 = layers.LSTM(UNITS, return_state=True, go_backwards=True)(embedded)
    y = layers.LSTM(UNITS, return_sequences=True)(
        embed_target(target), initial_state=[join()([h1, h2]), join()([c1, c2])]
    )
    return keras.Model([source, target], head(y))


def states_added():
    """Two encoders, states joined by Add."""
    return joined(layers.Add)


def states_averaged():
    """Two encoders, states joined by Average."""
    return joined(layers.Average)


def dense_bridge():
    """States passed through Dense bridges."""
    source, target = source_ids(), target_ids()
    _, h, c = layers.LSTM(UNITS, return_state=True)(embed_source(source))
    bridged = [layers.Dense(5, activation="tanh")(state) for state in (h, c)]
    y = layers.LSTM(5, return_sequences=True)(embed_target(target), initial_state=bridged)
    return keras.Model([source, target], head(y))


def started_from_output():
    """Decoder started from the encoder's output vector."""
    source, target = source_ids(), target_ids()
    vector = layers.GRU(UNITS)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=vector)
    return keras.Model([source, target], head(y))


def context_repeated():
    """A context vector repeated (RepeatVector) and concatenated to every decoder step."""
    source, target = source_ids(), target_ids(8)
    vector, h, c = layers.LSTM(UNITS, return_state=True)(embed_source(source))
    repeated = layers.RepeatVector(8)(vector)
    y = layers.Concatenate()([embed_target(target, False), repeated])
    y = layers.LSTM(UNITS, return_sequences=True)(y, initial_state=[h, c])
    return keras.Model([source, target], head(y))


def context_broadcast():
    """A context vector broadcast with keras.ops and added to every decoder step."""
    source, target = source_ids(), target_ids()
    vector, state = layers.GRU(EMBEDDED, return_state=True)(embed_source(source))
    embedded = embed_target(target)
    y = embedded + ops.expand_dims(vector, 1) * ops.ones_like(embedded)
    y = layers.GRU(EMBEDDED, return_sequences=True)(y, initial_state=state)
    return keras.Model([source, target], head(y))


def pooled_context():
    """GlobalAveragePooling1D over masked encoder outputs, concatenated at every step."""
    source, target = source_ids(), target_ids()
    memory = layers.GRU(UNITS, return_sequences=True)(embed_source(source))
    context = layers.GlobalAveragePooling1D()(memory)
    embedded = embed_target(target)
    repeated = ops.expand_dims(context, 1) + ops.zeros_like(embedded[..., :1])
    y = layers.GRU(UNITS, return_sequences=True)(layers.Concatenate()([embedded, repeated]))
    return keras.Model([source, target], head(y))


def repeat_vector():
    """RepeatVector decoder, nothing fed back (addition)."""
    return keras.Sequential(
        [
            keras.Input((7, SOURCE)),
            layers.LSTM(UNITS),
            layers.RepeatVector(4),
            layers.LSTM(UNITS, return_sequences=True),
            layers.TimeDistributed(layers.Dense(TARGET)),
            layers.Activation("softmax"),
        ]
    )


MODELS = (
    states_added,
    states_averaged,
    dense_bridge,
    started_from_output,
    context_repeated,
    context_broadcast,
    repeat_vector,
    pooled_context,
)
