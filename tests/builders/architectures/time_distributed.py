"""Layers that are called at every step of the source by `TimeDistributed`."""

import keras
from keras import layers

from architectures.parts import EMBEDDED, SOURCE, UNITS, embed_source, embed_target, head, source_ids, target_ids


def _encoded(per_step, mask=True):
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(per_step(embed_source(source, mask)))
    decoded = layers.GRU(UNITS, return_sequences=True)(embed_target(target, mask), initial_state=state)
    return keras.Model([source, target], head(decoded))


def time_distributed_encoder():
    """TimeDistributed layers of the encoder, a mask passing through them."""

    def per_step(x):
        x = layers.TimeDistributed(layers.Dense(5, activation="relu"))(x)
        return layers.TimeDistributed(layers.BatchNormalization())(x)

    return _encoded(per_step)


def time_distributed_models():
    """TimeDistributed models of the encoder, convolutions and recurrent layers inside."""
    x = keras.Input((EMBEDDED, 1))
    convolved = layers.GlobalMaxPooling1D()(layers.Conv1D(4, 3, activation="relu")(x))
    read = keras.Sequential([keras.Input((EMBEDDED, 1)), layers.Bidirectional(layers.LSTM(3))])

    def per_step(vectors):
        columns = layers.TimeDistributed(layers.Reshape((EMBEDDED, 1)))(vectors)
        ways = [layers.TimeDistributed(model)(columns) for model in (keras.Model(x, convolved), read)]
        return layers.Concatenate()(ways)

    return _encoded(per_step, mask=False)


def time_distributed_one_hot():
    """TimeDistributed over one-hot rows of any number."""
    source, target = keras.Input((None, SOURCE)), target_ids()
    x = layers.TimeDistributed(layers.Dense(5, activation="tanh"))(source)
    _, h, c = layers.LSTM(UNITS, return_state=True)(x)
    decoded = layers.LSTM(UNITS, return_sequences=True)(embed_target(target, False), initial_state=[h, c])
    return keras.Model([source, target], layers.TimeDistributed(layers.Dense(11, activation="softmax"))(decoded))


MODELS = (
    time_distributed_encoder,
    time_distributed_models,
    time_distributed_one_hot,
)
