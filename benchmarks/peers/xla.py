"""TensorFlow with the whole decoding loop compiled by XLA."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import tensorflow as tf

from peers.interface import Ids, Problem
from peers.weights import Weights


class Xla:
    """Encoder and decoder in one `tf.function(jit_compile=True)`, one compilation per batch size.

    Written by hand on the weights: rows of the input kernel are looked up instead of multiplied by one-hot vectors,
    and the encoder's are looked up for all positions at once.
    """

    title = "TensorFlow XLA, whole loop compiled"
    batch_sizes = None

    def __init__(self) -> None:
        self.may_differ: dict[int, str] = {}

    def versions(self) -> dict[str, str]:
        """Version of TensorFlow."""
        return {"tensorflow": version("tensorflow")}

    def threads(self) -> int:
        """TensorFlow's own choice is one per core."""
        return self._threads

    def load(self, folder: Path, threads: int | None) -> None:
        """Make constants of the weights; XLA compiles at the first call."""
        self._threads = threads or os.cpu_count() or 1
        tf.config.threading.set_intra_op_parallelism_threads(self._threads)
        self._weights = {name: tf.constant(value) for name, value in vars(Weights.read(folder)).items()}
        problem = Problem.read(folder)
        self._start, self._end = problem.start_id, problem.end_id
        self._run = tf.function(self._loop, jit_compile=True)

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return self._run(tf.constant(sources, tf.int32), steps).numpy()

    def _loop(self, sources: tf.Tensor, steps: int) -> tf.Tensor:
        weights = self._weights
        batch, units = sources.shape[0], weights["encoder_recurrent"].shape[0]
        read = tf.gather(weights["encoder_kernel"] + weights["encoder_bias"], tf.transpose(sources))
        table = weights["decoder_kernel"] + weights["decoder_bias"]
        state_h = state_c = tf.zeros((batch, units))
        for position in tf.range(sources.shape[1]):
            gates = read[position] + state_h @ weights["encoder_recurrent"]
            state_h, state_c = _lstm(gates, state_c)
        token = tf.fill([batch], self._start)
        tokens, ended = tf.TensorArray(tf.int32, steps), tf.zeros([batch], tf.bool)
        for step in tf.range(steps):
            gates = tf.gather(table, token) + state_h @ weights["decoder_recurrent"]
            state_h, state_c = _lstm(gates, state_c)
            logits = state_h @ weights["dense_kernel"] + weights["dense_bias"]
            token = tf.argmax(logits, axis=1, output_type=tf.int32)
            tokens = tokens.write(step, token)
            if self._end is not None:
                ended |= token == self._end
                if tf.reduce_all(ended):
                    break
        return tf.transpose(tokens.stack())


def _lstm(gates: tf.Tensor, state_c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    i, f, c, o = tf.split(gates, 4, axis=1)
    state_c = tf.sigmoid(f) * state_c + tf.sigmoid(i) * tf.tanh(c)
    return tf.sigmoid(o) * tf.tanh(state_c), state_c


def make_peer() -> Xla:
    """Return the peer of this file."""
    return Xla()
