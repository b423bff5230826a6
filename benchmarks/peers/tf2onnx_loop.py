"""The tutorial's two inference models through plain tf2onnx, stepped from Python."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

from peers.interface import Ids, Problem
from peers.keras_tutorial import build_inference_models, build_training_model
from peers.weights import Weights


class Tf2onnxLoop:
    """`session.run` per character: one-hot vectors in, probabilities out, states handed back and forth."""

    title = "onnxruntime, plain tf2onnx graphs, Python loop"
    batch_sizes = None

    def __init__(self) -> None:
        self.may_differ: dict[int, str] = {}

    def versions(self) -> dict[str, str]:
        """Versions of the converter and of what runs its graphs."""
        return {name: version(name) for name in ("tf2onnx", "onnxruntime", "keras", "tensorflow")}

    def threads(self) -> int:
        """Onnxruntime's default: one per core."""
        return self._threads

    def load(self, folder: Path, threads: int | None) -> None:
        """Convert both models and open a session for each, nothing but defaults."""
        self._threads = threads or os.cpu_count() or 1
        weights = Weights.read(folder)
        problem = Problem.read(folder)
        self._start, self._end = problem.start_id, problem.end_id
        self._source_rows = np.eye(weights.source_size, dtype=np.float32)
        self._target_rows = np.eye(weights.target_size, dtype=np.float32)
        encoder, decoder = build_inference_models(build_training_model(weights))
        self._encoder = _session(encoder, threads)
        self._decoder = _session(decoder, threads)
        self._fed = [each.name for each in self._decoder.get_inputs()]

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        (name,) = [each.name for each in self._encoder.get_inputs()]
        states = self._encoder.run(None, {name: self._source_rows[sources]})
        token = np.full(len(sources), self._start)
        tokens, ended = np.zeros((len(sources), steps), np.int64), np.zeros(len(sources), np.bool_)
        for step in range(steps):
            fed = [self._target_rows[token][:, None], *states]
            probabilities, *states = self._decoder.run(None, dict(zip(self._fed, fed, strict=True)))
            token = tokens[:, step] = probabilities[:, -1].argmax(axis=-1)
            if self._end is not None:
                ended |= token == self._end
                if ended.all():
                    break
        return tokens


def _session(model: keras.Model, threads: int | None) -> onnxruntime.InferenceSession:
    signature = [
        tf.TensorSpec(each.shape, tf.float32, name=f"input_{place}") for place, each in enumerate(model.inputs)
    ]

    @tf.function(input_signature=signature)
    def call(*inputs: tf.Tensor) -> list[tf.Tensor]:
        return model(list(inputs) if len(inputs) > 1 else inputs[0])

    proto, _ = tf2onnx.convert.from_function(call, signature, opset=18)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: its own choice
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def make_peer() -> Tf2onnxLoop:
    """Return the peer of this file."""
    return Tf2onnxLoop()
