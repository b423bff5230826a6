"""Decoders that look back on all of their own prefix: masked self-attention, layers with a recurrence of their own."""

import keras
from keras import layers, ops

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


@keras.saving.register_keras_serializable(package="prefixes")
class RunningMean(layers.Layer):
    """Carries on from step to step inside of one call, and counts the steps."""

    def call(self, x):
        """Return, for each step, the mean of it and those before, beside its number."""

        def step(total, row):
            return total + row, total + row

        _, totals = ops.scan(step, ops.zeros_like(x[:, 0]), ops.moveaxis(x, 1, 0))
        counts = ops.cast(ops.arange(ops.shape(x)[1]) + 1, x.dtype)[None, :, None]
        return ops.moveaxis(totals, 0, 1) / counts + 0.1 * counts

    def compute_output_spec(self, x):
        """Return the spec of the means."""
        return keras.KerasTensor(x.shape, x.dtype)


def recurrence_in_a_decoder_layer():
    """A layer of the user's own that carries on from step to step by itself, on the decoder's side."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(8, return_state=True)(embed_source(source))
    decoded = layers.GRU(8, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], head(RunningMean(name="position")(decoded)))


MODELS = (transformer_decoder, looks_back_on_itself, recurrence_in_a_decoder_layer)
