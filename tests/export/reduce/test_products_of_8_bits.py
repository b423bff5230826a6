"""Products and recurrent loops of 8 bits, beside onnxruntime's float32 nodes; and bounds beside what is computed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.reduce.bounds import bounds, state_bounds
from s2s_export.reduce.products import BLOCK, in_blocks, quantize_products, rounded
from s2s_export.reduce.recurrent_loops import loop_cells, read, recurrent_nodes

UNITS, FEATURES, STEPS, ROWS = 16, 12, 7, 5
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 5))
def test_rounded_kernels(seed: int, rows: int, columns: int) -> None:
    """Within half a level of what they were; two neighbours times anything of 8 bits fit into 16 bits."""
    kernel = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    kernel[:, 0] = 0
    levels, scales = rounded(kernel)
    assert levels.dtype == np.int8
    np.testing.assert_allclose(levels * scales, kernel, atol=0.51 * scales.max())
    wide = np.zeros((rows + rows % 2, columns), np.int64)
    wide[:rows] = levels
    assert (255 * np.abs(wide[::2] + wide[1::2]) < 2**15).all()
    assert (255 * np.abs(wide) < 2**15).all()


def test_kernels_in_blocks() -> None:
    """Each block of a column has a scale; the rows that fill the last block are zeros."""
    kernel = np.random.default_rng(0).normal(size=(BLOCK + 3, 5)).astype(np.float32)
    levels, scales = in_blocks(kernel)
    assert levels.shape == (5, 2, BLOCK)
    values = (levels.astype(np.float32) - 128) * scales.reshape(5, 2, 1)
    np.testing.assert_allclose(values.reshape(5, -1)[:, : BLOCK + 3].T, kernel, atol=scales.max() / 2 + 1e-6)
    assert (values.reshape(5, -1)[:, BLOCK + 3 :] == 0).all()


def model_of(
    nodes: list[onnx.NodeProto], inputs: list[Any], outputs: list[Any], **constants: np.ndarray
) -> WeightedModel:
    """Return a model; inputs and outputs are (name, type, shape)."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return WeightedModel.of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))


CASES = [
    (kind, resets_after, direction, *which)
    for index, (kind, resets_after, direction) in enumerate(
        itertools.product(("LSTM", "GRU", "RNN"), (0, 1), ("forward", "reverse", "bidirectional"))
    )
    if kind == "GRU" or not resets_after
    for which in itertools.product((0, 1), repeat=3)
    if sum(which) % 2 == index % 2  # half of what a node is given: masks, first states, ids
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_loops_give_what_nodes_give(case: tuple[str, int, str, int, int, int]) -> None:
    """All outputs, within what 8 bits come to: zeros behind the end of a row, last states where its end is."""
    kind, resets_after, direction, masked, starts, looks_up = case
    rng, ways = np.random.default_rng(1), 2 if direction == "bidirectional" else 1
    wide = GATES[kind] * UNITS
    weights = {
        name: rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in {"W": (ways, wide, FEATURES), "R": (ways, wide, UNITS), "B": (ways, 2 * wide)}.items()
    }
    states = ["hidden", "cells"][: 2 if kind == "LSTM" else 1]
    shown = ["all", *(f"last_{state}" for state in states)]
    source = (
        ("ids", TensorProto.INT32, ["rows", "time"])
        if looks_up
        else ("x", TensorProto.FLOAT, ["rows", "time", FEATURES])
    )
    given_states = [(name, TensorProto.FLOAT, [ways, "rows", UNITS]) for name in states if starts]
    inputs = [source, *([("lengths", TensorProto.INT32, ["rows"])] if masked else []), *given_states]
    more = {"linear_before_reset": resets_after} if kind == "GRU" else {}
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["wide"])
        if looks_up
        else helper.make_node("Identity", ["x"], ["wide"]),
        helper.make_node("Transpose", ["wide"], ["steps"], perm=[1, 0, 2]),
        helper.make_node(
            kind,
            ["steps", "W", "R", "B", "lengths" if masked else "", *(states if starts else [])],
            ["outputs", *shown[1:]],
            hidden_size=UNITS,
            direction=direction,
            **more,
        ),
        helper.make_node("Identity", ["outputs"], ["all"]),
    ]
    outputs = [
        ("all", TensorProto.FLOAT, ["time", ways, "rows", UNITS]),
        *((name, TensorProto.FLOAT, [ways, "rows", UNITS]) for name in shown[1:]),
    ]
    table = rng.uniform(-1, 1, (9, FEATURES)).astype(np.float32)
    model = model_of(nodes, inputs, outputs, table=table, **weights)
    feeds: dict[str, np.ndarray] = {
        "ids": rng.integers(0, 9, (ROWS, STEPS)).astype(np.int32),
        "x": rng.uniform(-1, 1, (ROWS, STEPS, FEATURES)).astype(np.float32),
        "lengths": np.array([7, 1, 3, 5, 7], np.int32),
        **{name: rng.uniform(-1, 1, (ways, ROWS, UNITS)).astype(np.float32) for name in states},
    }
    feeds = {name: feeds[name] for name, *_ in inputs}
    expected = model.run(shown, feeds)
    for numbers in ("int8", "int8-weights"):
        editor = GraphEditor(model.copy())
        assert loop_cells(editor, numbers, dict.fromkeys(read(recurrent_nodes(editor)[0]), 1.0)) == 1
        for one, other in zip(editor.finish().run(shown, feeds), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=0.06 if kind == "RNN" else 0.03)
            assert (one[other == 0] == 0).all()


def test_what_does_not_fit_stays_float32() -> None:
    """A product of something of unknown range, one with a narrow kernel, one whose kernel isn't constant."""
    nodes = [
        helper.make_node("MatMul", ["x", "K"], ["one"]),
        helper.make_node("MatMul", ["x", "narrow"], ["two"]),
        helper.make_node("MatMul", ["x", "given"], ["three"]),
        helper.make_node("Tanh", ["x"], ["h"]),
        helper.make_node("Gemm", ["h", "K", "added"], ["four"], transB=1),
    ]
    outputs = [(name, TensorProto.FLOAT, ["rows", "columns"]) for name in ("one", "two", "three", "four")]
    inputs = [
        ("x", TensorProto.FLOAT, ["rows", 6]),
        ("given", TensorProto.FLOAT, [6, 6]),
        ("added", TensorProto.FLOAT, [1, 6]),
    ]
    rng = np.random.default_rng(0)
    kernel, narrow = (rng.normal(size=shape).astype(np.float32) for shape in ((6, 6), (6, 2)))
    model = model_of(nodes, inputs, outputs, K=kernel, narrow=narrow)
    editor = GraphEditor(model.copy())
    known = bounds(editor, {})
    assert known["h"] == 1
    assert "x" not in known
    assert quantize_products(editor, "int8", known) == 1
    shapes = {"x": (3, 6), "given": (6, 6), "added": (1, 6)}
    feeds = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    names = ["one", "two", "three", "four"]
    for name, one, other in zip(names, editor.finish().run(names, feeds), model.run(names, feeds), strict=True):
        np.testing.assert_allclose(one, other, atol=0.05 if name == "four" else 1e-6)


def test_bounds_of_a_gated_state() -> None:
    """What is the mean of itself and of something up to 1 stays up to 1, at every step; what grows is unbounded."""
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["gate"]),
        helper.make_node("Sub", ["unit", "gate"], ["rest"]),
        helper.make_node("Tanh", ["x"], ["new"]),
        helper.make_node("Mul", ["gate", "state.0"], ["kept"]),
        helper.make_node("Mul", ["new", "rest"], ["added"]),
        helper.make_node("Add", ["added", "kept"], ["next_state.0"]),
        helper.make_node("Add", ["state.1", "new"], ["next_state.1"]),
    ]
    wide = [(name, TensorProto.FLOAT, ["rows", 4]) for name in ("x", "state.0", "state.1")]
    outputs = [(f"next_{name}", *rest) for name, *rest in wide[1:]]
    editor = GraphEditor(model_of(nodes, wide, outputs, unit=np.ones((1, 1), np.float32)))
    known = state_bounds(editor, {"state.0": 0.0, "state.1": 0.0})
    assert known["state.0"] == known["next_state.0"] == 1
    assert "state.1" not in known
    assert state_bounds(editor, {"state.0": 3.0})["next_state.0"] == 3
