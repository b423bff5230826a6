"""The variants that the tutorial's page publishes beside its script, each with the loop that belongs to it.

A GRU in place of the LSTM, ids and embeddings in place of one-hot rows, and a decoder without teacher forcing that
reads its own last output, put together of as many calls as the longest target has steps. Nothing of this project is
used here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops as K  # noqa: N812 - as the page calls it, and at the top: code in a file keeps no local names
from tutorial_script import END, START, Script


class GruScript(Script):
    """One state, and a decoder that doesn't return it in training."""

    def build(self, units: int) -> Any:
        """Return the training model."""
        import keras

        sources = keras.Input((None, len(self.input_index)))
        _, state = keras.layers.GRU(units, return_state=True)(sources)
        targets = keras.Input((None, len(self.target_index)))
        written = keras.layers.GRU(units, return_sequences=True)(targets, initial_state=state)
        return keras.Model(
            [sources, targets], keras.layers.Dense(len(self.target_index), activation="softmax")(written)
        )


class IdsScript(Script):
    """Ids that embeddings look up; what is written stays one-hot for the loss."""

    def sources(self, texts: list[str]) -> np.ndarray:
        """Return the ids of some texts, (texts, longest input), spaces behind them."""
        return super().sources(texts).argmax(axis=-1)

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what is fed as ids, and what is wanted one-hot."""
        fed, wanted = super().targets()
        return fed.argmax(axis=-1), wanted

    def build(self, units: int) -> Any:
        """Return the training model."""
        import keras

        layers = keras.layers
        sources, targets = keras.Input((None,)), keras.Input((None,))
        embedded = layers.Embedding(len(self.input_index), units)(sources)
        _, *states = layers.LSTM(units, return_state=True)(embedded)
        embedded = layers.Embedding(len(self.target_index), units)(targets)
        written = layers.LSTM(units, return_sequences=True)(embedded, initial_state=states)
        return keras.Model([sources, targets], layers.Dense(len(self.target_index), activation="softmax")(written))

    def fed(self, ids: np.ndarray) -> np.ndarray:
        """Return what the step reads: (texts, 1) ids."""
        return ids[:, None]


class FreeScript(Script):
    """Without teacher forcing: each step reads what the step before gave, as the published code has it."""

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the start's one-hot row, (rows, 1, symbols), as all that is fed; and what is wanted."""
        fed, wanted = super().targets()
        return fed[:, :1], wanted

    def build(self, units: int) -> Any:
        """Return the training model, unrolled to the longest target and joined by a Lambda layer."""
        import keras

        layers = keras.layers
        sources = keras.Input((None, len(self.input_index)))
        _, *states = layers.LSTM(units, return_state=True)(sources)
        inputs = first = keras.Input((1, len(self.target_index)))
        decoder = layers.LSTM(units, return_sequences=True, return_state=True)
        dense, all_outputs = layers.Dense(len(self.target_index), activation="softmax"), []
        for _ in range(self.longest_target):
            outputs, *states = decoder(inputs, initial_state=states)
            outputs = dense(outputs)
            all_outputs.append(outputs)
            inputs = outputs
        joined = layers.Lambda(lambda x: K.concatenate(x, axis=1))(all_outputs)
        return keras.Model([sources, first], joined)

    def _decode_batch(self, model: Any, rows: np.ndarray) -> list[str]:
        start = np.zeros((len(rows), 1, len(self.target_index)), dtype="float32")
        start[:, 0, self.target_index[START]] = 1.0
        chosen = np.asarray(model([rows, start], training=False)).argmax(axis=-1)
        texts = ("".join(self.target_characters[i] for i in row) for row in chosen)
        return [text[: text.find(END) + 1] or text for text in texts]
