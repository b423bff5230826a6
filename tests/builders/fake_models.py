"""Step models that need no graph at all: their logits are a function of the source and the tokens fed so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from s2s_runtime import Manifest, Model, PaddingPolicy
from s2s_runtime.bundle.manifest import GraphFile, SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.search.step_model import StepOutput


class FakeStates:
    """What has been fed to each row, and its source."""

    def __init__(self, source: np.ndarray, fed: np.ndarray) -> None:
        self.source, self.fed = source, fed


class FakeModel:
    """A step model whose logits are a function of (source, tokens fed after the start token), row by row."""

    def __init__(self, logits: Callable[[np.ndarray, np.ndarray], np.ndarray], attention: Callable | None) -> None:
        self.logits, self.attention = logits, attention
        self.steps = 0
        self.rows = 0

    def encode(self, source: np.ndarray) -> FakeStates:
        """Nothing fed yet."""
        return FakeStates(source, np.zeros((len(source), 0), np.int64))

    def step(self, states: FakeStates, tokens: np.ndarray, *, attention: bool = False) -> StepOutput:
        """Remember the tokens, look up the logits."""
        assert tokens.shape == (len(states.source),)
        states.fed = np.concatenate([states.fed, tokens[:, None]], axis=1)
        self.steps += 1
        self.rows += len(tokens)
        weights = self.attention(states.source, states.fed[:, 1:]) if attention else None
        return StepOutput(self.logits(states.source, states.fed[:, 1:]).astype(np.float32), weights)

    def reorder(self, states: FakeStates, rows: np.ndarray) -> None:
        """Move rows, which must stay with their source."""
        assert len(rows) == len(states.source)
        np.testing.assert_array_equal(states.source[rows], states.source, "rows moved to another sentence")
        states.fed = states.fed[rows]

    def select(self, states: FakeStates, rows: np.ndarray) -> FakeStates:
        """Pick rows."""
        return FakeStates(states.source[rows], states.fed[rows])


def number_manifest(size: int, *, max_length: int = 6, attention: bool = False, **target: object) -> Manifest:
    """A manifest that knows only numbers: 10 source ids, masked; target start = size - 1, end = 0."""
    graphs = {name: GraphFile(f"{name}.onnx", "", 0) for name in ("encoder", "decoder", "select_state")}
    spec = {"start_id": size - 1, "end_ids": (0,), "max_length": max_length, **target}
    return Manifest(
        graphs=graphs,
        source=SourceSpec("ids", 10, (TensorSpec("source", "int64", (None, None)),)),
        target=TargetSpec("token", size, **spec),  # type: ignore[arg-type]
        states=(TensorSpec("state.0", "float32", (None, 1)),),
        memory=(),
        attention=attention,
        padding=PaddingPolicy(masked=True, id=0),
    )


def table_model(size: int, table: Mapping[tuple[int, ...], Mapping[int, float]], **manifest: object) -> Model:
    """A model of a table: tuple of tokens so far -> probabilities of the next (the rest is impossible)."""

    def logits(source: np.ndarray, fed: np.ndarray) -> np.ndarray:
        rows = np.full((len(fed), size), 1e-30)
        for row, tokens in enumerate(fed):
            for token, probability in table.get(tuple(tokens.tolist()), {0: 1.0}).items():
                rows[row, token] = probability
        return np.log(rows)

    return Model(number_manifest(size, **manifest), FakeModel(logits, None))  # type: ignore[arg-type]


def random_model(seed: int, size: int, *, scale: float = 3.0, **manifest: object) -> Model:
    """A model whose logits depend on the source and on every token so far, by fixed random numbers."""
    random = np.random.default_rng(seed)
    by_source, by_token = random.normal(0, 3, (10, size)), random.normal(0, 3, (40, size, size))
    by_source[0] = 0.0  # padding
    looks = random.normal(0, 2, (40, size))

    def logits(source: np.ndarray, fed: np.ndarray) -> np.ndarray:
        mixed = by_source[source].sum(axis=1)
        for step in range(fed.shape[1]):
            mixed = mixed + by_token[step, fed[:, step]]
        return scale * np.sin(mixed)

    def attention(source: np.ndarray, fed: np.ndarray) -> np.ndarray:
        last = fed[:, -1] if fed.shape[1] else np.zeros(len(fed), np.int64)
        energies = np.exp(np.sin(looks[fed.shape[1], last][:, None] * (1 + np.arange(source.shape[1])))) * (source > 0)
        return (energies / energies.sum(axis=1, keepdims=True)).astype(np.float32)

    return Model(number_manifest(size, **manifest), FakeModel(logits, attention))  # type: ignore[arg-type]
