"""Several layers on a side, and the layers that stand between them."""

import keras
from keras import layers

from architectures.parts import EMBEDDED, UNITS, embed_source, embed_target, head, source_ids, target_ids


def stacked_each_with_states():
    """Two layers on either side, each started by its encoder twin."""
    source, target = source_ids(), target_ids()
    x, h1, c1 = layers.LSTM(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    _, h2, c2 = layers.LSTM(UNITS, return_state=True)(x)
    y = layers.LSTM(UNITS, return_sequences=True)(embed_target(target), initial_state=[h1, c1])
    y, _, _ = layers.LSTM(UNITS, return_sequences=True, return_state=True)(y, initial_state=[h2, c2])
    return keras.Model([source, target], head(y))


def stacked_first_with_states():
    """Three decoder layers, only the first started by the encoder."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    y = layers.LSTM(UNITS, return_sequences=True)(y)
    y = layers.SimpleRNN(UNITS, return_sequences=True)(y)
    return keras.Model([source, target], head(y))


def residual():
    """Residual connections around decoder layers."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(EMBEDDED, return_state=True)(embed_source(source))
    x = embed_target(target)
    y = layers.Add()([x, layers.GRU(EMBEDDED, return_sequences=True)(x, initial_state=state)])
    y = layers.add([y, layers.GRU(EMBEDDED, return_sequences=True)(y)])
    return keras.Model([source, target], head(y))


def normalised():
    """Layer and batch normalisation, dropout between layers."""
    source, target = source_ids(), target_ids()
    x = layers.LayerNormalization()(embed_source(source))
    _, state = layers.GRU(UNITS, return_state=True)(x)
    y = layers.BatchNormalization()(embed_target(target))
    y = layers.GRU(UNITS, return_sequences=True)(y, initial_state=state)
    y = layers.Dropout(0.4)(layers.LayerNormalization()(y))
    return keras.Model([source, target], head(y))


def convolved_encoder():
    """Convolutions in the encoder."""
    source, target = source_ids(), target_ids()
    x = layers.Conv1D(UNITS, 3, padding="same", activation="relu")(embed_source(source, False))
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(x)
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], head(layers.Concatenate()([y, layers.Attention()([y, memory])])))


MODELS = (
    stacked_each_with_states,
    stacked_first_with_states,
    residual,
    normalised,
    convolved_encoder,
)
