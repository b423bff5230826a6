"""Draws inside the graph of a wide vocabulary are those of the search step by step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.graphs import token_choice
from s2s_export.graphs.search_graphs import Carried, greedy_graph
from s2s_runtime.bundle.manifest_file import TensorSpec
from s2s_runtime.search.sampling import Draws, Sampler

SIZE, ROWS, STEPS = 300, 6, 40


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """Logits by the token before: of some tokens peaked, of others so flat that 64 don't reach the mass."""
    random = np.random.default_rng(1)
    return (random.normal(size=(SIZE, SIZE)) * np.where(np.arange(SIZE) % 3, 4.0, 0.3)[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def session(table: np.ndarray) -> onnxruntime.InferenceSession:
    """The graph that draws among the likeliest, over a step that looks the logits up."""
    state = TensorSpec("state.0", "float32", (None, 1))
    nodes = [
        helper.make_node("Gather", ["table", "token"], ["logits"]),
        helper.make_node("Identity", ["state.0"], ["next_state.0"]),
    ]
    inputs = [("token", TensorProto.INT64, [None]), ("state.0", TensorProto.FLOAT, [None, 1])]
    outputs = [("logits", TensorProto.FLOAT, [None, SIZE]), ("next_state.0", TensorProto.FLOAT, [None, 1])]
    values = [[helper.make_tensor_value_info(*value) for value in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "step", *values, [numpy_helper.from_array(table, "table")])
    step = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    made = greedy_graph(WeightedModel.of(step), Carried((state,), (), SIZE, fed=True), choice="sample_top").whole()
    onnx.checker.check_model(made, full_check=True)
    return onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "sampler",
    [
        Sampler(top_p=0.9, seed=1),
        Sampler(top_p=0.3, seed=2),
        Sampler(top_p=0.999, temperature=2.0, seed=3),
        Sampler(top_k=5, seed=4),
        Sampler(top_k=5, top_p=0.8, seed=5),
        Sampler(top_k=100, seed=6),
        Sampler(top_k=100, top_p=0.95, temperature=0.5, seed=7),
        Sampler(top_k=SIZE + 1, seed=8),
    ],
    ids=lambda sampler: f"k={sampler.top_k} p={sampler.top_p}",
)
@pytest.mark.parametrize("rows", [1, ROWS])
def test_draws_of_a_wide_vocabulary(
    session: onnxruntime.InferenceSession, table: np.ndarray, sampler: Sampler, rows: int
) -> None:
    """Whether the likeliest tokens that are sorted first do, or all have to be sorted."""
    assert SIZE > token_choice._WIDE
    mask = np.zeros(SIZE, np.float32)
    mask[::7] = -np.inf
    drawing = Draws(sampler, rows, 1).drawing(SIZE)
    first = np.arange(1, rows + 1)
    inputs = {
        "steps": np.array(STEPS),
        "mask": mask,
        "goes_on": np.ones(SIZE, np.float32),
        "least": np.array(0, np.float32),
        "live": np.ones(rows, np.float32),
        "token": first,
        "state.0": np.zeros((rows, 1), np.float32),
        "temperature": np.array(drawing.temperature, np.float32),
        "numbers": drawing.numbers[:STEPS, :, None],
        "candidates": np.array([drawing.candidates]),
        "mass": np.array(drawing.mass, np.float32),
    }
    tokens, scores = session.run(["tokens", "token_scores"], inputs)
    assert tokens.shape == (STEPS, rows)
    for (before, after), numbers, given in zip(pairwise([first, *tokens]), drawing.numbers, scores, strict=False):
        np.testing.assert_array_equal(after, sampler.draw(table[before] + mask, numbers))
        logs = table[before] - np.log(np.exp(table[before]).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(given, logs[np.arange(rows), after], rtol=1e-4, atol=1e-5)
