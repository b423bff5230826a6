"""This project: a bundle decoded through its public interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

import s2s_runtime
from peers.interface import BUNDLE_FOLDER, FLOAT16_FOLDER, INT8_FOLDER, Ids, Problem, Rows, UnavailableError
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.bundle.storage import FolderFiles
from s2s_runtime.opening.step_models import open_step_model
from s2s_runtime.options.types import Engine
from s2s_runtime.ort.sessions import SessionSettings

_REDUCED = {
    "int8": (INT8_FOLDER, "weights of 8 bits"),
    "float16": (FLOAT16_FOLDER, "numbers of 16 bits"),
}
_PLACES = {"cuda": "CUDA", "host": "the paths of a device, on the CPU"}


class Ours:
    """`Model.generate`, texts and result objects included, all options as they are but the stop rule.

    Args:
        ways: how it decodes: "int8" or "float16", a bundle of fewer bits; "cuda", on a GPU; "host", on the CPU by the
            paths of a GPU; "steps", step by step.
    """

    batch_sizes = None

    def __init__(self, ways: Sequence[str]) -> None:
        self._place = next((way for way in ways if way in _PLACES), None)
        self._engine: Engine = "steps" if "steps" in ways else "auto"
        self._folder, reason = next((_REDUCED[way] for way in ways if way in _REDUCED), (BUNDLE_FOLDER, ""))
        self.title = ", ".join(["s2s_runtime", *(_PLACES.get(way, way) for way in ways)])
        self.may_differ = dict.fromkeys((1, 5), reason) if reason else {}

    def versions(self) -> dict[str, str]:
        """Versions of all that the runtime needs."""
        onnxruntime = "onnxruntime-gpu" if self._place == "cuda" else "onnxruntime"
        return {name: version(name) for name in ("s2s-runtime", onnxruntime, "numpy")}

    def threads(self) -> int:
        """Onnxruntime's default: one per core."""
        return self._threads

    def load(self, folder: Path, threads: int | None) -> None:
        """Load the bundle."""
        self._threads = threads or os.cpu_count() or 1
        self._model = self._loaded(folder / self._folder, threads)
        problem = Problem.read(folder)
        self._ends = [] if problem.end_id is None else [problem.end_id]

    def _loaded(self, bundle: Path, threads: int | None) -> s2s_runtime.Model:
        if self._place == "host":
            files, manifest = FolderFiles(bundle), read_manifest(bundle)
            steps = open_step_model(files, manifest, SessionSettings(intra_op_threads=threads), on_device=True)
            return s2s_runtime.Model(manifest, steps)
        if self._place == "cuda":
            try:
                return s2s_runtime.load(bundle, providers=["cuda"])
            except s2s_runtime.ProviderError as error:
                raise UnavailableError(str(error)) from error
        return s2s_runtime.load(bundle, intra_op_threads=threads)

    def decode(self, sources: Ids, steps: int) -> Rows:
        """See `Peer.decode`."""
        if self._model.manifest.kind == "one-pass":  # its length and end are the source's: nothing is to be said
            return [result.ids for result in self._model.generate(sources, max_batch_size=len(sources))]
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
        results = self._model.generate(
            sources,
            max_length=steps,
            end_tokens=self._ends,
            beam_size=beam_size,
            length_penalty=0.0,
            return_end_token=bool(self._ends),
            max_batch_size=batch,
            engine=self._engine,
        )
        if not self._ends:
            return np.array([result.ids for result in results])
        tokens = np.full((len(results), steps), -1)
        for row, result in enumerate(results):
            tokens[row, : len(result.ids)] = result.ids
        return tokens


def make_peer(variant: str = "") -> Ours:
    """Return the peer of this file; a variant is made of the ways of `Ours`, hyphens between them."""
    return Ours(variant.split("-") if variant else [])
