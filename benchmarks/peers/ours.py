"""This project: a bundle decoded through its public interface."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import numpy as np

import s2s_runtime
from peers.interface import BUNDLE_FOLDER, INT8_FOLDER, Ids, Problem

_INT8 = "weights of 8 bits"


class Ours:
    """`Model.generate`, texts and result objects included, all options as they are but the stop rule.

    Args:
        int8: whether the bundle with weights of 8 bits is decoded.
    """

    batch_sizes = None

    def __init__(self, *, int8: bool) -> None:
        self._folder = INT8_FOLDER if int8 else BUNDLE_FOLDER
        self.title = "s2s_runtime, int8" if int8 else "s2s_runtime"
        self.may_differ = dict.fromkeys((1, 5), _INT8) if int8 else {}

    def versions(self) -> dict[str, str]:
        """Versions of all that the runtime needs."""
        return {name: version(name) for name in ("s2s-runtime", "onnxruntime", "numpy")}

    def threads(self) -> int:
        """Onnxruntime's default: one per core."""
        return self._threads

    def load(self, folder: Path, threads: int | None) -> None:
        """Load the bundle."""
        self._threads = threads or os.cpu_count() or 1
        self._model = s2s_runtime.load(folder / self._folder, intra_op_threads=threads)
        problem = Problem.read(folder)
        self._ends = [] if problem.end_id is None else [problem.end_id]

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return self._generate(sources, steps, 1, len(sources))

    def beam_search(self, sources: Ids, steps: int, beam_size: int) -> Ids:
        """See `BeamPeer.beam_search`."""
        return self._generate(sources, steps, beam_size, len(sources))

    def decode_list(self, sources: Ids, steps: int, batch: int) -> Ids:
        """See `ListPeer.decode_list`."""
        return self._generate(sources, steps, 1, batch)

    def decode_texts(self, texts: list[str]) -> list[str]:
        """See `TextPeer.decode_texts`."""
        return [result.text for result in self._model.generate(texts, max_batch_size=len(texts))]

    def _generate(self, sources: Ids, steps: int, beam_size: int, batch: int) -> Ids:
        if self._model.manifest.kind == "one-pass":  # its length and end are the source's: nothing is to be said
            return np.array([result.ids for result in self._model.generate(sources, max_batch_size=batch)])
        results = self._model.generate(
            sources,
            max_length=steps,
            end_tokens=self._ends,
            beam_size=beam_size,
            length_penalty=0.0,
            return_end_token=bool(self._ends),
            max_batch_size=batch,
        )
        if not self._ends:
            return np.array([result.ids for result in results])
        tokens = np.full((len(results), steps), -1)
        for row, result in enumerate(results):
            tokens[row, : len(result.ids)] = result.ids
        return tokens


def make_peer(variant: str = "float32") -> Ours:
    """Return the peer of this file; variant "int8": with weights of 8 bits."""
    return Ours(int8=variant == "int8")
