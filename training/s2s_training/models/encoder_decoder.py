"""Builders of training models: ordinary Keras Functional models, as a notebook would write them.

Every builder takes the model section of the configuration and the layout of the arrays, and returns an untrained
model. Inputs are `source`, then `factor_1` and so on where it has factors, and, where the decoder is fed, `target` (the
target one step earlier); each is `(batch, time)` int32 ids, or `(batch, time, symbols)` float32 one-hot vectors. The
output is `(batch, target time, target symbols)` float32 probabilities. Nothing depends on the names of layers.

Layers are Keras's own wherever Keras has them. A decoder that feeds its own output back (input feeding, scheduled
sampling, free running) is one layer of this package, which has to be importable when such a model is loaded.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from s2s_training.config.model import ModelConfig, feeds_back
from s2s_training.data.arrays import Layout
from s2s_training.layers.recurrent_cells import RECURRENT_CELLS
from s2s_training.models.encoder_stack import (
    LayerStates,
    after_layer,
    bridged,
    dropped,
    encode,
    encoder_layer,
    memory_for_dot,
    source_context,
)
from s2s_training.models.feedback_decoder import decode
from s2s_training.models.inputs import input_vectors, read_ids, source_vectors
from s2s_training.models.one_pass import build_one_pass


def build_model(config: ModelConfig, layout: Layout) -> keras.Model:
    """Return the model that a configuration describes, with fresh weights.

    Args:
        config: the model section.
        layout: sizes of the vocabularies, one-hot or ids, fixed lengths.
    """
    return BUILDERS[config.kind](config, layout)


def build_encoder_decoder(config: ModelConfig, layout: Layout) -> keras.Model:
    """Return a model whose decoder starts from the encoder's states (Sutskever et al. 2014), with or without attention.

    With attention the decoder's output and the context are combined by a dense tanh layer before the softmax (Luong
    et al. 2015, equation 5). With `peek` the decoder reads the source's last encoder output at every step (Cho et al.
    2014). With `free_running` the target only says how many steps there are.
    """
    sources, embedded = source_vectors(config, layout)
    memory, states = encode(embedded, config)
    if feeds_back(config):
        shape, dtype = ((None, layout.target_size), "float32") if layout.one_hot else ((None,), "int32")
        target = keras.Input(shape, dtype=dtype, name="target")
        probabilities = decode(target, (sources[0], memory, states), config, layout)
        return keras.Model([*sources, target], probabilities, name="encoder_decoder")
    target, embedded, reverse = _target(config, layout)
    output = _peek(embedded, states, config)  # (batch, target time, features)
    for layer, state in enumerate(bridged(states, config), start=1):
        recurrent = _decoder_layer(config, layer)
        given = output
        output = recurrent(given) if state is None else recurrent(given, initial_state=state)
        output = dropped(after_layer(given, output, config), config)
    if config.attention != "none":
        output = dropped(_attend(output, memory, config), config)
    if reverse is None:
        probabilities = layers.Dense(layout.target_size, activation="softmax", name="probabilities")(output)
    else:
        if output.shape[-1] != config.embedding:
            output = layers.Dense(config.embedding, name="projection")(output)
        probabilities = layers.Softmax(name="probabilities")(reverse(output, reverse=True))
    return keras.Model([*sources, target], probabilities, name="encoder_decoder")


def build_repeat_vector(config: ModelConfig, layout: Layout) -> keras.Model:
    """Return a model whose decoder sees the encoder's last output at each of a fixed number of steps, and nothing else.

    As published for addition: LSTM, RepeatVector, LSTM, TimeDistributed(Dense), softmax.
    """
    inputs, output = source_vectors(config, layout)
    for layer in range(1, config.encoder_layers + 1):
        last = layer == config.encoder_layers
        given = output
        output = encoder_layer(config, layer, return_sequences=not last)(given)
        output = dropped(after_layer(given, output, config), config)
    output = layers.RepeatVector(layout.target_length)(output)  # (batch, target time, features)
    for layer in range(1, config.decoder_layers + 1):
        given = output
        output = _decoder_layer(config, layer)(given)
        output = dropped(after_layer(given, output, config), config)
    probabilities = layers.TimeDistributed(layers.Dense(layout.target_size, activation="softmax"))(output)
    return keras.Model(inputs if layout.factor_sizes else inputs[0], probabilities, name="repeat_vector")


BUILDERS = {
    "encoder-decoder": build_encoder_decoder,
    "repeat-vector": build_repeat_vector,
    "same-length": build_one_pass,
    "ctc": build_one_pass,
}


def _decoder_layer(config: ModelConfig, layer: int) -> keras.Layer:
    """Return a recurrent layer of the decoder; they are counted from 1, the lowest."""
    recurrent = RECURRENT_CELLS[config.cell].layer
    return recurrent(config.decoder_width, return_sequences=True, name=f"decoder_{layer}")


def _target(config: ModelConfig, layout: Layout) -> tuple[Any, Any, Any]:
    """Return the decoder's input, its vectors, and the embedding whose transpose gives the logits (None: not tied).

    Tied: one matrix is target embedding and output kernel (Press & Wolf 2017; Inan et al. 2017).
    """
    if not config.tied:
        return *input_vectors("target", layout.target_size, config, layout), None
    ids = keras.Input((None,), dtype="int32", name="target")
    # Rows of length one: with those of `input_vectors` the first logits would spread by the root of embedding.
    initial = keras.initializers.RandomNormal(stddev=config.embedding**-0.5)
    embedding = layers.ReversibleEmbedding(
        layout.target_size,
        config.embedding,
        tie_weights=True,
        embeddings_initializer=initial,
        mask_zero=config.padding == "mask",
        name="target_embedding",
    )
    return ids, read_ids(embedding(ids), ids, config), embedding


def _peek(embedded: Any, states: list[LayerStates], config: ModelConfig) -> Any:
    """Return the decoder's input (batch, target time, features) with the context at every step."""
    if config.peek == "none":
        return embedded
    context = source_context(states, config, embedded.shape[-1])
    if config.peek == "add":
        return embedded + ops.expand_dims(context, 1)
    repeated = ops.expand_dims(context, 1) + ops.zeros_like(embedded[..., :1])  # (batch, target time, memory units)
    return layers.Concatenate(name="peek")([embedded, repeated])


def _attend(query: Any, memory: Any, config: ModelConfig) -> Any:
    """Return the decoder's output (batch, target time, units) combined with what it attends to in the memory."""
    units = config.decoder_width
    if config.attention == "multi-head":  # Vaswani et al. 2017, section 3.2.2, over the encoder's outputs
        context = layers.MultiHeadAttention(config.heads, config.head_width, name="attention")(query, memory)
    elif config.attention == "additive":
        # Keras adds query and key as they are: the two projections of Bahdanau et al. are layers of their own.
        key = layers.Dense(units, use_bias=False, name="attention_key")(memory)
        scored = layers.Dense(units, use_bias=False, name="attention_query")(query)
        context = layers.AdditiveAttention(name="attention")([scored, memory, key])
    elif config.attention == "general":
        key = layers.Dense(units, use_bias=False, name="attention_key")(memory)
        context = layers.Attention(name="attention")([query, memory, key])
    else:
        context = layers.Attention(name="attention")([query, memory_for_dot(memory, config)])
    combined = layers.Concatenate(name="context_and_output")([context, query])
    return layers.Dense(units, activation="tanh", name="attentional")(combined)
