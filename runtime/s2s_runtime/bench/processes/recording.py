"""Recording the graphs that a model runs and their inputs, so that onnxruntime alone can do the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bench.processes.start import array_request, loading_request
from s2s_runtime.bench.settings import Loading
from s2s_runtime.model import Model
from s2s_runtime.search.step_model import Choice, StepOutput, Writing, Written


def bare_request(loading: Loading, model: Model, source: Any) -> dict[str, Any]:
    """Return the request to a process with onnxruntime alone to do as a model does: graphs and their inputs.

    States and memory aren't among the inputs: the encoder gives them.

    Args:
        loading: how the model was loaded.
        model: it decodes the source here once, greedily, to see which graphs it runs.
        source: the source to decode.
    """
    recorder = _Recorder(model.step_model, [tensor.name for tensor in model.manifest.source.inputs])
    watched = Model(model.manifest, recorder, model.provider)
    if model.manifest.target.feedback == "value":
        watched.predict([source])
    else:
        watched.generate([source])
    files = {name: str(loading.bundle.resolve() / model.manifest.graphs[name].file) for name in recorder.runs}
    graphs = [{"name": name, "file": files[name], "runs": runs} for name, runs in recorder.runs.items()]
    arrays = array_request(recorder.arrays)
    return {**loading_request(loading), "provider": model.provider, "graphs": graphs, "arrays": arrays}


class _Recorder:
    """A step model that records which graphs another runs, how often, and their inputs the first time."""

    def __init__(self, model: Any, source_names: Sequence[str]) -> None:
        self._model = model
        self._source_names = source_names
        self.runs: dict[str, int] = {}
        self.arrays: dict[str, NDArray[Any]] = {}

    @property
    def can_write(self) -> bool:
        return bool(getattr(self._model, "can_write", False))

    @property
    def choices(self) -> frozenset[Choice]:
        return frozenset(getattr(self._model, "choices", ()))

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> Any:
        self._note("encoder", dict(zip(self._source_names, (source, *others), strict=True)))
        return self._model.encode(source, *others)

    def step(self, states: Any, tokens: NDArray[Any], *, attention: bool = False) -> StepOutput:
        self._note("decoder", {"token": tokens, "value": tokens})
        output: StepOutput = self._model.step(states, tokens, attention=attention)
        return output

    def write(self, states: Any, tokens: NDArray[np.int64], writing: Writing) -> Written:
        read: dict[str, NDArray[Any]] = {
            "token": tokens,
            "steps": np.array(writing.steps, np.int64),
            "mask": writing.mask,
            "goes_on": writing.goes_on,
            "live": writing.live,
            "least": np.array(writing.least, np.float32),
        }
        self._note(writing.choice, read)
        written: Written = self._model.write(states, tokens, writing)
        return written

    def select(self, states: Any, rows: NDArray[np.int64]) -> Any:
        return self._model.select(states, rows)

    def reorder(self, states: Any, rows: NDArray[np.int64]) -> None:
        self._model.reorder(states, rows)

    def _note(self, graph: str, read: Mapping[str, NDArray[Any]]) -> None:
        self.runs[graph] = self.runs.get(graph, 0) + 1
        if self.runs[graph] == 1:
            self.arrays |= {f"{graph}/{name}": np.array(array) for name, array in read.items()}
