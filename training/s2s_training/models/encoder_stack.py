"""Encoders: stacks of recurrent layers, and how their states and outputs reach a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from s2s_training.config.model import ModelConfig
from s2s_training.layers.recurrent_cells import RECURRENT_CELLS


@dataclass(frozen=True)
class LayerStates:
    """The final states of one encoder layer: one tensor per direction, or two (LSTM), each (batch, units)."""

    forward: list[Any]
    backward: list[Any]

    def joined(self) -> list[Any]:
        """Return both directions side by side, state by state: (batch, units of both) each."""
        if not self.backward:
            return self.forward
        return [layers.Concatenate()([f, b]) for f, b in zip(self.forward, self.backward, strict=True)]


def encode(vectors: Any, config: ModelConfig) -> tuple[Any, list[LayerStates]]:
    """Run the encoder on vectors.

    Args:
        vectors: (batch, source time, features).
        config: the model section.

    Returns:
        Encoder outputs (batch, source time, memory units), or the last one where nothing reads the others, and the
        final states of each layer.
    """
    output, states = vectors, []
    for layer in range(1, config.encoder_layers + 1):
        # Only attention and further layers read the outputs; else a single last one costs no time axis.
        sequences = layer < config.encoder_layers or config.attention != "none"
        recurrent = encoder_layer(config, layer, return_sequences=sequences, return_state=True)
        given = output
        output, *final = recurrent(given)
        output = dropped(after_layer(given, output, config), config)
        half = len(final) // 2 if config.bidirectional else len(final)
        states.append(LayerStates(final[:half], final[half:]))
    return output, states


def encoder_layer(config: ModelConfig, layer: int, **options: Any) -> keras.Layer:
    """Return a recurrent layer of the encoder, wrapped where it reads both ways; `options` are for Keras's layer."""
    name, recurrent = f"encoder_{layer}", RECURRENT_CELLS[config.cell].layer
    if not config.bidirectional:
        return recurrent(config.units, name=name, **options)
    return layers.Bidirectional(recurrent(config.units, **options), name=name)


def after_layer(given: Any, output: Any, config: ModelConfig) -> Any:
    """Return the output after what the configuration puts behind a recurrent layer.

    A residual connection (He et al. 2016; Wu et al. 2016 between recurrent layers) wherever the layer's input and
    output are equally wide, then layer normalisation (Ba et al. 2016).

    Args:
        given: the layer's input.
        output: its output, with the same axes (a last output alone has no residual connection).
        config: the model section.
    """
    if config.residual and len(given.shape) == len(output.shape) and given.shape[-1] == output.shape[-1]:
        output = layers.Add()([given, output])
    return layers.LayerNormalization()(output) if config.layer_norm else output


def states_per_layer(states: Sequence[LayerStates], decoder_layers: int) -> list[list[Any]]:
    """Return the states from which each decoder layer starts.

    They are those of the encoder layer at the same height, counted from the top. Decoder layers that are lower than
    every encoder layer start from the states of the lowest one.
    """
    encoder_layers = len(states)
    peers = [max(0, encoder_layers - decoder_layers + i) for i in range(decoder_layers)]
    joined = {peer: states[peer].joined() for peer in sorted(set(peers))}
    return [joined[peer] for peer in peers]


def bridged(states: Sequence[LayerStates], config: ModelConfig) -> list[list[Any] | None]:
    """Return what each decoder layer starts from, by `config.bridge`: (batch, decoder units) each, None = zeros."""
    if config.bridge == "none":
        return [None] * config.decoder_layers
    return [[_bridge(own, config) for own in layer] for layer in states_per_layer(states, config.decoder_layers)]


def _bridge(state: Any, config: ModelConfig) -> Any:
    units = config.decoder_width
    if config.bridge == "auto" and state.shape[-1] == units:
        return state
    return layers.Dense(units, activation="tanh")(state)


def source_context(states: Sequence[LayerStates], config: ModelConfig, width: int) -> Any:
    """Return the source in one vector for `config.peek`: the last output of the encoder's top layer.

    Args:
        states: of the encoder's layers.
        config: the model section.
        width: of what the vector is added to, which a dense layer then makes it as wide as.

    Returns:
        (batch, memory units), or (batch, width) where it is to be added.
    """
    top = states[-1]
    context = layers.Concatenate()([top.forward[0], top.backward[0]]) if top.backward else top.forward[0]
    if config.peek == "add" and context.shape[-1] != width:
        return layers.Dense(width, name="peek")(context)
    return context


def memory_for_dot(memory: Any, config: ModelConfig) -> Any:
    """Return the memory (batch, source time, decoder units) for dot attention, projected where its width is another."""
    if memory.shape[-1] == config.decoder_width:
        return memory
    return layers.Dense(config.decoder_width, use_bias=False, name="attention_memory")(memory)


def read(vectors: Any, config: ModelConfig) -> Any:
    """Return the vectors (batch, time, features) of symbols as a model reads them, after both kinds of dropout."""
    return dropped(word_dropped(vectors, config), config)


def word_dropped(vectors: Any, config: ModelConfig) -> Any:
    """Return the vectors (batch, time, features) of symbols, in training some of them zeros where that is asked for."""
    if not config.word_dropout:
        return vectors
    return layers.Dropout(config.word_dropout, noise_shape=(None, None, 1))(vectors)


def dropped(vectors: Any, config: ModelConfig) -> Any:
    """Return the vectors after dropout, where there is any."""
    return layers.Dropout(config.dropout)(vectors) if config.dropout else vectors
