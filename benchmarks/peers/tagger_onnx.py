"""A tagger in onnxruntime: as plain tf2onnx converts it, and the bundle's graph without the runtime around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from peers.interface import BUNDLE_FOLDER, PLAIN_FILE, Ids
from peers.tagging import Tagger
from peers.weights import TaggerWeights

_FILES = {"plain": (PLAIN_FILE, np.int32), "graph": (f"{BUNDLE_FOLDER}/model.onnx", np.int64)}
_TITLES = {"plain": "onnxruntime, plain tf2onnx graph", "graph": "the bundle's graph alone, in onnxruntime"}


class TaggerOnnx(Tagger):
    """`session.run`, and the best tag of each position by numpy.

    Args:
        variant: "plain" or "graph".
    """

    packages = ("onnxruntime", "numpy")

    def __init__(self, variant: str) -> None:
        self.title = _TITLES[variant]
        self._file, self._type = _FILES[variant]

    def load(self, folder: Path, threads: int | None) -> None:
        """Open the session, nothing but defaults."""
        self.work_with(threads)
        self.know(TaggerWeights.read(folder))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: its own choice
        self._session = onnxruntime.InferenceSession(folder / self._file, options, providers=["CPUExecutionProvider"])
        (self._name,) = [each.name for each in self._session.get_inputs()]

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return self._session.run(None, {self._name: sources.astype(self._type)})[0].argmax(axis=-1)


def make_peer(variant: str) -> TaggerOnnx:
    """Return the peer of this file."""
    return TaggerOnnx(variant)
