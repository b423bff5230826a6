"""Builders of training models: ordinary Keras Functional models of standard layers, as a notebook would write them.

Every builder takes the model section of the configuration and the layout of the arrays, and returns an untrained
model. Inputs are `source` and, where the decoder is fed, `target` (the target one step earlier); each is `(batch,
time)` int32 ids, or `(batch, time, symbols)` float32 one-hot vectors. The output is `(batch, target time, target
symbols)` float32 probabilities. Nothing depends on the names of layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from s2s_training.arrays import Layout
from s2s_training.config import ModelConfig

CELLS = {"lstm": layers.LSTM, "gru": layers.GRU}


def build_model(config: ModelConfig, layout: Layout) -> keras.Model:
    """The model that a configuration describes, with fresh weights.

    Args:
        config: the model section.
        layout: sizes of the vocabularies, one-hot or ids, fixed lengths.
    """
    return BUILDERS[config.kind](config, layout)


def build_encoder_decoder(config: ModelConfig, layout: Layout) -> keras.Model:
    """A decoder that starts from the encoder's states (Sutskever et al. 2014), with attention or without.

    With attention the decoder's output and the context are combined by a dense tanh layer before the softmax (Luong
    et al. 2015, equation 5; without input feeding).
    """
    source, embedded = _input("source", layout.source_size, config, layout)
    memory, states = _encode(embedded, config)
    target, embedded = _input("target", layout.target_size, config, layout)
    decoder_units = config.decoder_units or config.memory_units
    initial = [_bridge(own, decoder_units) for own in _states_per_layer(states, config.decoder_layers)]
    output = embedded  # (batch, target time, features)
    for layer, state in enumerate(initial, start=1):
        recurrent = CELLS[config.cell](decoder_units, return_sequences=True, name=f"decoder_{layer}")
        output = _dropout(recurrent(output, initial_state=state), config)
    if config.attention != "none":
        output = _dropout(_attend(output, memory, decoder_units, config), config)
    probabilities = layers.Dense(layout.target_size, activation="softmax", name="probabilities")(output)
    return keras.Model([source, target], probabilities, name="encoder_decoder")


def build_repeat_vector(config: ModelConfig, layout: Layout) -> keras.Model:
    """A decoder that sees the encoder's last output at every one of a fixed number of steps, and nothing else.

    As published for addition: LSTM, RepeatVector, LSTM, TimeDistributed(Dense), softmax.
    """
    source, output = _input("source", layout.source_size, config, layout)
    for layer in range(1, config.encoder_layers + 1):
        last = layer == config.encoder_layers
        output = _dropout(_encoder_layer(config, layer, return_sequences=not last)(output), config)
    output = layers.RepeatVector(layout.target_length)(output)  # (batch, target time, features)
    for layer in range(1, config.decoder_layers + 1):
        recurrent = CELLS[config.cell](
            config.decoder_units or config.memory_units, return_sequences=True, name=f"decoder_{layer}"
        )
        output = _dropout(recurrent(output), config)
    probabilities = layers.TimeDistributed(layers.Dense(layout.target_size, activation="softmax"))(output)
    return keras.Model(source, probabilities, name="repeat_vector")


BUILDERS = {"encoder-decoder": build_encoder_decoder, "repeat-vector": build_repeat_vector}


@dataclass(frozen=True)
class LayerStates:
    """The final states of one encoder layer: one tensor (GRU) or two (LSTM) per direction, each (batch, units)."""

    forward: list[Any]
    backward: list[Any]

    def joined(self) -> list[Any]:
        """Both directions side by side, state by state."""
        if not self.backward:
            return self.forward
        return [layers.Concatenate()([f, b]) for f, b in zip(self.forward, self.backward, strict=True)]


def _input(name: str, size: int, config: ModelConfig, layout: Layout) -> tuple[Any, Any]:
    """An input and its vectors (batch, time, features), masked where the model masks."""
    masked = config.padding == "mask"
    length = layout.source_length if not layout.fed else None  # no decoder input: every length is fixed
    if not layout.one_hot:
        ids = keras.Input((length,), dtype="int32", name=name)
        # Keras's default, uniform in +-0.05, leaves the recurrent layers next to nothing to read at first. Half an
        # epoch of cmudict ended at a validation cross-entropy of 1.68 with it, and of 0.58 with this.
        initial = keras.initializers.RandomNormal(stddev=1.0)
        embedding = layers.Embedding(size, config.embedding, initial, mask_zero=masked, name=f"{name}_embedding")
        return ids, _dropout(embedding(ids), config)
    one_hot = keras.Input((length, size), name=name)
    return one_hot, layers.Masking(name=f"{name}_mask")(one_hot) if masked else one_hot


def _encoder_layer(config: ModelConfig, layer: int, **options: Any) -> keras.Layer:
    name = f"encoder_{layer}"
    if not config.bidirectional:
        return CELLS[config.cell](config.units, name=name, **options)
    return layers.Bidirectional(CELLS[config.cell](config.units, **options), name=name)


def _encode(vectors: Any, config: ModelConfig) -> tuple[Any, list[LayerStates]]:
    """Encoder outputs (batch, source time, memory units), and the final states of each layer."""
    output, states = vectors, []
    for layer in range(1, config.encoder_layers + 1):
        # Only attention and further layers read the outputs; else a single last one costs no time axis.
        sequences = layer < config.encoder_layers or config.attention != "none"
        recurrent = _encoder_layer(config, layer, return_sequences=sequences, return_state=True)
        output, *final = recurrent(output)
        output = _dropout(output, config)
        half = len(final) // 2 if config.bidirectional else len(final)
        states.append(LayerStates(final[:half], final[half:]))
    return output, states


def _states_per_layer(states: list[LayerStates], decoder_layers: int) -> list[list[Any]]:
    """The states each decoder layer starts from: its peer's, counted from the top; the bottom one's below that."""
    encoder_layers = len(states)
    peers = [max(0, encoder_layers - decoder_layers + i) for i in range(decoder_layers)]
    joined = {peer: states[peer].joined() for peer in sorted(set(peers))}
    return [joined[peer] for peer in peers]


def _bridge(states: list[Any], units: int) -> list[Any]:
    """States of the decoder's size: as they are, or through a dense tanh layer each."""
    return [state if state.shape[-1] == units else layers.Dense(units, activation="tanh")(state) for state in states]


def _attend(query: Any, memory: Any, units: int, config: ModelConfig) -> Any:
    """The decoder's output (batch, target time, units) combined with what it attends to in the memory."""
    if config.attention == "additive":
        # Keras adds query and key as they are: the two projections of Bahdanau et al. are layers of their own.
        key = layers.Dense(units, use_bias=False, name="attention_key")(memory)
        scored = layers.Dense(units, use_bias=False, name="attention_query")(query)
        context = layers.AdditiveAttention(name="attention")([scored, memory, key])
    elif config.attention == "general":
        key = layers.Dense(units, use_bias=False, name="attention_key")(memory)
        context = layers.Attention(name="attention")([query, memory, key])
    else:
        context = layers.Attention(name="attention")([query, memory])
    combined = layers.Concatenate(name="context_and_output")([context, query])
    return layers.Dense(units, activation="tanh", name="attentional")(combined)


def _dropout(vectors: Any, config: ModelConfig) -> Any:
    return layers.Dropout(config.dropout)(vectors) if config.dropout else vectors
