"""The graphs of a model of one pass as functions: the whole of its sources, and its step where it is causal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.specs import tensor_name


class WholeGraph:
    """The graph `model` of a bundle.

    Args:
        manifest: manifest of the bundle.
        sessions: sessions by graph name.
        alone: sessions with one thread each, for few rows; None = all rows have the same.
        rows_alone: how many rows are few.
    """

    def __init__(
        self,
        manifest: Manifest,
        sessions: Mapping[str, Any],
        alone: Mapping[str, Any] | None = None,
        rows_alone: int = 0,
    ) -> None:
        self._names = [tensor.name for tensor in manifest.source.inputs]
        targets = [manifest.target, *(output.target for output in manifest.outputs)]
        self._outputs = [tensor_name(target, place) for place, target in enumerate(targets)]
        self._sessions, self._alone, self._rows_alone = sessions, alone, rows_alone
        self._session = (sessions if alone is None else alone)["model"]

    @property
    def provider(self) -> str:
        """The execution provider that runs it, by onnxruntime's name."""
        return str(self._session.get_providers()[0])

    def __call__(self, *sources: NDArray[np.generic]) -> list[Floats]:
        """Return what the graph gives for padded sources: for each output float32 (rows, positions, size)."""
        session = self._session
        if self._alone is not None and len(sources[0]) > self._rows_alone:
            session = self._sessions["model"]  # opened for the first larger batch
        outputs: list[Floats] = session.run(self._outputs, dict(zip(self._names, sources, strict=True)))
        return outputs


class StepGraph:
    """The graph `step` of a bundle, opened when it is first run.

    Args:
        manifest: manifest of the bundle.
        sessions: sessions by graph name.
    """

    def __init__(self, manifest: Manifest, sessions: Mapping[str, Any]) -> None:
        states = [tensor.name for tensor in manifest.states]
        self._inputs = ["value" if manifest.source.kind == "values" else "token", *states]
        output = "output" if manifest.target.feedback == "value" else "logits"
        self._outputs = [output, *(f"next_{name}" for name in states)]
        self._sessions = sessions

    def __call__(self, reading: NDArray[np.generic], states: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the output of a reading, float32 (rows, size), and the next states."""
        fed = dict(zip(self._inputs, (reading, *states), strict=True))
        outputs: list[NDArray[Any]] = self._sessions["step"].run(self._outputs, fed)
        return outputs
