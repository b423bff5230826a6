"""How ids become vectors, and vectors distributions over ids."""

import keras
from keras import layers

from architectures.parts import EMBEDDED, TARGET, UNITS, embed_source, embed_target, head, source_ids, target_ids


def shared_embedding():
    """One Embedding for source and target."""
    source, target = source_ids(), target_ids()
    embedding = layers.Embedding(TARGET, EMBEDDED, mask_zero=True)
    _, state = layers.GRU(UNITS, return_state=True)(embedding(source))
    y = layers.GRU(UNITS, return_sequences=True)(embedding(target), initial_state=state)
    return keras.Model([source, target], head(y))


def tied_output():
    """Output weights tied to the target embedding."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(EMBEDDED, return_state=True)(embed_source(source))
    embedding = layers.ReversibleEmbedding(TARGET, EMBEDDED, tie_weights=True)
    y = layers.GRU(EMBEDDED, return_sequences=True)(embedding(target), initial_state=state)
    return keras.Model([source, target], layers.Softmax()(embedding(y, reverse=True)))


def time_distributed():
    """TimeDistributed head, activation of its own."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], layers.Activation("softmax")(layers.TimeDistributed(layers.Dense(TARGET))(y)))


def two_heads():
    """Dense after Dense."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], head(layers.Dense(9, activation="relu")(y)))


def logits_head():
    """A head that gives logits."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], layers.Dense(TARGET)(y))


MODELS = (
    shared_embedding,
    tied_output,
    time_distributed,
    two_heads,
    logits_head,
)
