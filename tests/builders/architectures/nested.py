"""Models used as layers of a model."""

import keras
from keras import layers

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


def nested_models():
    """Encoder and decoder as models of their own."""
    source = source_ids()
    outputs, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    encoder = keras.Model(source, [outputs, state], name="encoder")
    target, memory, start = target_ids(), keras.Input((None, UNITS)), keras.Input((UNITS,))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=start)
    y = layers.Concatenate()([y, layers.Attention()([y, memory])])
    decoder = keras.Model([target, memory, start], head(y), name="decoder")
    english, french = source_ids(), target_ids()
    return keras.Model([english, french], decoder([french, *encoder(english)]))


def nested_models_of_one_naming():
    """Several models inside whose layers have the same names."""

    def encoder(name):
        ids = keras.Input((None,), dtype="int32", name="ids")
        x = layers.Embedding(SOURCE, EMBEDDED, mask_zero=True, name="embed")(ids)
        return keras.Model(ids, layers.GRU(UNITS, return_state=True, name="rnn")(x)[1], name=name)

    def dense(name, size, activation):
        y = keras.Input((None, UNITS), name="y")
        return keras.Model(y, layers.Dense(size, activation=activation, name="dense")(y), name=name)

    source, target = source_ids(), target_ids()
    state = layers.Add()([encoder("one")(source), encoder("other")(source)])
    y = layers.GRU(UNITS, return_sequences=True, name="rnn")(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], dense("last", TARGET, "softmax")(dense("first", UNITS, "tanh")(y)))


def sequential_parts():
    """Sequential models inside."""
    source, target = source_ids(), target_ids()
    front = keras.Sequential([layers.Embedding(SOURCE, EMBEDDED), layers.Dense(5, activation="relu")])
    back = keras.Sequential([layers.Dense(7, activation="tanh"), layers.Dense(TARGET, activation="softmax")])
    _, state = layers.GRU(UNITS, return_state=True)(front(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], back(y))


MODELS = (
    nested_models,
    nested_models_of_one_naming,
    sequential_parts,
)
