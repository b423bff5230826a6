"""Decoders that look back on all of their own prefix: masked self-attention."""

import keras
from keras import layers

from architectures.parts import EMBEDDED, embed_source, embed_target, head, source_ids, target_ids


def transformer_decoder():
    """A Transformer's decoder: causal self-attention, attention over a recurrent encoder, no recurrence of its own."""
    source, target = source_ids(), target_ids()
    memory = layers.GRU(8, return_sequences=True)(embed_source(source))
    read = embed_target(target)
    looked = layers.MultiHeadAttention(2, 4)(read, read, use_causal_mask=True)
    read = layers.LayerNormalization()(layers.Add()([read, looked]))
    context = layers.MultiHeadAttention(2, 4)(read, memory)
    read = layers.LayerNormalization()(layers.Add()([read, context]))
    return keras.Model([source, target], head(layers.Dense(EMBEDDED, activation="relu")(read)))


def looks_back_on_itself():
    """A recurrent decoder that attends over its own outputs so far, of a fixed length; values."""
    source, target = keras.Input((6, 2)), keras.Input((5, 1), name="shifted")
    _, state = layers.GRU(8, return_state=True)(source)
    decoded = layers.GRU(8, return_sequences=True)(target, initial_state=state)
    looked = layers.Attention()([decoded, decoded], use_causal_mask=True)
    return keras.Model([source, target], layers.Dense(1)(layers.Concatenate()([decoded, looked])))


MODELS = (transformer_decoder, looks_back_on_itself)
