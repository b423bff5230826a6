"""TensorFlow's tutorials of sequences.

Most are classes, which export by the two functions of their loops, or as a graph of their parts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from official.attention_layers import LooksAtBoth, LooksAtItself, PlacedWords
from official.example import (
    END,
    SOURCE,
    START,
    STEPS,
    TARGET,
    Example,
    Exported,
    grown,
    ids,
    numbers,
    run,
    tokens,
    until_the_end,
    weighted,
)
from s2s_export import export, export_steps

UNITS, FEATURES, WINDOW, AHEAD = 6, 3, 8, 4


def translation_with_attention(path: Path) -> Exported:
    """A bidirectional encoder whose directions are summed, a GRU, attention added to what it gives; stepped."""
    read, by_source = layers.Embedding(SOURCE, UNITS, mask_zero=True), layers.GRU(UNITS, return_sequences=True)
    both = layers.Bidirectional(by_source, merge_mode="sum")
    written, norm = layers.Embedding(TARGET, UNITS), layers.LayerNormalization()
    rnn = layers.GRU(UNITS, return_sequences=True, return_state=True)
    attention, head = layers.MultiHeadAttention(1, UNITS), layers.Dense(TARGET)

    def encode(words: Any) -> tuple[Any, Any]:
        context = both(read(words))
        return ops.zeros((ops.shape(words)[0], UNITS)), context

    def step(symbol: Any, state: Any, context: Any) -> tuple[Any, Any]:
        hidden, state = rnn(written(symbol), initial_state=state)
        return head(norm(hidden + attention(query=hidden, value=context))), state

    step(tf.constant([[1]]), *encode(tf.constant([[1, 2]])))
    weighted([read, both, written, norm, rnn, attention, head], START, head=head)
    export_steps(encode, step, path, source_size=SOURCE, start=START, end=END, max_length=STEPS, verify_sources=2)
    wanted = []
    sentences = [[3, 4, 5, 6], [7, 8], [9, 9, 3]]
    for sentence in sentences:
        (state, context), symbol, made = encode(tf.constant([sentence])), START, []
        while symbol != END and len(made) < STEPS:
            logits, state = step(tf.constant([[symbol]]), state, context)
            symbol = int(np.asarray(logits)[0, -1].argmax())
            made.append(symbol)
        wanted.append(until_the_end(made))
    return Exported(lambda bundle: tokens(bundle, sentences), wanted)


def transformer(path: Path) -> Exported:
    """An encoder and a decoder, put together as a graph; the whole of it is fed what is written so far."""
    source, target = keras.Input((None,), dtype="int64", name="context"), keras.Input((None,), dtype="int64", name="x")
    read = LooksAtItself()(PlacedWords(SOURCE, 48)(source))
    head = layers.Dense(TARGET)
    model = keras.Model([source, target], head(LooksAtBoth()([PlacedWords(TARGET, 48)(target), read])))
    weighted(model, 0, START, head=head)
    words, symbols = ["<pad>", *"abcdefghij"], ["<pad>", "[START]", "[END]", *"abcdef"]
    export(model, path, source=words, target=symbols, start="[START]", end="[END]", max_length=STEPS, verify_sources=2)
    sentences = ids(SOURCE, 2, 5)
    return Exported(lambda bundle: tokens(bundle, sentences), grown(model, sentences))


def text_generation(path: Path) -> Exported:
    """A class of an embedding, a GRU and a dense layer, which hands its state out and takes it again."""
    embedding, head = layers.Embedding(TARGET, UNITS), layers.Dense(TARGET)
    rnn = layers.GRU(UNITS, return_sequences=True, return_state=True)

    def encode(source: Any) -> tuple[Any, Any]:
        return ops.zeros((ops.shape(source)[0], UNITS)), []

    def step(symbol: Any, state: Any, _: Any) -> tuple[Any, Any]:
        hidden, state = rnn(embedding(symbol), initial_state=state)
        return head(hidden), state

    step(tf.constant([[1]]), *encode(tf.constant([[1]])))
    weighted([embedding, rnn, head], 0, head=head)  # what is unknown is masked by the page's own loop
    export_steps(encode, step, path, feedback="token", target=["[UNK]", *"abcdefgh"], max_length=12, verify_sources=2)
    (state, _), symbol, made = encode(tf.constant([[0]])), 1, [1]
    while len(made) < 12:
        logits, state = step(tf.constant([[symbol]]), state, [])
        symbol = int(np.asarray(logits)[0, -1, 1:].argmax()) + 1
        made.append(symbol)
    return Exported(lambda bundle: tokens(bundle, ["a"]), [made])


def series_step_by_step(path: Path) -> Exported:
    """An LSTM that forecasts after each reading, added to the reading itself."""
    read = keras.Input((None, FEATURES))
    change = layers.Dense(FEATURES, kernel_initializer="zeros")(layers.LSTM(UNITS, return_sequences=True)(read))
    model = weighted(keras.Model(read, read + change))
    export(model, path, feedback="none", verify_sources=2)
    windows = numbers(3, WINDOW, FEATURES)

    def followed(bundle: Any) -> np.ndarray:
        following = bundle.start(rows=3)
        return np.stack([following.advance(windows[:, step]) for step in range(WINDOW)], axis=1)

    return Exported(followed, run(model, windows))


def series_by_convolution(path: Path) -> Exported:
    """A convolution over three readings: as many outputs as windows of that length fit."""
    parts = [layers.Conv1D(8, 3, activation="relu"), layers.Dense(8, activation="relu"), layers.Dense(1)]
    model = weighted(keras.Sequential([layers.Input((None, FEATURES)), *parts]))
    export(model, path, feedback="none", source_length=WINDOW, verify_sources=2)
    windows = numbers(3, WINDOW, FEATURES)
    return Exported(lambda bundle: bundle.predict(windows), run(model, windows))


def series_one_shot(path: Path) -> Exported:
    """All steps ahead of all features at once."""
    parts = [layers.LSTM(UNITS), layers.Dense(AHEAD * FEATURES, kernel_initializer="zeros")]
    model = weighted(keras.Sequential([layers.Input((WINDOW, FEATURES)), *parts, layers.Reshape([AHEAD, FEATURES])]))
    export(model, path, verify_sources=2)
    windows = numbers(3, WINDOW, FEATURES)
    return Exported(lambda bundle: bundle.predict(windows), run(model, windows))


@keras.saving.register_keras_serializable(package="official")
class FeedsBack(keras.Model):
    """Reads a window, and then its own forecasts, in a loop of its own."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.cell = layers.LSTMCell(UNITS)
        self.rnn, self.head = layers.RNN(self.cell, return_state=True), layers.Dense(FEATURES)

    def build(self, shape: Any) -> None:
        """Build the layers."""
        self.rnn.build(shape)
        self.head.build((None, UNITS))

    def call(self, inputs: Any) -> Any:
        """Return (batch, steps ahead, features)."""
        hidden, *state = self.rnn(inputs)
        made = [self.head(hidden)]
        while len(made) < AHEAD:
            hidden, state = self.cell(made[-1], states=state)
            made.append(self.head(hidden))
        return ops.stack(made, axis=1)


def series_autoregressive(path: Path) -> Exported:
    """A class whose call is the loop: called on an input, it is a graph of one pass."""
    forecaster, window = FeedsBack(), keras.Input((WINDOW, FEATURES))
    model = weighted(keras.Model(window, forecaster(window)))
    export(model, path, verify_sources=2)
    windows = numbers(3, WINDOW, FEATURES)
    return Exported(lambda bundle: bundle.predict(windows), np.asarray(forecaster(windows)))


def music(path: Path) -> Exported:
    """Three outputs of what comes next, all in one bundle."""
    notes = keras.Input((WINDOW, 3))
    hidden = layers.LSTM(8)(notes)
    outputs = {"pitch": 12, "step": 1, "duration": 1}
    model = weighted(
        keras.Model(notes, {name: layers.Dense(size, name=name)(hidden) for name, size in outputs.items()})
    )
    export(model, path, verify_sources=2)
    played = numbers(3, WINDOW, 3)
    wanted = np.concatenate([run(model, played)[name] for name in outputs], axis=-1)
    return Exported(lambda bundle: np.concatenate([bundle.predict(played)[name][:, 0] for name in outputs], -1), wanted)


def sentiment(path: Path) -> Exported:
    """Masked embeddings read from both sides, and one number for a review."""
    parts = [layers.Bidirectional(layers.LSTM(5)), layers.Dense(6, activation="relu"), layers.Dense(1)]
    model = keras.Sequential(
        [layers.Input((None,), dtype="int32"), layers.Embedding(SOURCE, 5, mask_zero=True), *parts]
    )
    weighted(model)
    export(model, path, verify_sources=2)
    reviews = [[3, 4, 5, 6, 7], [8, 1], [2]]
    wanted = np.stack([run(model, np.array([review]))[0] for review in reviews])
    return Exported(lambda bundle: bundle.predict(reviews)[:, 0], wanted)


_STEPS = "s2s_export.export_steps(encode, step, path, ...)"

EXAMPLES = (
    Example("Neural machine translation with attention", translation_with_attention, _STEPS),
    Example("Neural machine translation with a Transformer and Keras", transformer,
            "s2s_export.export(keras.Model([context, x], transformer_parts), path, ...)", dear=True),
    Example("Text generation with an RNN", text_generation, _STEPS.replace("...", "feedback=\"token\", ...")),
    Example("Text classification with an RNN", sentiment, "s2s-export m.keras"),
    Example("Time series forecasting: LSTM with residual connections", series_step_by_step,
            "s2s-export m.keras --feedback none"),
    Example("Time series forecasting: convolution", series_by_convolution,
            "s2s-export m.keras --feedback none --source-length 24"),
    Example("Time series forecasting: multi-step, one shot", series_one_shot, "s2s-export m.keras"),
    Example("Time series forecasting: multi-step, autoregressive", series_autoregressive,
            "s2s_export.export(keras.Model(window, feedback_model(window)), path)"),
    Example("Generate music with an RNN", music, "s2s-export m.keras"),
)  # fmt: skip
