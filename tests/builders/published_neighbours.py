"""Models of one pass, causal ones, language models and recognisers of CTC, in the manner of published ones.

Each is small and in words of its own; what is kept is its wiring and how its author uses it, which is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
from keras import layers, ops

IDS, LENGTH, CLASSES = 11, 8, 7

Use = Literal["tags", "values", "next symbol", "ctc", "followed"]


@dataclass(frozen=True)
class Neighbour:
    """One model.

    Attributes:
        build: builds it, untrained.
        use: what its author does with it: the best tag of each position, the values, the symbol after those so far, the
            best path of frames, or the output of each reading as it comes.
        options: what its author would say to the exporter.
        chosen: number of the output that is used.
    """

    build: Callable[[], keras.Model]
    use: Use
    options: dict[str, Any] = field(default_factory=dict)
    chosen: int = 0


def words_and_characters() -> keras.Model:
    """A tagger that reads each word, and its characters by an LSTM of their own."""
    words = keras.Input((LENGTH,), dtype="int32", name="words")
    letters = keras.Input((LENGTH, 5), dtype="int32", name="letters")
    spelled = layers.TimeDistributed(layers.LSTM(4))(layers.TimeDistributed(layers.Embedding(9, 3))(letters))
    x = layers.concatenate([layers.Embedding(IDS, 4)(words), spelled])
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(layers.SpatialDropout1D(0.3)(x))
    tags = layers.TimeDistributed(layers.Dense(CLASSES, activation="softmax"))(x)
    return keras.Model([words, letters], tags)


def residual_tagger() -> keras.Model:
    """Two bidirectional LSTMs whose outputs are added, over masked words."""
    words = keras.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(IDS, 6, mask_zero=True)(words)
    first = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    second = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(first)
    return keras.Model(words, layers.Dense(CLASSES, activation="softmax")(layers.Add()([first, second])))


def slots_and_intent() -> keras.Model:
    """Slots of the words and an intent of the sentence."""
    words = keras.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(IDS, 6, mask_zero=True)(words)
    x, forward, _, backward, _ = layers.Bidirectional(layers.LSTM(5, return_sequences=True, return_state=True))(x)
    intent = layers.Dense(4, activation="softmax", name="intent")(layers.Concatenate()([forward, backward]))
    slots = layers.TimeDistributed(layers.Dense(CLASSES, activation="softmax"), name="slots")(layers.Dropout(0.2)(x))
    return keras.Model(words, [slots, intent])


def temporal_convolutions() -> keras.Model:
    """Residual blocks of two causal convolutions, each block reaching twice as far back."""
    read = keras.Input((None, 3), name="series")
    x = layers.Conv1D(6, 1)(read)
    for dilation in (1, 2, 4):
        y = layers.Conv1D(6, 2, padding="causal", dilation_rate=dilation, activation="relu")(x)
        y = layers.Conv1D(6, 2, padding="causal", dilation_rate=dilation, activation="relu")(layers.Dropout(0.1)(y))
        x = layers.Activation("relu")(layers.Add()([x, y]))
    return keras.Model(read, layers.Dense(2)(x))


def gated_convolutions() -> keras.Model:
    """WaveNet's blocks: tanh times sigmoid of dilated causal convolutions, and what skips joined at the end."""
    read = keras.Input((None, 1), name="sound")
    x, skipped = layers.Conv1D(5, 2, padding="causal")(read), []
    for dilation in (1, 2):
        sides = [
            layers.Conv1D(5, 2, padding="causal", dilation_rate=dilation, activation=name)(x)
            for name in ("tanh", "sigmoid")
        ]
        made = layers.Multiply()(sides)
        skipped.append(layers.Conv1D(5, 1)(made))
        x = layers.Add()([x, layers.Conv1D(5, 1)(made)])
    x = layers.Activation("relu")(layers.Add()(skipped))
    return keras.Model(read, layers.Conv1D(1, 1)(layers.Conv1D(5, 1, activation="relu")(x)))


def stateful_sensor() -> keras.Model:
    """One reading at a time, states kept between the calls."""
    return keras.Sequential(
        [
            layers.Input(batch_shape=(1, None, 3)),
            layers.LSTM(6, stateful=True, return_sequences=True),
            layers.LSTM(5, stateful=True, return_sequences=True),
            layers.TimeDistributed(layers.Dense(2)),
        ]
    )


def word_language_model() -> keras.Model:
    """The word after a window of words."""
    return keras.Sequential(
        [
            layers.Input((LENGTH,), dtype="int32"),
            layers.Embedding(IDS, 6),
            layers.LSTM(7, return_sequences=True),
            layers.LSTM(6),
            layers.Dense(8, activation="relu"),
            layers.Dense(IDS, activation="softmax"),
        ]
    )


def attended_characters() -> keras.Model:
    """What follows each character, by skip connections from the embedding and both LSTMs."""
    read = keras.Input((None,), dtype="int32", name="characters")
    x = layers.Embedding(IDS, 5)(read)
    first = layers.LSTM(6, return_sequences=True)(x)
    second = layers.LSTM(6, return_sequences=True)(layers.Concatenate()([x, first]))
    return keras.Model(read, layers.Dense(IDS)(layers.Concatenate()([x, first, second])))


def line_reader() -> keras.Model:
    """Convolutions halve the height alone, GRUs read both ways and are added, then joined: a text line by CTC."""
    line = keras.Input((20, 8, 1), name="line")
    x = layers.MaxPooling2D(2)(layers.Conv2D(3, 3, padding="same", activation="relu")(line))
    x = layers.MaxPooling2D((1, 2))(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    x = layers.Dense(6, activation="relu")(layers.Reshape((10, 8))(x))
    x = layers.Add()(
        [layers.GRU(5, return_sequences=True)(x), layers.GRU(5, return_sequences=True, go_backwards=True)(x)]
    )
    x = layers.Bidirectional(layers.GRU(5, return_sequences=True))(layers.BatchNormalization()(x))
    return keras.Model(line, layers.Activation("softmax")(layers.Dense(CLASSES)(x)))


def phones_of_speech() -> keras.Model:
    """A strided convolution over frames of coefficients, batch norms between stacked LSTMs."""
    heard = keras.Input((None, 6), name="coefficients")
    x = layers.Conv1D(8, 5, strides=2, activation="relu", name="strided")(heard)
    x = layers.BatchNormalization()(x)
    for _ in range(2):
        x = layers.BatchNormalization()(layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x))
    return keras.Model(heard, layers.TimeDistributed(layers.Dense(CLASSES, activation="softmax"))(x))


def weekly_forecast() -> keras.Model:
    """Convolutions, then an LSTM, and all steps ahead from its last state."""
    read = keras.Input((LENGTH, 3), name="weeks")
    x = layers.MaxPooling1D(2)(layers.Conv1D(6, 3, activation="relu", padding="same")(read))
    x = ops.concatenate([layers.LSTM(5)(x), layers.GlobalAveragePooling1D()(x)], axis=-1)
    return keras.Model(read, layers.Reshape((4, 1))(layers.Dense(4)(x)))


NEIGHBOURS = {
    "words_and_characters": Neighbour(words_and_characters, "tags", {"feedback": "none"}),
    "residual_tagger": Neighbour(residual_tagger, "tags"),
    "slots_and_intent": Neighbour(slots_and_intent, "tags"),
    "intent_alone": Neighbour(slots_and_intent, "tags", {"decoder_output": "intent"}, chosen=1),
    "temporal_convolutions": Neighbour(temporal_convolutions, "followed"),
    "gated_convolutions": Neighbour(gated_convolutions, "followed", {"feedback": "none"}),
    "stateful_sensor": Neighbour(stateful_sensor, "followed"),
    "word_language_model": Neighbour(word_language_model, "next symbol", {"feedback": "token"}),
    "attended_characters": Neighbour(attended_characters, "next symbol", {"feedback": "token"}),
    "line_reader": Neighbour(line_reader, "ctc", {"ctc": "last"}),
    "phones_of_speech": Neighbour(phones_of_speech, "ctc", {"ctc": "first", "source_length": 2 * LENGTH}),
    "weekly_forecast": Neighbour(weekly_forecast, "values"),
}
