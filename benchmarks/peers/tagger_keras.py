"""A tagger in Keras: by `predict`, and its call compiled by `tf.function`, with XLA and without."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from peers.interface import Ids
from peers.tagging import Tagger
from peers.weights import TaggerWeights

_TITLES = {
    "predict": "Keras, `predict`",
    "function": "TensorFlow, the model in a `tf.function`",
    "xla": "TensorFlow XLA, the model in a `tf.function`",
}


def build_tagger(weights: TaggerWeights) -> keras.Model:
    """Return the model with these weights."""
    words = keras.Input((None,), dtype="int32")
    x = layers.Embedding(*weights.embedding.shape)(words)
    x = layers.Bidirectional(layers.LSTM(weights.units, return_sequences=True))(x)
    model = keras.Model(words, layers.Dense(len(weights.dense_bias), activation="softmax")(x))
    both = zip(weights.kernels, weights.recurrents, weights.biases, strict=True)
    lstms = [array for way in both for array in way]
    model.set_weights([weights.embedding, *lstms, weights.dense_kernel, weights.dense_bias])
    return model


class TaggerKeras(Tagger):
    """The model as Keras runs it.

    Args:
        variant: "predict", "function" or "xla".
    """

    packages = ("keras", "tensorflow")

    def __init__(self, variant: str) -> None:
        self.title, self._variant = _TITLES[variant], variant

    def load(self, folder: Path, threads: int | None) -> None:
        """Build the model; XLA compiles at the first call of each batch size."""
        tf.config.threading.set_intra_op_parallelism_threads(self.work_with(threads))
        weights = TaggerWeights.read(folder)
        self.know(weights)
        self._model = build_tagger(weights)
        xla = self._variant == "xla"
        self._run = tf.function(
            lambda words: tf.argmax(self._model(words, training=False), -1, output_type=tf.int32),
            input_signature=None if xla else [tf.TensorSpec((None, None), tf.int32)],
            jit_compile=xla,
        )

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        if self._variant == "predict":
            return self._model.predict(sources, verbose=0, batch_size=len(sources)).argmax(axis=-1)
        return self._run(tf.constant(sources, tf.int32)).numpy()


def make_peer(variant: str) -> TaggerKeras:
    """Return the peer of this file."""
    return TaggerKeras(variant)
