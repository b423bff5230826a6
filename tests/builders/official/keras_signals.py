"""Keras's code examples that read pictures, sounds and series."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from official.attention_layers import WIDTH, LooksAtBoth, LooksAtItself, PlacedWords
from official.example import (
    STEPS,
    TARGET,
    Example,
    Exported,
    grown,
    numbers,
    run,
    tokens,
    weighted,
)
from s2s_export import export

LETTERS = list("abcdefg")
ROADS, PLACES = 4, 16


@keras.saving.register_keras_serializable(package="official")
class LossAtTheEnd(layers.Layer):
    """Adds the loss of CTC in training and gives back what is predicted, as the readers' last layer does."""

    def call(self, labels: Any, predicted: Any) -> Any:
        """Return the predictions."""
        rows, frames = ops.shape(predicted)[0], ops.shape(predicted)[1]
        lengths = ops.ones((rows,), "int32")
        width = ops.shape(labels)[1]
        self.add_loss(ops.ctc_loss(ops.cast(labels, "int32"), predicted, lengths * width, lengths * frames, 8))
        return predicted


def _best_path(rows: np.ndarray, blank: int) -> list[int]:
    return [symbol for symbol, _ in groupby(rows.argmax(-1).tolist()) if symbol != blank]


def _reader(path: Path, width: int, units: tuple[int, int], classes: int) -> Exported:
    """A picture's columns through convolutions and two bidirectional LSTMs, and the layer of the loss behind."""
    picture, labels = keras.Input((width, 8, 1), name="image"), keras.Input((None,), name="label")
    x = layers.Conv2D(4, 3, activation="relu", padding="same")(picture)
    x = layers.Conv2D(5, 3, activation="relu", padding="same")(layers.MaxPooling2D(2)(x))
    x = layers.Reshape((width // 4, 2 * 5))(layers.MaxPooling2D(2)(x))
    x = layers.Dropout(0.2)(layers.Dense(6, activation="relu")(x))
    for size in units:
        x = layers.Bidirectional(layers.LSTM(size, return_sequences=True, dropout=0.25))(x)
    predicted = layers.Dense(classes, activation="softmax", name="classes")(x)
    model = keras.Model([picture, labels], LossAtTheEnd(name="ctc_loss")(labels, predicted))
    # Training never shows what is unknown, the look-up's first, nor what stands between the letters and the blank.
    weighted(model, 0, *range(8, classes - 1), head=model.get_layer("classes"))
    lookup = layers.StringLookup(vocabulary=LETTERS, mask_token=None)
    export(model, path, ctc="last", target=lookup, verify_sources=2)
    pictures = numbers(3, width, 8, 1)
    frames = run(keras.Model(picture, predicted), pictures)
    texts = ["".join(LETTERS[i - 1] for i in _best_path(rows, classes - 1)) for rows in frames]
    return Exported(lambda bundle: [result.text for result in bundle.generate(pictures)], texts)


def captcha(path: Path) -> Exported:
    """One class more than the look-up has: the blank comes last."""
    return _reader(path, 40, (5, 4), len(LETTERS) + 2)


def handwriting(path: Path) -> Exported:
    """The same for wider pictures, with a class that nothing uses between the letters and the blank."""
    return _reader(path, 32, (4, 3), len(LETTERS) + 3)


def speech(path: Path) -> Exported:
    """Spectrograms of any length: two convolutions, of strides 2, and stacked bidirectional GRUs."""
    heard = keras.Input((None, 13), name="input")
    x = layers.Reshape((-1, 13, 1))(heard)
    for kernel, strides in (((11, 5), (2, 2)), ((11, 3), (1, 2))):
        x = layers.Conv2D(3, kernel, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((-1, x.shape[-2] * x.shape[-1]))(x)
    for last in (False, True):
        x = layers.Bidirectional(layers.GRU(4, return_sequences=True))(x)
        x = x if last else layers.Dropout(0.5)(x)
    x = layers.Dropout(0.5)(layers.Dense(8, activation="relu")(x))
    model = weighted(keras.Model(heard, layers.Dense(len(LETTERS) + 1, activation="softmax")(x)))
    export(model, path, ctc="last", target={letter: i for i, letter in enumerate(LETTERS)}, verify_sources=2)
    sounds = [numbers(steps, 13) for steps in (30, 21)]
    wanted = [_best_path(run(model, sound[None])[0], len(LETTERS)) for sound in sounds]
    return Exported(lambda bundle: tokens(bundle, sounds), wanted)


def image_captions(path: Path) -> Exported:
    """The three parts of a class of the page's own, put together as a graph: convolutions, an encoder and a decoder."""
    picture, words = keras.Input((8, 8, 3), name="image"), keras.Input((None,), dtype="int32", name="words")
    x = layers.Conv2D(WIDTH, 3, strides=2, activation="relu")(picture)
    x = layers.Dense(WIDTH, activation="relu")(layers.Reshape((-1, WIDTH))(x))
    seen = LooksAtItself(masked=False)(x)
    written = LooksAtBoth()([PlacedWords(TARGET, PLACES)(words), seen])
    model = weighted(keras.Model([picture, words], layers.Dense(TARGET)(layers.Dropout(0.5)(written))), 0, 1, 2)
    captions = layers.TextVectorization(vocabulary=["<start>", "<end>", *"abcde"], standardize="lower")
    export(model, path, target=captions, start="<start>", end="<end>", max_length=STEPS, verify_sources=2)
    pictures = numbers(2, 8, 8, 3)
    return Exported(lambda bundle: tokens(bundle, pictures), grown(model, pictures, filled=PLACES, start=2, end=3))


def weather(path: Path) -> Exported:
    """One value after a window of seven features."""
    window = keras.Input((12, 7))
    model = weighted(keras.Model(window, layers.Dense(1)(layers.LSTM(8)(window))))
    export(model, path, verify_sources=2)
    windows = numbers(4, 12, 7)
    return Exported(lambda bundle: bundle.predict(windows)[:, 0], run(model, windows))


@keras.saving.register_keras_serializable(package="official")
class RoadGraph(layers.Layer):
    """Each road's readings beside the mean of its neighbours', and an LSTM for each road."""

    def __init__(self, steps: int, **kwargs: Any) -> None:
        """Make the layers for an output of so many steps."""
        super().__init__(**kwargs)
        self.steps = steps
        self.rnn, self.head = layers.LSTM(5, activation="relu"), layers.Dense(steps)

    def build(self, shape: Any) -> None:
        """Make the weight of the graph, and build the layers."""
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
        self.rnn.build((None, shape[1], 6))
        self.head.build((None, 5))

    def call(self, x: Any) -> Any:
        """Return (batch, steps, roads) for (batch, time, roads, features)."""
        by_road = ops.transpose(x, (2, 0, 1, 3))
        own = ops.matmul(by_road, self.kernel)
        around = ops.stack([(own[(road + 1) % ROADS] + own[(road + 2) % ROADS]) / 2 for road in range(ROADS)])
        both = ops.relu(ops.concatenate([own, around], axis=-1))
        roads, _, time, features = both.shape
        made = self.head(self.rnn(ops.reshape(both, (-1, time, features))))
        return ops.transpose(ops.reshape(made, (roads, -1, self.steps)), (1, 2, 0))

    def compute_output_shape(self, shape: Any) -> Any:
        """Return (batch, steps, roads)."""
        return (shape[0], self.steps, shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "steps": self.steps}


def traffic(path: Path) -> Exported:
    """A graph of roads and an LSTM in a layer of the page's own: all steps of all roads in one shot."""
    read = keras.Input((12, ROADS, 1))
    model = weighted(keras.Model(read, RoadGraph(3)(read)))
    export(model, path, verify_sources=2)
    series = numbers(3, 12, ROADS, 1)
    return Exported(lambda bundle: bundle.predict(series), run(model, series))


def anomalies(path: Path) -> Exported:
    """An autoencoder of convolutions: the window itself, which is compared with what was read."""
    model = weighted(
        keras.Sequential(
            [
                layers.Input((16, 1)),
                layers.Conv1D(6, 7, padding="same", strides=2, activation="relu"),
                layers.Dropout(0.2),
                layers.Conv1D(4, 7, padding="same", strides=2, activation="relu"),
                layers.Conv1DTranspose(4, 7, padding="same", strides=2, activation="relu"),
                layers.Conv1DTranspose(6, 7, padding="same", strides=2, activation="relu"),
                layers.Conv1DTranspose(1, 7, padding="same"),
            ]
        ),
        scale=0.5,
    )
    export(model, path, verify_sources=2)
    windows = numbers(3, 16, 1)
    return Exported(lambda bundle: bundle.predict(windows), run(model, windows))


def next_frames(path: Path) -> Exported:
    """Three ConvLSTMs and a convolution over time: each run gives the frame after each frame, and the last is kept."""
    frames = keras.Input((None, 6, 6, 1))
    x = layers.ConvLSTM2D(3, (3, 3), padding="same", return_sequences=True, activation="relu")(frames)
    x = layers.ConvLSTM2D(2, (1, 1), padding="same", return_sequences=True)(layers.BatchNormalization()(x))
    model = weighted(
        keras.Model(frames, layers.Conv3D(1, (3, 3, 3), activation="sigmoid", padding="same")(x)), scale=0.5
    )
    export(model, path, feedback="none", verify_sources=2)
    first = numbers(1, 3, 6, 6, 1)

    def carried_on(predict: Any) -> Any:
        video = first
        for _ in range(3):
            video = np.concatenate([video, predict(video)[:, -1:]], axis=1)
        return video

    return Exported(lambda bundle: carried_on(bundle.predict), carried_on(lambda video: run(model, video)))


_CTC = "s2s-export m.keras --ctc last --target-vocab chars.json"

EXAMPLES = (
    Example("Automatic Speech Recognition using CTC", speech, _CTC),
    Example("OCR model for reading Captchas", captcha, f"{_CTC} --custom-objects my_script:CTCLayer"),
    Example("Handwriting recognition", handwriting, f"{_CTC} --custom-objects my_script:CTCLayer"),
    Example("Image Captioning", image_captions,
            "s2s_export.export(keras.Model([image, words], decoder(words, encoder(cnn(image)))), path)", dear=True),
    Example("Timeseries forecasting for weather prediction", weather, "s2s-export m.keras"),
    Example("Traffic forecasting using graph neural networks and LSTM", traffic,
            "s2s-export m.keras --custom-objects my_script:LSTMGC"),
    Example("Timeseries anomaly detection using an Autoencoder", anomalies, "s2s-export m.keras"),
    Example("Next-Frame Video Prediction with Convolutional LSTMs", next_frames, "s2s-export m.keras --feedback none"),
)  # fmt: skip
