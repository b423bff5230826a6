"""Models to which nothing is fed back: an output for each symbol of the source, or for each of its frames."""

from __future__ import annotations

from typing import Final

import keras
from keras import layers, ops

from s2s_training.config.model import ModelConfig
from s2s_training.data.arrays import Layout
from s2s_training.models.encoder_stack import after_layer, dropped, encoder_layer
from s2s_training.models.inputs import source_vectors

LOGITS: Final = "logits"
"""Name of the layer whose output CTC's loss is taken of."""


def build_one_pass(config: ModelConfig, layout: Layout) -> keras.Model:
    """Return a model of recurrent layers, each over all that is read, and a softmax at each position.

    Where a symbol of the source has several frames it is read as often; what differs from one to the next is in the
    states of the recurrent layers.
    """
    inputs, output = source_vectors(config, layout, frames=layout.frames or 1)
    for layer in range(1, config.encoder_layers + 1):
        given = output
        output = encoder_layer(config, layer, return_sequences=True)(given)
        output = dropped(after_layer(given, output, config), config)
    logits = layers.Dense(layout.target_size, name=LOGITS)(output)
    # Not the layer Softmax: it takes a mask that rides on its input for one over symbols.
    probabilities = layers.Activation("softmax", name="probabilities")(logits)
    return keras.Model(inputs if layout.factor_sizes else inputs[0], probabilities, name=config.kind.replace("-", "_"))


def up_to_logits(model: keras.Model) -> keras.Model:
    """Return the part of a model of one pass that CTC's loss is taken of, with the same layers.

    No mask rides on its output: Keras would lay it over the losses, of which there is one for each source.
    """
    return keras.Model(model.input, ops.multiply(model.get_layer(LOGITS).output, 1.0), name=model.name)
