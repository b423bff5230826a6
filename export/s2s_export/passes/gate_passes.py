"""Passes over recurrent cells: a product per gate, or per activation, instead of one whose columns are taken apart.

A recurrent cell multiplies its state by the kernels of all gates at once, adds what comes from the token, and takes
the columns apart, for an activation each. `separate_gates` makes each gate one product that adds its rows and applies
its activation as it writes (onnxruntime fuses these); nothing is taken apart, many rows stay in the inner caches, and
two threads share the work better. For a single row the number of nodes counts: `group_gates` makes one product for all
gates of one activation. `benchmarks/PASSES.md` has what either gains.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.passes.registry import Passes

_MOST_GROUPED = 4 * 2**20  # bytes of kernels: beside products of larger ones a few nodes make no difference
_ALL = 2**31 - 1  # how the converter writes "to the end"


def take_gates_apart(editor: GraphEditor, passes: Passes) -> bool:
    """Apply the passes that make gates products of their own, and return whether there were any."""
    apart = passes.apply("gates_apart", separate_gates, editor)
    added = passes.apply("sums_in_products", add_in_products, editor)
    return bool(apart or added)


def separate_gates(editor: GraphEditor) -> int:
    """Compute column ranges of sums of products apart, wherever a sum is only ever read in column ranges.

    Args:
        editor: a step graph, its tokens tabulated.

    Returns:
        How many products there are now in place of one each.
    """
    count = 0
    for whole, ranges in _separable(editor):
        for node, bounds in ranges:
            editor.remove([node])
            for output, (start, end) in zip(node.output, bounds, strict=True):
                _columns(editor, whole, slice(start, end), [output])
                count += 1
        editor.prune(whole)
    return count


def add_in_products(editor: GraphEditor) -> int:
    """Let products add table rows as their third operand, and put the product's bias into the table.

    Args:
        editor: a step graph, its gates apart.

    Returns:
        How many sums were removed.
    """
    ranks = editor.ranks()
    count = 0
    for node in [node for node in editor.nodes if node.op_type == "Add"]:
        makers = [editor.producer(name) for name in node.input if editor.is_read_once(name)]
        by_type = {maker.op_type: maker for maker in makers if maker is not None}
        product, rows = by_type.get("Gemm", by_type.get("MatMul")), by_type.get("Gather")
        if product is None or rows is None or any(attribute.i for attribute in rows.attribute):
            continue
        bias, table = _bias(editor, product, ranks), editor.constants.get(rows.input[0])
        if bias is None or table is None or table.ndim != 2 or table.shape[1] != len(bias):
            continue
        editor.remove([node, product, rows])
        (added,) = editor.add("Gather", [editor.constant(table + bias, "table"), rows.input[1]], axis=0)
        editor.add("Gemm", [*product.input[:2], added], [node.output[0]])
        count += 1
    return count


def _bias(editor: GraphEditor, product: onnx.NodeProto, ranks: dict[str, int]) -> np.ndarray | None:
    """Return what a product (batch, columns) by a constant kernel adds to each row: a constant (columns,), or zeros."""
    kernel = editor.constants.get(product.input[1])
    if kernel is None or kernel.ndim != 2 or product.attribute:
        return None
    if product.op_type == "MatMul":
        return np.zeros(kernel.shape[1], kernel.dtype) if ranks.get(product.input[0]) == 2 else None
    bias = editor.constants.get(product.input[-1])
    return bias if bias is not None and bias.ndim == 1 else None


def group_gates(editor: GraphEditor) -> int:
    """Compute the column ranges that have the same activation in one product, with one activation.

    Large kernels are left alone: the graph would hold them twice, for loops of one row and of several.

    Args:
        editor: a step graph, its tokens tabulated.

    Returns:
        How many activations were removed.
    """
    count = 0
    for whole, ranges, groups in _sharing_activations(editor):
        if _constant_bytes(editor, whole) > _MOST_GROUPED:
            continue
        editor.remove([node for node, _ in ranges])
        for kind, gates in groups.items():
            columns = np.concatenate([np.arange(*bounds) for _, bounds in gates])
            if kind:
                _activated(editor, kind, _columns(editor, whole, columns), gates)
            else:
                for output, bounds in gates:
                    _columns(editor, whole, np.arange(*bounds), [output])
        editor.prune(whole)
        count += _saved(groups)
    return count


def join_gates(editor: GraphEditor) -> None:
    """Put the columns of gates that have one activation beside each other, in one product, with one activation each.

    For products of 8 bits, which are so quick that the number of nodes counts for many rows too.

    Args:
        editor: a step graph, its tokens tabulated.
    """
    for whole, ranges, groups in _sharing_activations(editor):
        editor.remove([node for node, _ in ranges])
        parts = [("", [gate]) for gate in groups.pop("", [])] + list(groups.items())
        columns = [np.arange(*bounds) for _, gates in parts for _, bounds in gates]
        joined = _columns(editor, whole, np.concatenate(columns))
        names = [editor.fresh("gates") if kind else gates[0][0] for kind, gates in parts]
        sizes = [sum(end - start for _, (start, end) in gates) for _, gates in parts]
        editor.add("Split", [joined, editor.integers(sizes)], names, axis=1)
        for name, (kind, gates) in zip(names, parts, strict=True):
            if kind:
                _activated(editor, kind, name, gates)
        editor.prune(whole)


_ACTIVATIONS = ("Sigmoid", "Tanh", "Relu")  # without parameters

Gates = list[tuple[str, tuple[int, int]]]  # a range's tensor and its columns
Ranges = list[tuple[onnx.NodeProto, list[tuple[int, int]]]]  # a node that takes ranges, and their columns


def _sharing_activations(editor: GraphEditor) -> Iterator[tuple[str, Ranges, dict[str, Gates]]]:
    """Yield each separable tensor of which several ranges have the same activation, its ranges, and these grouped."""
    for whole, ranges in _separable(editor):
        groups = _by_activation(editor, ranges)
        if _saved(groups):
            yield whole, ranges, groups


def _saved(groups: dict[str, Gates]) -> int:
    """Return how many activations fewer there are with one for each group."""
    return sum(len(gates) - 1 for kind, gates in groups.items() if kind)


def _by_activation(editor: GraphEditor, ranges: Ranges) -> dict[str, Gates]:
    """Return the ranges by the activation that alone reads them; "" where they are read otherwise."""
    groups: dict[str, Gates] = {}
    for node, bounds in ranges:
        for output, columns in zip(node.output, bounds, strict=True):
            readers = [reader for reader in editor.nodes if output in reader.input]
            kinds = {reader.op_type for reader in readers}
            alone = len(readers) == 1 and kinds <= set(_ACTIVATIONS) and output not in editor.outputs
            groups.setdefault(kinds.pop() if alone else "", []).append((output, columns))
    return groups


def _activated(editor: GraphEditor, kind: str, product: str, gates: Gates) -> None:
    """Add one activation for several gates, and take its result apart into the tensors that each gate's had made."""
    readers = [reader for output, _ in gates for reader in editor.nodes if output in reader.input]
    names = [reader.output[0] for reader in readers]
    editor.remove(readers)
    if len(names) == 1:
        editor.add(kind, [product], names)
        return
    (active,) = editor.add(kind, [product])
    sizes = editor.integers([end - start for _, (start, end) in gates])
    editor.add("Split", [active, sizes], names, axis=1)


def _separable(editor: GraphEditor) -> list[tuple[str, Ranges]]:
    """Return the tensors that can be computed, and are read, in column ranges, with the nodes that take the ranges."""
    ranks = editor.ranks()
    return [(whole, ranges) for whole, ranges in _taken_apart(editor).items() if _is_separable(editor, whole, ranks)]


def _taken_apart(editor: GraphEditor) -> dict[str, Ranges]:
    """Return the tensors that are read in column ranges alone, with the nodes that take the ranges, and the ranges."""
    readers: dict[str, Ranges] = {}
    for node in editor.nodes:
        bounds = _split_bounds(editor, node) if node.op_type == "Split" else _slice_bounds(editor, node)
        if bounds:
            readers.setdefault(node.input[0], []).append((node, bounds))
    return {
        whole: ranges
        for whole, ranges in readers.items()
        if whole not in editor.outputs and len(ranges) == sum(whole in node.input for node in editor.nodes)
    }


def _split_bounds(editor: GraphEditor, node: onnx.NodeProto) -> list[tuple[int, int]]:
    """Return the column ranges of a Split along the second of two axes whose sizes are constants."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    sizes = editor.constants.get(node.input[1]) if len(node.input) > 1 else None
    width = _width(editor, node.input[0])
    if axis not in (1, -1) or width is None:
        return []
    count = len(node.output)
    ends = np.cumsum([width // count] * count if sizes is None else sizes).tolist()
    if ends[-1] != width:  # a last part smaller than the others
        return []
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _width(editor: GraphEditor, tensor: str) -> int | None:
    """Return the columns of a sum of products, table rows and constants, where one of them tells their number."""
    if tensor in editor.constants:
        return int(editor.constants[tensor].shape[-1]) if editor.constants[tensor].ndim else None
    node = editor.producer(tensor)
    if node is None or node.op_type not in ("Add", "MatMul", "Gather"):
        return None
    kept = {"Add": node.input, "MatMul": node.input[1:], "Gather": node.input[:1]}[node.op_type]
    return max((width for name in kept if (width := _width(editor, name)) is not None), default=None)


def _slice_bounds(editor: GraphEditor, node: onnx.NodeProto) -> list[tuple[int, int]]:
    """Return the column range of a Slice by one that takes all rows, its bounds counted from the front."""
    if node.op_type != "Slice" or len(node.input) < 4:
        return []
    starts, ends, axes, *steps = [editor.constants.get(name) for name in node.input[1:]]
    width = _width(editor, node.input[0])
    if starts is None or ends is None or axes is None or width is None:
        return []
    if any(step is None or not (step == 1).all() for step in steps):
        return []
    bounds = {
        axis % 2: (start, end) for axis, start, end in zip(*(a.tolist() for a in (axes, starts, ends)), strict=True)
    }
    rows, (start, end) = bounds.get(0, (0, _ALL)), bounds.get(1, (0, _ALL))
    return [(start, min(end, width))] if rows == (0, _ALL) and 0 <= start < end else []


def _is_separable(editor: GraphEditor, tensor: str, ranks: dict[str, int]) -> bool:
    """Return whether a tensor (batch, columns) is a sum of products with constants, table rows and constant vectors."""
    if tensor in editor.constants:
        return editor.constants[tensor].ndim == 1
    node = editor.producer(tensor)
    if node is None:
        return False
    if node.op_type == "Add":
        return all(_is_separable(editor, name, ranks) for name in node.input)
    index = {"MatMul": 1, "Gather": 0}.get(node.op_type)
    constant = None if index is None else editor.constants.get(node.input[index])
    return constant is not None and constant.ndim == 2 and ranks.get(tensor, 2) == 2


def _constant_bytes(editor: GraphEditor, tensor: str) -> int:
    """Return the size of the constants that a separable tensor is computed from."""
    if tensor in editor.constants:
        return editor.constants[tensor].nbytes
    node = editor.producer(tensor)
    if node is None:
        return 0
    inputs = node.input if node.op_type == "Add" else [name for name in node.input if name in editor.constants]
    return sum(_constant_bytes(editor, name) for name in inputs)


def _columns(editor: GraphEditor, tensor: str, columns: slice | np.ndarray, outputs: list[str] | int = 1) -> str:
    """Compute a column range of a separable tensor; sums go into the products as their third operand."""
    if tensor in editor.constants:
        return _taken(editor, "bias", tensor, columns)
    node = editor.producer(tensor)
    if node is None:
        raise ValueError(f"{tensor!r} can't be computed in ranges")
    if node.op_type == "Gather":
        table = _taken(editor, "table", node.input[0], columns)
        return editor.add("Gather", [table, node.input[1]], outputs, axis=0)[0]
    if node.op_type == "MatMul":
        return editor.add("MatMul", [node.input[0], _kernel(editor, node, columns)], outputs)[0]
    product, other = _product_first(editor, node)
    added = _columns(editor, other, columns)
    maker = editor.producer(product)
    if maker is None or maker.op_type != "MatMul":
        return editor.add("Add", [_columns(editor, product, columns), added], outputs)[0]
    return editor.add("Gemm", [maker.input[0], _kernel(editor, maker, columns), added], outputs)[0]


def _kernel(editor: GraphEditor, product: onnx.NodeProto, columns: slice | np.ndarray) -> str:
    return _taken(editor, "kernel", product.input[1], columns)


def _taken(editor: GraphEditor, stem: str, constant: str, columns: slice | np.ndarray) -> str:
    """Add a constant of some columns of another, its last axis; return its name."""
    if not isinstance(columns, slice) and (np.diff(columns) == 1).all():
        columns = slice(int(columns[0]), int(columns[-1]) + 1)  # the same columns are one constant, however given
    how = (columns.start, columns.stop) if isinstance(columns, slice) else (columns.tobytes(),)
    return editor.folded(stem, how, [constant], lambda whole: whole[..., columns])


def _product_first(editor: GraphEditor, addition: onnx.NodeProto) -> tuple[str, str]:
    one, other = addition.input
    maker = editor.producer(one)
    return (one, other) if maker is not None and maker.op_type == "MatMul" else (other, one)
