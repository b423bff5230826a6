"""The published loop: one sentence at a time, one `predict` per character."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from peers.interface import Ids, Problem
from peers.keras_tutorial import build_inference_models, build_training_model
from peers.weights import Weights


class KerasPredict:
    """Two Keras models stepped with `predict(verbose=0)`, as the tutorial's `decode_sequence` does.

    Timed at batch 1 alone: a batch of n takes n times as long.
    """

    title = "Keras tutorial, `predict` per character"
    batch_sizes = (1,)

    def __init__(self) -> None:
        self.may_differ: dict[int, str] = {}

    def versions(self) -> dict[str, str]:
        """Versions of Keras and TensorFlow."""
        return {name: version(name) for name in ("keras", "tensorflow")}

    def threads(self) -> int:
        """TensorFlow's own choice is one per core."""
        return self._threads

    def load(self, folder: Path, threads: int | None) -> None:
        """Build the model, then the two inference models."""
        self._threads = threads or os.cpu_count() or 1
        tf.config.threading.set_intra_op_parallelism_threads(self._threads)
        self._weights = Weights.read(folder)
        self._start = Problem.read(folder).start_id
        self._encoder, self._decoder = build_inference_models(build_training_model(self._weights))

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return np.array([self._decode_sequence(row, steps) for row in sources])

    def _decode_sequence(self, source: NDArray[np.int64], steps: int) -> list[int]:
        one_hot = np.eye(self._weights.source_size, dtype=np.float32)[source]
        states = self._encoder.predict(one_hot[None], verbose=0)
        token, tokens = self._start, []
        for _ in range(steps):
            fed = np.zeros((1, 1, self._weights.target_size), np.float32)
            fed[0, 0, token] = 1.0
            probabilities, *states = self._decoder.predict([fed, *states], verbose=0)
            token = int(probabilities[0, -1].argmax())
            tokens.append(token)
        return tokens


def make_peer() -> KerasPredict:
    """Return the peer of this file."""
    return KerasPredict()
