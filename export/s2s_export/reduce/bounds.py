"""How large the numbers in a graph can get, as its operations tell: what a constant scale is taken from.

The states of LSTMs and GRUs lie between -1 and 1, as what makes them does; rows of a table are no larger than the
table; a mean with weights that sum to 1 is no larger than what it is the mean of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
import onnx

from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.reduce.recurrent_loops import ACTIVATIONS, activations

Bounds = dict[str, float]
"""Largest absolute values by tensor name; a tensor of which nothing is known is left out."""

_UP_TO_ONE: Final = ("Tanh", "Sigmoid", "HardSigmoid", "Softsign", "Softmax")
_GATES: Final = ("Sigmoid", "HardSigmoid")
_VIEWS: Final = ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Flatten", "Expand")
_SAME: Final = (*_VIEWS, "Gather", "Relu", "Abs", "Neg", "Tile")
_TRUTHS: Final = ("Equal", "Not", "And", "Or", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")


def bounds(editor: GraphEditor, given: Mapping[str, float]) -> Bounds:
    """Return the largest absolute value of each tensor of a graph for which its operations tell one.

    Args:
        editor: the graph.
        given: bounds of its inputs.
    """
    known: Bounds = dict(given)
    for name, value in editor.constants.items():
        if value.dtype.kind == "f" and value.size:
            known[name] = float(np.abs(value).max())
    for node in editor.running(editor.outputs):
        known.update(_made(editor, node, known))
    return known


def state_bounds(editor: GraphEditor, initial: Mapping[str, float]) -> Bounds:
    """Return the bounds of a step graph's tensors that hold at every step.

    Args:
        editor: a step graph, which makes `next_NAME` of each state `NAME`.
        initial: bounds of states and memory before the first step. Of a state that grows beyond what it began with and
            beyond 1 nothing is known.
    """
    given = dict(initial)
    while True:
        known = bounds(editor, given)
        made = {name: known.get(f"next_{name}", np.inf) for name in given if f"next_{name}" in editor.outputs}
        grown = [name for name, bound in made.items() if bound > given[name]]
        if not grown:
            return known
        for name in grown:
            if given[name] < 1 and made[name] <= 1:
                given[name] = 1.0
            else:
                del given[name]


def _made(editor: GraphEditor, node: onnx.NodeProto, known: Bounds) -> Bounds:
    """Return the bounds of what a node makes."""
    if node.op_type in ACTIVATIONS:
        return _recurrent(node, known)
    bound = _bound(editor, node, known)
    return {} if bound is None else dict.fromkeys((name for name in node.output if name), bound)


def _bound(editor: GraphEditor, node: onnx.NodeProto, known: Bounds) -> float | None:
    """Return the bound of what a node other than a recurrent one makes, or None."""
    kind, names, bound = node.op_type, list(node.input), None
    if kind in _UP_TO_ONE:
        bound = 1.0
    elif kind == "Cast":
        maker = editor.producer(names[0])
        bound = 1.0 if maker is not None and maker.op_type in _TRUTHS else known.get(names[0])
    elif kind in _SAME:
        bound = known.get(names[0])
    elif kind == "MatMul":
        bound = known.get(names[1]) if _sums_to_one(editor, names[0]) else None
    elif kind == "Mul":
        bound = _combined(np.prod, names, known)
    elif kind in ("Where", "Concat", "Max", "Min"):
        bound = _combined(max, names[1:] if kind == "Where" else names, known)
    elif kind in ("Add", "Sub"):
        mixed = _mixed(editor, names) if kind == "Add" else None
        bound = _combined(sum, names, known) if mixed is None else _combined(max, mixed, known)
    return bound


def _combined(how: Callable[[list[float]], Any], names: Iterable[str], known: Bounds) -> float | None:
    """Return what the bounds of some tensors come to, or None where one of them is unknown."""
    values = [known.get(name) for name in names]
    given = [value for value in values if value is not None]
    return float(how(given)) if len(given) == len(values) else None


def _recurrent(node: onnx.NodeProto, known: Bounds) -> Bounds:
    """Return the bounds of outputs and last state of a recurrent node; an LSTM's cells have none."""
    named, count = activations(node), len(ACTIVATIONS[node.op_type])
    last, gates = named[count - 1 :: count], named[::count] if count > 1 else []
    if any(name not in _UP_TO_ONE for name in last) or any(name not in _GATES for name in gates):
        return {}
    first = node.input[5] if len(node.input) > 5 else ""
    bound = 1.0
    if node.op_type == "GRU" and first:  # it also carries on its first state
        bound = max(1.0, known.get(first, np.inf))
    return {} if bound == np.inf else {name: bound for name in node.output[:2] if name}


def _sums_to_one(editor: GraphEditor, tensor: str) -> bool:
    """Return whether a tensor is weights of a softmax, in whatever shape."""
    maker = _seen_through(editor, tensor, ("Identity", "Squeeze", "Unsqueeze", "Reshape"))
    return maker is not None and maker.op_type == "Softmax"


def _mixed(editor: GraphEditor, names: Iterable[str]) -> list[str] | None:
    """Return what a sum is the mean of where it is gate * one + (1 - gate) * other, as a GRU's; None where it isn't."""
    makers = [editor.producer(name) for name in names]
    products = [list(maker.input) for maker in makers if maker is not None and maker.op_type == "Mul"]
    if len(products) != 2:
        return None
    for one, other in (products, products[::-1]):
        for gate, rest in ((one[0], one[1]), (one[1], one[0])):
            for left, mixed in ((other[0], other[1]), (other[1], other[0])):
                if _is_gate(editor, gate) and _is_rest(editor, left, gate):
                    return [rest, mixed]
    return None


def _is_gate(editor: GraphEditor, tensor: str) -> bool:
    maker = _seen_through(editor, tensor, _VIEWS)
    return maker is not None and maker.op_type in _GATES


def _is_rest(editor: GraphEditor, tensor: str, gate: str) -> bool:
    """Return whether a tensor is 1 - gate."""
    maker = editor.producer(tensor)
    if maker is None or maker.op_type != "Sub" or maker.input[1] != gate:
        return False
    one = editor.constants.get(maker.input[0])
    return one is not None and bool((one == 1).all())


def _seen_through(editor: GraphEditor, tensor: str, views: Iterable[str]) -> onnx.NodeProto | None:
    """Return the node that makes what a tensor shows, behind nodes that only show it otherwise."""
    maker = editor.producer(tensor)
    while maker is not None and maker.op_type in views:
        maker = editor.producer(maker.input[0])
    return maker
