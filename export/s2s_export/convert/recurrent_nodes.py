"""Recurrent Keras layers as ONNX LSTM, GRU and RNN nodes.

tf2onnx turns an unmasked LSTM into an ONNX LSTM and every other recurrent layer into a Loop. Here each layer that has
an ONNX twin is written as that node, masks as `sequence_lens`, with what Keras does at masked steps mended afterwards.

Gate orders: Keras keeps an LSTM's gates as i, f, c, o and ONNX as i, o, f, c; a GRU's are z, r, h in both, and
`reset_after` is ONNX's `linear_before_reset`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from s2s_export.convert.graph_editor import GraphEditor

Kind = Literal["LSTM", "GRU", "RNN"]

# Keras activation -> ONNX name and alpha; None where ONNX's own default is Keras's or there is no parameter.
_ACTIVATIONS: dict[str, tuple[str, float | None, float | None]] = {
    "tanh": ("Tanh", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "relu": ("Relu", None, None),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "s2s>hard_sigmoid_2": ("HardSigmoid", 0.2, 0.5),  # Keras 2's, from old files
    "linear": ("Affine", 1.0, 0.0),
    "elu": ("Elu", 1.0, None),
    "softsign": ("Softsign", None, None),
    "softplus": ("Softplus", None, None),
}


@dataclass(frozen=True)
class Direction:
    """One recurrent cell that reads the sequence in one direction.

    Attributes:
        kind: the ONNX node.
        units: size of the state.
        kernel: W (gates * units, features), gates in ONNX order.
        recurrent: R (gates * units, units).
        bias: input then recurrent bias (2 * gates * units,).
        activations: names in the node's order.
        alpha, beta: parameters of those activations that take them, in order.
        linear_before_reset: GRU only, Keras's `reset_after`.
    """

    kind: Kind
    units: int
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    activations: list[str]
    alpha: list[float]
    beta: list[float]
    linear_before_reset: bool


@dataclass(frozen=True)
class NativeLayer:
    """A recurrent layer that ONNX nodes can replace.

    Attributes:
        forward: the cells of a plain layer, bottom first (several where cells are stacked), or the forward one of
            a Bidirectional.
        backward: the cell that reads from the end of a Bidirectional, or None.
        go_backwards: whether a plain layer reads from the end (its outputs then stay in that order).
        return_sequences, return_state: as in Keras.
        merge_mode: how a Bidirectional joins its outputs: "concat", "sum", "mul", "ave" or None.
        zero_output_for_mask: whether masked steps give zeros rather than repeat the last output.
    """

    forward: list[Direction]
    backward: Direction | None
    go_backwards: bool
    return_sequences: bool
    return_state: bool
    merge_mode: str | None
    zero_output_for_mask: bool


def native_layer(layer: Any) -> NativeLayer | None:
    """Return the description of a layer that ONNX has a node for; None where it has none.

    A layer without one is converted as Keras runs it.
    """
    if isinstance(layer, keras.layers.Bidirectional):
        forward, backward = _plain(layer.forward_layer), _plain(layer.backward_layer)
        if forward is None or backward is None or forward.go_backwards or not backward.go_backwards:
            return None
        first, last = forward.forward, backward.forward
        if len(first) != 1 or len(last) != 1 or (first[0].kind, first[0].units) != (last[0].kind, last[0].units):
            return None
        return NativeLayer(
            first,
            last[0],
            False,
            forward.return_sequences,
            layer.return_state,
            layer.merge_mode,
            forward.zero_output_for_mask,
        )
    return _plain(layer)


def _plain(layer: Any) -> NativeLayer | None:
    if not isinstance(layer, keras.layers.RNN):
        return None
    cells = layer.cell.cells if isinstance(layer.cell, keras.layers.StackedRNNCells) else [layer.cell]
    directions = [_direction(cell) for cell in cells]
    if any(direction is None for direction in directions) or (len(directions) > 1 and layer.go_backwards):
        return None
    return NativeLayer(
        [direction for direction in directions if direction is not None],
        None,
        layer.go_backwards,
        layer.return_sequences,
        layer.return_state,
        None,
        bool(getattr(layer, "zero_output_for_mask", False)),
    )


def _direction(cell: Any) -> Direction | None:
    readers: dict[type, Callable[[Any], Direction | None]] = {
        keras.layers.LSTMCell: _lstm,
        keras.layers.GRUCell: _gru,
        keras.layers.SimpleRNNCell: _simple,
    }
    reader = readers.get(type(cell))  # not isinstance: a subclass may compute something else
    return reader(cell) if reader is not None else None


def _lstm(cell: Any) -> Direction | None:
    gates = [0, 3, 1, 2]  # i, f, c, o -> i, o, f, c
    biases = _bias(cell, 4)[0], np.zeros(4 * cell.units, np.float32)
    return _make(cell, "LSTM", gates, biases, [cell.recurrent_activation, cell.activation, cell.activation])


def _gru(cell: Any) -> Direction | None:
    rows = _bias(cell, 3)
    biases = rows[0], rows[1] if cell.reset_after and cell.use_bias else np.zeros(3 * cell.units, np.float32)
    return _make(cell, "GRU", [0, 1, 2], biases, [cell.recurrent_activation, cell.activation])


def _simple(cell: Any) -> Direction | None:
    biases = _bias(cell, 1)[0], np.zeros(cell.units, np.float32)
    return _make(cell, "RNN", [0], biases, [cell.activation])


def _bias(cell: Any, gates: int) -> np.ndarray:
    """Return the bias as rows of (gates * units)."""
    if not cell.use_bias:
        return np.zeros((1, gates * cell.units), np.float32)
    return np.asarray(cell.bias, dtype=np.float32).reshape(-1, gates * cell.units)


def _make(
    cell: Any, kind: Kind, gates: list[int], biases: tuple[np.ndarray, np.ndarray], activations: list[Any]
) -> Direction | None:
    named = [_ACTIVATIONS.get(_name(activation)) for activation in activations]
    if any(entry is None for entry in named):
        return None
    order = np.concatenate([np.arange(gate * cell.units, (gate + 1) * cell.units) for gate in gates])
    known = [entry for entry in named if entry is not None]
    return Direction(
        kind=kind,
        units=cell.units,
        kernel=np.asarray(cell.kernel, dtype=np.float32)[:, order].T,
        recurrent=np.asarray(cell.recurrent_kernel, dtype=np.float32)[:, order].T,
        bias=np.concatenate([bias[order] for bias in biases]),
        activations=[name for name, _, _ in known],
        alpha=[alpha for _, alpha, _ in known if alpha is not None],
        beta=[beta for _, _, beta in known if beta is not None],
        linear_before_reset=kind == "GRU" and bool(cell.reset_after),
    )


def _name(activation: Any) -> str:
    """Return Keras's name of an activation, with its package where it has one."""
    registered = keras.saving.get_registered_name(activation)
    return registered if ">" in str(registered) else str(keras.activations.serialize(activation))


@dataclass(frozen=True)
class Emission:
    """The tensors that enter one layer call.

    Attributes:
        sequence: float32 (batch, time, features).
        mask: bool (batch, time), or None.
        states: initial states (batch, units) in Keras's order, or empty.
    """

    sequence: str
    mask: str | None
    states: list[str]


def emit(editor: GraphEditor, layer: NativeLayer, call: Emission) -> list[str]:
    """Add the nodes of one layer call and return its outputs in Keras's order: output(s), then states."""
    lengths = _lengths(editor, call.mask) if call.mask is not None else ""
    (steps,) = editor.add("Transpose", [call.sequence], perm=[1, 0, 2])  # (time, batch, features)
    if layer.backward is not None:
        return _emit_bidirectional(editor, layer, call, steps, lengths)
    states, given = [], list(call.states)
    for position, direction in enumerate(layer.forward):
        count = 2 if direction.kind == "LSTM" else 1
        first, given = given[:count], given[count:]
        sequence, finals = _node(editor, [direction], steps, lengths, first, reverse=layer.go_backwards)
        states += [_row(editor, final, 0) for final in finals]
        if position + 1 < len(layer.forward):
            (steps,) = editor.add("Squeeze", [sequence, editor.integers([1])])
    last = states[-2] if layer.forward[-1].kind == "LSTM" else states[-1]
    output = last
    if layer.return_sequences:
        output = _side_by_side(editor, sequence, layer.forward[-1].units)
        if layer.go_backwards:
            output = _flip(editor, output)
        elif call.mask is not None and not layer.zero_output_for_mask:
            output = _repeat_last(editor, output, last, call.mask)
    return [output, *(states if layer.return_state else [])]


def _emit_bidirectional(editor: GraphEditor, layer: NativeLayer, call: Emission, steps: str, lengths: str) -> list[str]:
    backward = layer.backward
    if backward is None:
        raise ValueError("a bidirectional layer has two directions")
    sequence, finals = _node(editor, [layer.forward[0], backward], steps, lengths, call.states, reverse=False)
    states = [_row(editor, final, way) for way in (0, 1) for final in finals]
    ends = [states[0], states[len(finals)]]
    repeated = None if layer.zero_output_for_mask else call.mask
    if layer.return_sequences and layer.merge_mode == "concat" and repeated is None:
        outputs = [_side_by_side(editor, sequence, 2 * backward.units)]
        return [*outputs, *(states if layer.return_state else [])]
    if layer.return_sequences:
        ways = [_batch_first(editor, sequence, way) for way in (0, 1)]
        if repeated is not None:
            ways[0] = _repeat_last(editor, ways[0], ends[0], repeated)
    else:
        ways = ends
    outputs = _merge(editor, ways, layer.merge_mode)
    return [*outputs, *(states if layer.return_state else [])]


def _merge(editor: GraphEditor, ways: list[str], mode: str | None) -> list[str]:
    if mode is None:
        return ways
    if mode == "concat":
        return editor.add("Concat", ways, axis=-1)
    if mode == "mul":
        return editor.add("Mul", ways)
    (total,) = editor.add("Add", ways)
    if mode == "sum":
        return [total]
    return editor.add("Mul", [total, editor.constant(np.float32(0.5).reshape(()))])


def _node(
    editor: GraphEditor, directions: list[Direction], steps: str, lengths: str, states: list[str], *, reverse: bool
) -> tuple[str, list[str]]:
    """Add one LSTM, GRU or RNN node.

    Returns:
        All outputs (time, directions, batch, units), and the final states, each (directions, batch, units).
    """
    kind = directions[0].kind
    count = 2 if kind == "LSTM" else 1
    weights = [editor.constant(np.stack([getattr(d, field) for d in directions]), field) for field in _WEIGHTS]
    inputs = [steps, *weights, lengths]
    for index in range(count if states else 0):  # states come direction by direction
        rows = [
            editor.add("Unsqueeze", [states[way * count + index], editor.integers([0])])[0]
            for way in _ways(states, count)
        ]
        inputs.append(rows[0] if len(rows) == 1 else editor.add("Concat", rows, axis=0)[0])
    attributes: dict[str, Any] = (
        {"linear_before_reset": int(directions[0].linear_before_reset)} if kind == "GRU" else {}
    )
    for field in ("alpha", "beta"):
        values = [value for direction in directions for value in getattr(direction, field)]
        if values:
            attributes[f"activation_{field}"] = values
    way = "bidirectional" if len(directions) == 2 else ("reverse" if reverse else "forward")
    activations = [name for direction in directions for name in direction.activations]
    sequence, *finals = editor.add(
        kind,
        inputs,
        1 + count,
        direction=way,
        hidden_size=directions[0].units,
        activations=activations,
        **attributes,
    )
    return sequence, finals


_WEIGHTS = ("kernel", "recurrent", "bias")


def _ways(states: list[str], count: int) -> range:
    return range(len(states) // count)


def _lengths(editor: GraphEditor, mask: str) -> str:
    """Return the lengths int32 (batch,) of a mask bool (batch, time), which is true from the left without gaps."""
    (numbers,) = editor.add("Cast", [mask], to=6)  # int32
    (lengths,) = editor.add("ReduceSum", [numbers, editor.integers([1])], keepdims=0)
    return lengths


def _row(editor: GraphEditor, tensor: str, way: int) -> str:
    """Return one direction of (directions, batch, units), as (batch, units)."""
    return editor.add("Gather", [tensor, editor.constant(np.int64(way).reshape(()))], axis=0)[0]


def _batch_first(editor: GraphEditor, sequence: str, way: int) -> str:
    """Return one direction of (time, directions, batch, units) as (batch, time, units)."""
    (steps,) = editor.add("Gather", [sequence, editor.constant(np.int64(way).reshape(()))], axis=1)
    return editor.add("Transpose", [steps], perm=[1, 0, 2])[0]


def _side_by_side(editor: GraphEditor, sequence: str, width: int) -> str:
    """Return all directions of (time, directions, batch, units) side by side, as (batch, time, width)."""
    (rows,) = editor.add("Transpose", [sequence], perm=[2, 0, 1, 3])
    return editor.add("Reshape", [rows, editor.integers([0, 0, width])])[0]


def _flip(editor: GraphEditor, sequence: str) -> str:
    """Return a sequence (batch, time, units) with time reversed, padding first as Keras leaves it."""
    starts, ends = editor.integers([-1]), editor.integers([-(2**31)])
    return editor.add("Slice", [sequence, starts, ends, editor.integers([1]), editor.integers([-1])])[0]


def _repeat_last(editor: GraphEditor, sequence: str, last: str, mask: str) -> str:
    """Put the last real output at masked steps, as Keras does; onnxruntime leaves zeros there."""
    (wide,) = editor.add("Unsqueeze", [mask, editor.integers([2])])  # (batch, time, 1)
    (repeated,) = editor.add("Unsqueeze", [last, editor.integers([1])])  # (batch, 1, units)
    return editor.add("Where", [wide, sequence, repeated])[0]
