"""LSTM, GRU and RNN nodes as loops over time whose products are of 8 bits.

Onnxruntime quantises an LSTM with one scale for a whole batch, and a GRU not at all. Here each direction of a node
becomes a `Scan` over the time steps. What comes from the source is looked up by id where ids are all it is made of,
else it is one product for all steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.passes.step_passes import MAX_TABLE_BYTES
from s2s_export.reduce.products import Kind, Writer

ACTIVATIONS: Final = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
"""The recurrent operators, and what one direction of each applies where the node doesn't say."""

_GATES: Final = {"LSTM": 4, "GRU": 3, "RNN": 1}
_WITHOUT_PARAMETERS: Final = ("Sigmoid", "Tanh", "Relu", "Softsign", "Softplus")


@dataclass(frozen=True)
class Cell:
    """One direction of a recurrent node.

    Attributes:
        kind: the node's.
        units: size of the state.
        activations: names, in the node's order.
        kernel, recurrent: names of constants (features, gates * units) and (units, gates * units), as the node orders
            the gates.
        bias: constants (gates * units,), what is added to the first product and what to the second.
        resets_after: whether a GRU's reset gate is applied behind the product.
        reverse: whether it reads from the end.
    """

    kind: str
    units: int
    activations: tuple[str, ...]
    kernel: str
    recurrent: str
    bias: tuple[str, str]
    resets_after: bool
    reverse: bool


def recurrent_nodes(editor: GraphEditor) -> list[onnx.NodeProto]:
    """Return the recurrent nodes of a graph that can become loops."""
    return [node for node in editor.nodes if node.op_type in ACTIVATIONS and _can_loop(editor, node)]


def read(node: onnx.NodeProto) -> list[str]:
    """Return what a recurrent node's products multiply: its sequence, its outputs, its first state where it has one."""
    shown = next((name for name in node.output[:2] if name), "")
    return [node.input[0], shown, *([node.input[5]] if len(node.input) > 5 and node.input[5] else [])]


def loop_cells(editor: GraphEditor, kind: Kind, largest: Mapping[str, float]) -> int:
    """Let recurrent nodes be loops of 8 bits.

    Args:
        editor: a graph.
        kind: of the products.
        largest: as `quantize_products` has it, of what `read` says.

    Returns:
        How many nodes were changed.
    """
    count = 0
    for node in recurrent_nodes(editor):
        _, *states = read(node)
        if kind == "int8" and any(name not in largest for name in states):
            continue
        _Loops(editor, kind, node, largest).write()
        count += 1
    return count


class _Loops:
    """Writes the loops that take a node's place.

    Args:
        editor: whose node it is.
        kind: of the products.
        node: LSTM, GRU or RNN.
        largest: as `loop_cells` has it.
    """

    def __init__(self, editor: GraphEditor, kind: Kind, node: onnx.NodeProto, largest: Mapping[str, float]) -> None:
        self._editor = editor
        self._kind = kind
        self._node = node
        self._largest = largest
        self._states = max((largest.get(name, 0.0) for name in read(node)[1:]), default=0.0)
        lengths, *first = (node.input[place] if len(node.input) > place else "" for place in (4, 5, 6))
        self._lengths, self._first = lengths, first
        self._shows_steps = bool(node.output[0]) and any(node.output[0] in other.input for other in editor.nodes)

    def write(self) -> None:
        """Replace the node."""
        editor, node = self._editor, self._node
        editor.remove([node])
        cells = _cells(editor, node)
        mask = self._mask() if self._lengths else ""
        ways = [self._loop(cell, way, mask) for way, cell in enumerate(cells)]
        shown = [*zip(*ways, strict=True)]
        places = {0: 2, 1: 0, 2: 1}  # in what a loop gives: last state, an LSTM's last cells, outputs of all steps
        for place, name in enumerate(node.output):
            if not name or (place == 0 and not self._shows_steps):
                continue
            axis = 1 if place == 0 else 0
            one = editor.integers([axis])
            parts = shown[-1 if place == 0 else places[place]]
            wide = [editor.add("Unsqueeze", [part, one])[0] for part in parts[:-1]]
            if len(parts) == 1:
                editor.add("Unsqueeze", [parts[0], one], [name])
            else:
                wide.append(editor.add("Unsqueeze", [parts[-1], one])[0])
                editor.add("Concat", wide, [name], axis=axis)

    def _mask(self) -> str:
        """Return the name of which steps count, bool (time, batch, 1)."""
        editor, zero, one = self._editor, self._scalar(0), self._scalar(1)
        (shape,) = editor.add("Shape", [self._node.input[0]])
        (time,) = editor.add("Gather", [shape, zero])
        (numbers,) = editor.add("Range", [zero, time, one])
        (column,) = editor.add("Unsqueeze", [numbers, editor.integers([1])])
        (lengths,) = editor.add("Cast", [self._lengths], to=TensorProto.INT64)
        (counts,) = editor.add("Less", [column, lengths])
        return editor.add("Unsqueeze", [counts, editor.integers([2])])[0]

    def _scalar(self, number: int) -> str:
        return self._editor.constant(np.asarray(number, np.int64))

    def _loop(self, cell: Cell, way: int, mask: str) -> tuple[str, ...]:
        """Add the loop of one direction; return last state, an LSTM's last cells, and where shown all outputs."""
        editor = self._editor
        first = [self._first_state(place, way, cell) for place in range(2 if cell.kind == "LSTM" else 1)]
        scanned, axis, step, table = self._source(cell)
        inputs = [editor.fresh("state") for _ in first]
        mark = len(editor.nodes)
        (rows,) = editor.add("Gather", [table, step]) if table else [step]
        made = _CELLS[cell.kind](_Step(editor, Writer(editor, self._kind), cell, self._states), inputs, rows)
        shown, counts = made[0], editor.fresh("counts")
        if mask:
            made = [editor.add("Where", [counts, new, old])[0] for new, old in zip(made, inputs, strict=True)]
            if self._shows_steps:
                (shown,) = editor.add("Where", [counts, shown, editor.constant(np.zeros((1, 1), np.float32))])
        if self._shows_steps:
            (shown,) = editor.add("Identity", [shown])
        nodes = editor.nodes[mark:]
        del editor.nodes[mark:]
        value = helper.make_tensor_value_info
        wide = [value(name, TensorProto.FLOAT, ["batch", cell.units]) for name in [*inputs, *made]]
        taken = value(step, TensorProto.INT64, ["batch"])
        if not table:
            taken = value(step, TensorProto.FLOAT, ["batch", editor.constants[cell.recurrent].shape[1]])
        body = helper.make_graph(
            nodes,
            "step",
            [*wide[: len(first)], taken, *([value(counts, TensorProto.BOOL, ["batch", 1])] if mask else [])],
            [*wide[len(first) :], *([value(shown, TensorProto.FLOAT, ["batch", cell.units])] * self._shows_steps)],
        )
        count = 2 if mask else 1
        backwards = [int(cell.reverse)]
        outputs = editor.add(
            "Scan",
            [*first, scanned, *([mask] if mask else [])],
            len(first) + self._shows_steps,
            body=body,
            num_scan_inputs=count,
            scan_input_axes=[axis, 0][:count],
            scan_input_directions=backwards * count,
            **({"scan_output_directions": backwards} if self._shows_steps else {}),
        )
        return tuple(outputs)

    def _first_state(self, place: int, way: int, cell: Cell) -> str:
        """Return the name of a state (batch, units) before the first step."""
        editor, given = self._editor, self._first[place]
        if given:
            return editor.add("Gather", [given, self._scalar(way)], axis=0)[0]
        (shape,) = editor.add("Shape", [self._node.input[0]])
        (batch,) = editor.add("Gather", [shape, editor.integers([1])])
        (size,) = editor.add("Concat", [batch, editor.integers([cell.units])], axis=0)
        zeros = helper.make_tensor("zeros", TensorProto.FLOAT, [1], [0.0])
        return editor.add("ConstantOfShape", [size], value=zeros)[0]

    def _source(self, cell: Cell) -> tuple[str, int, str, str]:
        """Add what comes from the sequence.

        Returns:
            The tensor to scan, its axis of time, a name for what a step gets of it, and the table that this is looked
            up in; "" where it is the rows themselves.
        """
        editor, sequence, axis = self._editor, self._node.input[0], 0
        turned = editor.producer(sequence)
        if turned is not None and turned.op_type == "Transpose" and list(turned.attribute[0].ints) == [1, 0, 2]:
            sequence, axis = turned.input[0], 1
        step, both = editor.fresh("rows"), [cell.kernel, cell.bias[0]]
        looked_up = editor.producer(sequence)
        rows = None
        if looked_up is not None and looked_up.op_type == "Gather":
            rows = editor.constants.get(looked_up.input[0])
        columns = editor.constants[cell.kernel].shape[1]
        small = rows is not None and rows.ndim == 2 and len(rows) * columns * rows.itemsize <= MAX_TABLE_BYTES
        if looked_up is not None and small and not any(attribute.i for attribute in looked_up.attribute):
            table = editor.folded("table", ("times",), [looked_up.input[0], *both], lambda x, k, b: x @ k + b)
            return editor.add("Cast", [looked_up.input[1]], to=TensorProto.INT64)[0], axis, step, table
        output = editor.fresh("sequence")
        if self._kind != "int8" or self._node.input[0] in self._largest:
            largest = self._largest.get(self._node.input[0], 0.0)
            Writer(editor, self._kind).product(sequence, largest, cell.kernel, cell.bias[0], output)
        else:
            (times,) = editor.add("MatMul", [sequence, cell.kernel])
            editor.add("Add", [times, cell.bias[0]], [output])
        return output, axis, step, ""


@dataclass(frozen=True)
class _Step:
    """What the nodes of a step are written with.

    Attributes:
        editor: whose nodes they are.
        writer: of the products.
        cell: whose step it is.
        largest: absolute value of a state that is told apart from larger ones.
    """

    editor: GraphEditor
    writer: Writer
    cell: Cell
    largest: float

    def product(self, given: str, kernel: str, added: str) -> str:
        """Add a product of something as large as a state, and return its name."""
        output = self.editor.fresh("product")
        self.writer.product(given, self.largest, kernel, added, output)
        return output

    def part(self, columns: slice) -> str:
        """Return the name of some columns of the recurrent kernel."""
        how = (columns.start, columns.stop)
        return self.editor.folded("kernel", how, [self.cell.recurrent], lambda kernel: kernel[:, columns])


def _lstm(step: _Step, states: list[str], rows: str) -> list[str]:
    """Add an LSTM's step; gates come as i, o, f, c."""
    editor, cell, (hidden, cells) = step.editor, step.cell, states
    gate, candidate, shown = cell.activations
    total = step.product(hidden, cell.recurrent, rows)
    gates, new = editor.add("Split", [total, editor.integers([3 * cell.units, cell.units])], 2, axis=1)
    (opened,) = editor.add(gate, [gates])
    (new,) = editor.add(candidate, [new])
    i, o, f = editor.add("Split", [opened, editor.integers([cell.units] * 3)], 3, axis=1)
    (kept,) = editor.add("Mul", [f, cells])
    (added,) = editor.add("Mul", [i, new])
    (cells,) = editor.add("Add", [kept, added])
    (bounded,) = editor.add(shown, [cells])
    (hidden,) = editor.add("Mul", [o, bounded])
    return [hidden, cells]


def _gru(step: _Step, states: list[str], rows: str) -> list[str]:
    """Add a GRU's step; gates come as z, r, h."""
    editor, cell, (hidden,) = step.editor, step.cell, states
    gate, candidate = cell.activations
    sizes, halves = editor.integers([2 * cell.units, cell.units]), editor.integers([cell.units] * 2)
    gate_rows, new_rows = editor.add("Split", [rows, sizes], 2, axis=1)
    if cell.resets_after:
        total = step.product(hidden, cell.recurrent, cell.bias[1])
        gates, inner = editor.add("Split", [total, sizes], 2, axis=1)
        (gates,) = editor.add("Add", [gates, gate_rows])
    else:
        gates = step.product(hidden, step.part(slice(0, 2 * cell.units)), gate_rows)
    (opened,) = editor.add(gate, [gates])
    z, r = editor.add("Split", [opened, halves], 2, axis=1)
    if cell.resets_after:
        (inner,) = editor.add("Mul", [r, inner])
        (new,) = editor.add("Add", [inner, new_rows])
    else:
        (reset,) = editor.add("Mul", [r, hidden])
        new = step.product(reset, step.part(slice(2 * cell.units, None)), new_rows)
    (new,) = editor.add(candidate, [new])
    (rest,) = editor.add("Sub", [editor.constant(np.ones((1, 1), np.float32)), z])
    (kept,) = editor.add("Mul", [z, hidden])
    (added,) = editor.add("Mul", [rest, new])
    return editor.add("Add", [kept, added])


def _rnn(step: _Step, states: list[str], rows: str) -> list[str]:
    """Add a simple layer's step."""
    total = step.product(states[0], step.cell.recurrent, rows)
    return step.editor.add(step.cell.activations[0], [total])


_CELLS: Final = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}


def _can_loop(editor: GraphEditor, node: onnx.NodeProto) -> bool:
    """Return whether a node's weights are constants, its activations have no parameters, and it does nothing else."""
    given = {attribute.name for attribute in node.attribute}
    weights = [name in editor.constants for name in node.input[1:3]]
    peeps = len(node.input) > 7 and bool(node.input[7])
    bias = len(node.input) <= 3 or not node.input[3] or node.input[3] in editor.constants
    plain = set(activations(node)) <= set(_WITHOUT_PARAMETERS)
    return all(weights) and bias and plain and not peeps and not given & {"clip", "input_forget", "layout"}


def activations(node: onnx.NodeProto) -> list[str]:
    """Return the names of a node's activations, of all directions."""
    named = next(([name.decode() for name in a.strings] for a in node.attribute if a.name == "activations"), None)
    return named or [*ACTIVATIONS[node.op_type]] * (2 if _direction(node) == "bidirectional" else 1)


def _direction(node: onnx.NodeProto) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == "direction"), "forward")


def _cells(editor: GraphEditor, node: onnx.NodeProto) -> list[Cell]:
    """Return a node's directions."""
    kind, direction = node.op_type, _direction(node)
    count = 2 if direction == "bidirectional" else 1
    resets_after = any(a.name == "linear_before_reset" and a.i == 1 for a in node.attribute)
    units = editor.constants[node.input[2]].shape[-1]
    wide, given = _GATES[kind] * units, len(node.input) > 3 and bool(node.input[3])
    bias = node.input[3] if given else editor.constant(np.zeros((count, 2 * wide), np.float32))
    named = activations(node)
    each = len(named) // count
    cells = []
    for way in range(count):
        kernel, recurrent = (
            editor.folded("kernel", ("way", way), [name], lambda stacked, way=way: stacked[way].T)
            for name in node.input[1:3]
        )
        # A GRU that resets behind the product resets the second bias too; otherwise both are added at once.
        how = ("first", way, wide, resets_after)
        first = editor.folded("bias", how, [bias], lambda b, way=way: _first_bias(b[way], resets_after))
        second = editor.folded("bias", ("second", way, wide), [bias], lambda b, way=way: b[way, wide:])
        cells.append(
            Cell(
                kind,
                units,
                tuple(named[way * each : (way + 1) * each]),
                kernel,
                recurrent,
                (first, second),
                resets_after,
                direction == "reverse" or way == 1,
            )
        )
    return cells


def _first_bias(bias: np.ndarray, resets_after: bool) -> np.ndarray:
    first, second = np.split(bias, 2)
    return first if resets_after else first + second
