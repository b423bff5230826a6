"""The widely copied tutorial script of character translation, rebuilt: its arrays, its training, its own loop.

It saves nothing but the model: symbols, padding, lengths and the rule that stops its loop stay in the script. What it
prints is all that its user has to compare a bundle with. Nothing of this project is used here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

Filler = Literal["spaces", "zeros"]

START, END, SPACE = "\t", "\n", " "


@dataclass
class Script:
    """The script's variables after it read its pairs.

    Args:
        path: lines of source, tab, target.
        rows: `num_samples`, lines that are read from the top.
        filler: what fills short rows on either side: the one-hot row of a space, or rows of zeros.
        left: whether sources are padded on the left (`pad_sequences` does unless told otherwise).
        reverse: whether sources are read backwards.
    """

    path: Path
    rows: int
    filler: Filler = "spaces"
    left: bool = False
    reverse: bool = False
    input_texts: list[str] = field(init=False, default_factory=list)
    target_texts: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        lines = self.path.read_text(encoding="utf-8").split("\n")
        for line in lines[: min(self.rows, len(lines) - 1)]:
            source, target = line.split("\t")[:2]
            self.input_texts.append(source)
            self.target_texts.append(START + target + END)
        self.input_characters = sorted(set("".join(self.input_texts)))
        self.target_characters = sorted(set("".join(self.target_texts)))
        self.longest_input = max(map(len, self.input_texts))
        self.longest_target = max(map(len, self.target_texts))
        self.input_index = {char: i for i, char in enumerate(self.input_characters)}
        self.target_index = {char: i for i, char in enumerate(self.target_characters)}

    def _filled(self, count: int, length: int, index: dict[str, int]) -> np.ndarray:
        rows = np.zeros((count, length, len(index)), dtype="float32")
        if self.filler == "spaces":
            rows[:, :, index[SPACE]] = 1.0
        return rows

    def sources(self, texts: list[str]) -> np.ndarray:
        """`encoder_input_data` of some texts: (texts, longest input, input characters)."""
        rows = self._filled(len(texts), self.longest_input, self.input_index)
        for row, text in zip(rows, texts, strict=True):
            first = self.longest_input - len(text) if self.left else 0
            for t, char in enumerate(reversed(text) if self.reverse else text, first):
                row[t] = 0.0
                row[t, self.input_index[char]] = 1.0
        return rows

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """`decoder_input_data` and `decoder_target_data`, the latter one step ahead: (rows, longest target, ...)."""
        count, length = len(self.target_texts), self.longest_target
        fed = self._filled(count, length, self.target_index)
        wanted = self._filled(count, length, self.target_index)
        for i, text in enumerate(self.target_texts):
            for t, char in enumerate(text):
                fed[i, t] = 0.0
                fed[i, t, self.target_index[char]] = 1.0
                if t > 0:
                    wanted[i, t - 1] = 0.0
                    wanted[i, t - 1, self.target_index[char]] = 1.0
        return fed, wanted

    def train(self, units: int = 256, epochs: int = 3, batch_size: int = 64, optimizer: Any = "rmsprop") -> Any:
        """Builds and trains the model as the script does, with teacher forcing."""
        model = self.build(units)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
        fed, wanted = self.targets()
        rows = self.sources(self.input_texts)
        model.fit([rows, fed], wanted, batch_size=batch_size, epochs=epochs, validation_split=0.2, verbose=2)
        return model

    def build(self, units: int) -> Any:
        """The training model."""
        import keras

        sources = keras.Input((None, len(self.input_index)))
        _, *states = keras.layers.LSTM(units, return_state=True)(sources)
        targets = keras.Input((None, len(self.target_index)))
        decoder = keras.layers.LSTM(units, return_sequences=True, return_state=True)
        written, *_ = decoder(targets, initial_state=states)
        output = keras.layers.Dense(len(self.target_index), activation="softmax")(written)
        return keras.Model([sources, targets], output)

    def decode(self, model: Any, texts: list[str], batch_size: int = 250) -> list[str]:
        """What the script's own loop writes for each text, its line feed included where it came.

        The loop goes one character at a time from the encoder's states and stops at the line feed, or once more
        characters are out than the longest target has. Texts go side by side here, each as if it were alone.
        """
        return [
            text
            for i in range(0, len(texts), batch_size)
            for text in self._decode_batch(model, self.sources(texts[i : i + batch_size]))
        ]

    def _decode_batch(self, model: Any, rows: np.ndarray) -> list[str]:
        encode, step = restored(model)
        states = encode(rows)
        token = self.fed(np.full(len(rows), self.target_index[START]))
        written, live = [""] * len(rows), list(range(len(rows)))
        while live:
            output, *states = step(token, *states)
            chosen = np.asarray(output)[:, -1].argmax(axis=-1)
            for i in list(live):
                written[i] += self.target_characters[chosen[i]]
                if written[i].endswith(END) or len(written[i]) > self.longest_target:
                    live.remove(i)
            token = self.fed(chosen)
        return written

    def fed(self, ids: np.ndarray) -> np.ndarray:
        """What the step reads: one-hot rows (texts, 1, target characters)."""
        return np.eye(len(self.target_index), dtype="float32")[ids][:, None]

    def printed(self, model: Any, count: int = 20) -> str:
        """What the script prints at its end for its first texts."""
        texts = self.input_texts[:count]
        blocks = zip(texts, self.decode(model, texts), strict=True)
        return "".join(f"-\nInput sentence: {text}\nDecoded sentence: {decoded}\n" for text, decoded in blocks)


def restored(model: Any) -> tuple[Any, Any]:
    """The encoder and the step of the decoder, restored from the trained model's layers.

    Compiled, which changes the speed and not the numbers. The encoder takes rows and gives states; the step takes a
    token and states, and gives probabilities and states, whether or not the decoder gave its states in training. Where
    the model has embeddings both take ids.
    """
    import keras
    import tensorflow as tf

    encoder, trained = (layer for layer in model.layers if isinstance(layer, keras.layers.RNN))
    decoder = type(trained)(trained.units, return_sequences=True, return_state=True)
    decoder.build((None, None, trained.cell.kernel.shape[0]))
    decoder.set_weights(trained.get_weights())
    dense = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    read, written = [x for x in model.layers if isinstance(x, keras.layers.Embedding)] or [tf.identity] * 2

    @tf.function(reduce_retracing=True)
    def encode(rows: Any) -> Any:
        return encoder(read(rows))[1:]

    @tf.function(reduce_retracing=True)
    def step(token: Any, *states: Any) -> Any:
        output, *states = decoder(written(token), initial_state=states)
        return dense(output), *states

    return encode, step
