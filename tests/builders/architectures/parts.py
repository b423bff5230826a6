"""The pieces that the architectures share: sizes, inputs, embeddings, a head, and the usual shape of them all."""

import keras
from keras import layers

SOURCE, TARGET = 13, 11  # vocabulary sizes; id 0 pads, 1 starts, 2 ends
EMBEDDED, UNITS = 6, 8


def source_ids(length=None):
    return keras.Input((length,), dtype="int32", name="source_tokens")


def target_ids(length=None):
    return keras.Input((length,), dtype="int32", name="target_tokens")


def embed_source(ids, mask=True):
    return layers.Embedding(SOURCE, EMBEDDED, mask_zero=mask)(ids)


def embed_target(ids, mask=True):
    return layers.Embedding(TARGET, EMBEDDED, mask_zero=mask)(ids)


def head(x):
    return layers.Dense(TARGET, activation="softmax")(x)


def from_states(make_encoder, make_decoder, mask=True):
    """The usual shape: an encoder layer whose states start a decoder layer."""
    source, target = source_ids(), target_ids()
    _, *states = make_encoder(return_state=True)(embed_source(source, mask))
    decoded = make_decoder(return_sequences=True)(embed_target(target, mask), initial_state=states)
    return keras.Model([source, target], head(decoded))
