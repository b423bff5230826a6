"""Step models in numpy: a recurrent one with attention, by random weights, and one that adds noise to another."""

from __future__ import annotations

from typing import Any

import numpy as np

from s2s_runtime import Manifest, Model, PaddingPolicy
from s2s_runtime.bundle.manifest import GraphFile, SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.search.step_model import StepModel, StepOutput

UNITS = 12


class _States:
    def __init__(self, hidden: np.ndarray, memory: np.ndarray, mask: np.ndarray) -> None:
        self.hidden, self.memory, self.mask = hidden, memory, mask


class NumpyModel:
    """A simple recurrent encoder-decoder with attention; 0 is padding, and masked.

    It computes in 64 bits row by row, whatever is beside: its logits, in 32 bits, don't depend on the rows of a batch.
    """

    def __init__(self, seed: int, source: int, target: int) -> None:
        random = np.random.default_rng(seed)
        self.source, self.fed = random.normal(0, 1, (source, UNITS)), random.normal(0, 1.2, (target, UNITS))
        self.within, self.out = random.normal(0, 0.6, (UNITS, UNITS)), random.normal(0, 0.9, (2 * UNITS, target))

    def encode(self, source: np.ndarray) -> _States:
        """Start from the mean of what is embedded."""
        memory, mask = self.source[source], source != 0
        hidden = np.stack([row[own].mean(axis=0) for row, own in zip(memory, mask, strict=True)])
        return _States(hidden, memory, mask)

    def step(self, states: _States, tokens: np.ndarray, *, attention: bool = False) -> StepOutput:
        """Feed a token to each row."""
        logits, weights = [], []
        for row, token in enumerate(tokens):
            states.hidden[row] = np.tanh(states.hidden[row] @ self.within + self.fed[token])
            own = states.mask[row]
            memory = states.memory[row, own]
            energies = np.exp(memory @ states.hidden[row])
            share = np.zeros(len(own))
            share[own] = energies / energies.sum()
            logits.append(np.concatenate([states.hidden[row], share[own] @ memory]) @ self.out)
            weights.append(share)
        attended = np.array(weights, np.float32) if attention else None
        return StepOutput(np.array(logits, np.float32), attended)

    def reorder(self, states: _States, rows: np.ndarray) -> None:
        """Move rows among beams."""
        states.hidden = states.hidden[rows]

    def select(self, states: _States, rows: np.ndarray) -> _States:
        """Pick rows."""
        return _States(states.hidden[rows], states.memory[rows], states.mask[rows])


class NoisyModel:
    """A step model whose logits have noise: what it changes was nearly a tie."""

    def __init__(self, model: StepModel[Any], size: float, seed: int) -> None:
        self._model, self._size, self._random = model, size, np.random.default_rng(seed)

    def encode(self, *sources: np.ndarray) -> Any:
        """See `StepModel.encode`."""
        return self._model.encode(*sources)

    def step(self, states: Any, tokens: np.ndarray, *, attention: bool = False) -> StepOutput:
        """See `StepModel.step`."""
        output = self._model.step(states, tokens, attention=attention)
        noise = self._random.uniform(-self._size, self._size, output.logits.shape)
        return StepOutput((output.logits + noise).astype(np.float32), output.attention)

    def reorder(self, states: Any, rows: np.ndarray) -> None:
        """See `StepModel.reorder`."""
        self._model.reorder(states, rows)

    def select(self, states: Any, rows: np.ndarray) -> Any:
        """See `StepModel.select`."""
        return self._model.select(states, rows)


def numpy_model(seed: int, source: int = 12, target: int = 20, max_length: int = 24) -> Model:
    """Return a model of ids, masked, that starts at the last id of the target and ends at 0."""
    graphs = {name: GraphFile(f"{name}.onnx", "", 0) for name in ("encoder", "decoder", "select_state")}
    manifest = Manifest(
        graphs=graphs,
        source=SourceSpec("ids", source, (TensorSpec("source", "int64", (None, None)),)),
        target=TargetSpec("token", target, start_id=target - 1, end_ids=(0,), max_length=max_length),
        states=(TensorSpec("state.0", "float32", (None, UNITS)),),
        memory=(),
        attention=True,
        padding=PaddingPolicy(masked=True, id=0),
    )
    return Model(manifest, NumpyModel(seed, source, target))
