"""A pass for large batches: one product per gate instead of one product whose columns are then taken apart.

A recurrent cell multiplies its state by the kernels of all gates at once, adds what comes from the token, and takes
the columns apart. For a few rows that is best, as one product costs less than four. For many rows the sum and the split
are passes over a tensor too large for the inner caches; apart, each gate is one product that adds its rows and applies
its activation as it writes (onnxruntime fuses these), and nothing is taken apart.
"""

from __future__ import annotations

import numpy as np
import onnx

from s2s_export.editor import GraphEditor

_ALL = 2**31 - 1  # how the converter writes "to the end"


def separate_gates(editor: GraphEditor) -> int:
    """Computes column ranges of sums of products apart, wherever such a sum is only ever read in column ranges.

    Args:
        editor: a step graph, its tokens tabulated.

    Returns:
        how many products there are now instead of one each.
    """
    ranks = editor.ranks()
    count = 0
    for whole, ranges in _taken_apart(editor).items():
        if not _is_separable(editor, whole, ranks):
            continue
        for node, bounds in ranges:
            editor.remove([node])
            for output, (start, end) in zip(node.output, bounds, strict=True):
                _columns(editor, whole, slice(start, end), [output])
                count += 1
    return count


def _taken_apart(editor: GraphEditor) -> dict[str, list[tuple[onnx.NodeProto, list[tuple[int, int]]]]]:
    """Tensors that only nodes read which take column ranges of them, with these nodes and ranges."""
    found: dict[str, list[tuple[onnx.NodeProto, list[tuple[int, int]]]]] = {}
    for node in editor.nodes:
        bounds = _split_bounds(editor, node) if node.op_type == "Split" else _slice_bounds(editor, node)
        if bounds:
            found.setdefault(node.input[0], []).append((node, bounds))
    return {
        whole: ranges
        for whole, ranges in found.items()
        if whole not in editor.outputs and len(ranges) == sum(whole in node.input for node in editor.nodes)
    }


def _split_bounds(editor: GraphEditor, node: onnx.NodeProto) -> list[tuple[int, int]]:
    """Column ranges of a Split along the second of two axes whose sizes are constants."""
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
    """Columns of a sum of products, table rows and constants, where one of them tells."""
    if tensor in editor.constants:
        return int(editor.constants[tensor].shape[-1]) if editor.constants[tensor].ndim else None
    node = editor.producer(tensor)
    if node is None or node.op_type not in ("Add", "MatMul", "Gather"):
        return None
    kept = {"Add": node.input, "MatMul": node.input[1:], "Gather": node.input[:1]}[node.op_type]
    return max((width for name in kept if (width := _width(editor, name)) is not None), default=None)


def _slice_bounds(editor: GraphEditor, node: onnx.NodeProto) -> list[tuple[int, int]]:
    """The column range of a Slice by one that takes all rows, its bounds counted from the front."""
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
    """Whether a tensor (batch, columns) is a sum of products with constants, table rows and constant vectors."""
    if tensor in editor.constants:
        return editor.constants[tensor].ndim == 1
    node = editor.producer(tensor)
    if node is None:
        return False
    if node.op_type == "Add":
        return all(_is_separable(editor, name, ranks) for name in node.input)
    place = {"MatMul": 1, "Gather": 0}.get(node.op_type)
    constant = None if place is None else editor.constants.get(node.input[place])
    return constant is not None and constant.ndim == 2 and ranks.get(tensor, 2) == 2


def _columns(editor: GraphEditor, tensor: str, columns: slice, outputs: list[str] | int = 1) -> str:
    """Computes a column range of a separable tensor; sums go into the products as their third operand."""
    if tensor in editor.constants:
        return editor.constant(editor.constants[tensor][columns], "bias")
    node = editor.producer(tensor)
    if node is None:
        raise ValueError(f"{tensor!r} can't be computed in ranges")
    if node.op_type == "Gather":
        table = editor.constant(editor.constants[node.input[0]][:, columns], "table")
        return editor.add("Gather", [table, node.input[1]], outputs, axis=0)[0]
    if node.op_type == "MatMul":
        return editor.add("MatMul", [node.input[0], _kernel(editor, node, columns)], outputs)[0]
    product, other = _product_first(editor, node)
    added = _columns(editor, other, columns)
    maker = editor.producer(product)
    if maker is None or maker.op_type != "MatMul":
        return editor.add("Add", [_columns(editor, product, columns), added], outputs)[0]
    return editor.add("Gemm", [maker.input[0], _kernel(editor, maker, columns), added], outputs)[0]


def _kernel(editor: GraphEditor, product: onnx.NodeProto, columns: slice) -> str:
    return editor.constant(editor.constants[product.input[1]][:, columns], "kernel")


def _product_first(editor: GraphEditor, addition: onnx.NodeProto) -> tuple[str, str]:
    one, other = addition.input
    maker = editor.producer(one)
    return (one, other) if maker is not None and maker.op_type == "MatMul" else (other, one)
