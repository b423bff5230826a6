"""Decoders without recurrent layers that can be run step by step all the same: causal convolutions."""

import keras
from keras import layers

from architectures.parts import SOURCE, TARGET, embed_target, head, target_ids


def causal_convolutions():
    """Causal convolutions on both sides, dilated, attention by hand between; one-hot rows."""
    source, target = keras.Input((None, SOURCE)), keras.Input((None, TARGET))
    memory = layers.Conv1D(8, 3, activation="relu", padding="causal")(source)
    decoded = layers.Conv1D(8, 3, activation="relu", padding="causal")(target)
    decoded = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, use_bias=False)(decoded)
    weights = layers.Activation("softmax")(layers.Dot(axes=[2, 2])([decoded, memory]))
    joined = layers.Concatenate()([decoded, layers.Dot(axes=[2, 1])([weights, memory])])
    return keras.Model([source, target], head(layers.Conv1D(8, 2, padding="causal")(joined)))


def convolution_before_the_decoder():
    """A causal convolution, and one of width 1, before the decoder's recurrent layer."""
    source, target = keras.Input((None, 3), name="source"), target_ids()
    state = layers.GRU(8)(layers.Masking()(source))
    read = layers.Conv1D(6, 1)(layers.Conv1D(6, 2, padding="causal")(embed_target(target, mask=False)))
    return keras.Model([source, target], head(layers.GRU(8, return_sequences=True)(read, initial_state=state)))


MODELS = (causal_convolutions, convolution_before_the_decoder)
