"""The graphs of a model of one pass as functions: the whole of its sources, and its step where it is causal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.specs import tensor_name

BEST: Final = "best"
"""The output with the best symbol of each position, int64 (rows, positions)."""

NEVER: Final = "s2s.never"
"""The property of an ONNX file that says which ids are never among the best: numbers between spaces."""


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
        self._never = _never(self._session)

    @property
    def provider(self) -> str:
        """The execution provider that runs it, by onnxruntime's name."""
        return str(self._session.get_providers()[0])

    def __call__(self, *sources: NDArray[np.generic]) -> list[Floats]:
        """Return what the graph gives for padded sources: for each output float32 (rows, positions, size)."""
        outputs: list[Floats] = self._run(self._outputs, sources)
        return outputs

    def best(self, never: frozenset[int], *sources: NDArray[np.generic]) -> Ints | None:
        """Return the best symbols of the first output alone, int64 (rows, positions).

        Args:
            never: ids that aren't among them.
            sources: padded.

        Returns:
            None where the graph doesn't choose, as older ones don't, or chooses among others.
        """
        if never != self._never:
            return None
        best: Ints = self._run([BEST], sources)[0]
        return best

    def _run(self, outputs: list[str], sources: Sequence[NDArray[np.generic]]) -> list[Any]:
        session = self._session
        if self._alone is not None and len(sources[0]) > self._rows_alone:
            session = self._sessions["model"]  # opened for the first larger batch
        made: list[Any] = session.run(outputs, dict(zip(self._names, sources, strict=True)))
        return made


def _never(session: Any) -> frozenset[int] | None:
    """Return the ids that a graph never chooses; None where it doesn't choose."""
    if all(output.name != BEST for output in session.get_outputs()):
        return None
    said = session.get_modelmeta().custom_metadata_map.get(NEVER)
    return None if said is None else frozenset(map(int, said.split()))


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
