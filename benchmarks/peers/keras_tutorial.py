"""The canonical translator in Keras, training model and inference models, built the way the tutorial builds them."""

from __future__ import annotations

import keras
from keras import layers

from peers.weights import Weights


def build_training_model(weights: Weights) -> keras.Model:
    """Return encoder and decoder LSTM over one-hot vectors of any length, a softmax over the target's symbols."""
    encoder_inputs = keras.Input((None, weights.source_size))
    _, state_h, state_c = layers.LSTM(weights.units, return_state=True, name="encoder")(encoder_inputs)
    decoder_inputs = keras.Input((None, weights.target_size))
    decoder = layers.LSTM(weights.units, return_sequences=True, return_state=True, name="decoder")
    outputs, _, _ = decoder(decoder_inputs, initial_state=[state_h, state_c])
    outputs = layers.Dense(weights.target_size, activation="softmax", name="probabilities")(outputs)
    model = keras.Model([encoder_inputs, decoder_inputs], outputs)
    model.get_layer("encoder").set_weights([weights.encoder_kernel, weights.encoder_recurrent, weights.encoder_bias])
    decoder.set_weights([weights.decoder_kernel, weights.decoder_recurrent, weights.decoder_bias])
    model.get_layer("probabilities").set_weights([weights.dense_kernel, weights.dense_bias])
    return model


def build_inference_models(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the tutorial's two models: source to states; token and states to probabilities and states."""
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    encoder_model = keras.Model(model.inputs[0], encoder.output[1:])
    token = keras.Input((None, model.inputs[1].shape[-1]))
    states = [keras.Input((encoder.units,)), keras.Input((encoder.units,))]
    outputs, state_h, state_c = decoder(token, initial_state=states)
    probabilities = model.get_layer("probabilities")(outputs)
    return encoder_model, keras.Model([token, *states], [probabilities, state_h, state_c])
