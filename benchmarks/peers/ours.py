"""This project: a bundle decoded through its public interface."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import s2s_runtime
from peers.interface import BUNDLE_FOLDER


class Ours:
    """`Model.generate`, texts and result objects included, all options as they are but the stop rule."""

    title = "s2s_runtime"
    batch_sizes = None

    def versions(self) -> dict[str, str]:
        """Versions of all that the runtime needs."""
        return {name: version(name) for name in ("s2s-runtime", "onnxruntime", "numpy")}

    def threads(self) -> int:
        """Onnxruntime's default: one per core."""
        return self._threads

    def load(self, folder: Path, threads: int | None) -> None:
        """Load the bundle."""
        self._threads = threads or os.cpu_count() or 1
        self._model = s2s_runtime.load(folder / BUNDLE_FOLDER, intra_op_threads=threads)

    def decode(self, sources: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """See `Peer.decode`."""
        results = self._model.generate(sources, max_length=steps, end_tokens=[], max_batch_size=len(sources))
        return np.array([result.ids for result in results])


def make_peer() -> Ours:
    """The peer of this file."""
    return Ours()
