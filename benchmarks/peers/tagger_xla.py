"""A tagger written by hand in TensorFlow and compiled by XLA."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from peers.interface import Ids
from peers.tagging import Tagger
from peers.weights import TaggerWeights


class TaggerXla(Tagger):
    """Both directions in one loop of a `tf.function(jit_compile=True)`, one compilation per batch size.

    The input kernels are multiplied for all positions at once.
    """

    title = "TensorFlow XLA, written by hand"

    packages = ("tensorflow",)

    def load(self, folder: Path, threads: int | None) -> None:
        """Make constants of the weights; XLA compiles at the first call."""
        tf.config.threading.set_intra_op_parallelism_threads(self.work_with(threads))
        weights = TaggerWeights.read(folder)
        self.know(weights)
        self._weights = {name: tf.constant(value) for name, value in vars(weights).items()}
        self._units = weights.units
        self._run = tf.function(self._tag, jit_compile=True)

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return self._run(tf.constant(sources, tf.int32)).numpy()

    def _tag(self, sources: tf.Tensor) -> tf.Tensor:
        w, (batch, time) = self._weights, sources.shape
        read = tf.gather(w["embedding"], tf.transpose(sources))  # (time, batch, embedding)
        ways = tf.stack([read, read[::-1]])
        gates = tf.einsum("wtbe,weg->twbg", ways, w["kernels"]) + w["biases"][:, None]
        state_h = state_c = tf.zeros((2, batch, self._units))
        states = tf.TensorArray(tf.float32, time)
        for step in tf.range(time):
            i, f, c, o = tf.split(gates[step] + state_h @ w["recurrents"], 4, axis=2)
            state_c = tf.sigmoid(f) * state_c + tf.sigmoid(i) * tf.tanh(c)
            state_h = tf.sigmoid(o) * tf.tanh(state_c)
            states = states.write(step, state_h)
        made = states.stack()
        both = tf.concat([made[:, 0], made[::-1, 1]], axis=2)
        logits = both @ w["dense_kernel"] + w["dense_bias"]
        return tf.transpose(tf.argmax(logits, axis=2, output_type=tf.int32))


def make_peer() -> TaggerXla:
    """Return the peer of this file."""
    return TaggerXla()
