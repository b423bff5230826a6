"""Passes over the decoder's graph, each a function that leaves its results as they were, up to rounding.

`strip_softmax`     the graph gives logits: the runtime takes log-softmax only when scores are wanted, and the logarithm
                    of a softmax loses the small probabilities.
`cancel_reshapes`   a time axis of 1 that is added and at once removed costs two kernel calls per step.
`tabulate_tokens`   whatever depends on the token alone has only as many values as the vocabulary has symbols. It is
                    computed for all of them and becomes one row look-up: one-hot or embedding, input kernel and bias
                    in a single Gather.

And two over the graph that reads the sources:

`look_up_kernels`   a one-hot row times an input kernel is a row of the kernel, where that is the smaller product.
`put_steps_first`   ids are put in the order in which a recurrent node reads them, instead of their rows.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.convert.weighted_model import WeightedModel, initializers

# A larger table than this no longer pays: rows come from main memory while the kernel it replaces stays in cache.
MAX_TABLE_BYTES = 8 * 2**20

_VIEWS = ("Identity", "Squeeze", "Unsqueeze", "Reshape")


def strip_softmax(editor: GraphEditor, output: str) -> bool:
    """Let `output` show what enters the softmax that makes it.

    Returns:
        Whether there was a softmax; otherwise nothing has changed.
    """
    chain = []
    node = editor.producer(output)
    while node is not None and node.op_type in _VIEWS:
        chain.append(node)
        node = editor.producer(node.input[0])
    if node is None or node.op_type != "Softmax" or not _over_last_axis(node):
        return False
    below = node.input[0]
    for view in reversed(chain):
        (below,) = editor.add(view.op_type, [below, *view.input[1:]])
        editor.nodes[-1].attribute.extend(view.attribute)
    free_name(editor, chain[0] if chain else node, output)
    editor.add("Identity", [below], [output])
    return True


def _over_last_axis(node: onnx.NodeProto) -> bool:
    return all(a.i == -1 or a.i >= 1 for a in node.attribute if a.name == "axis")


def free_name(editor: GraphEditor, maker: onnx.NodeProto, output: str) -> str:
    """Give what the maker makes another name, and return that name.

    Whatever read `output` reads the new name from now on.
    """
    other = editor.fresh("probabilities")
    maker.output[list(maker.output).index(output)] = other
    editor.rename(output, other)
    return other


def cancel_reshapes(editor: GraphEditor) -> int:
    """Remove every Squeeze that undoes an Unsqueeze along the same axis, and return how many there were."""
    count = 0
    for node in list(editor.nodes):
        below = editor.producer(node.input[0]) if node.op_type == "Squeeze" else None
        if below is None or below.op_type != "Unsqueeze" or not _same_axes(editor, node, below):
            continue
        editor.remove([node])
        if node.output[0] in editor.outputs:
            editor.add("Identity", [below.input[0]], [node.output[0]])
        else:
            editor.rename(node.output[0], below.input[0])
        count += 1
    return count


def _same_axes(editor: GraphEditor, one: onnx.NodeProto, other: onnx.NodeProto) -> bool:
    axes = [editor.constants.get(node.input[1]) if len(node.input) > 1 else None for node in (one, other)]
    return axes[0] is not None and axes[1] is not None and np.array_equal(axes[0], axes[1])


def tabulate_tokens(editor: GraphEditor, token: str, size: int) -> int:
    """Replace what depends on the token alone by one row look-up per tensor.

    Args:
        editor: a step graph.
        token: name of its int64 (batch,) input.
        size: symbols in the target vocabulary.

    Returns:
        How many tables were made.
    """
    _gather_biases(editor, token)
    tensors = _frontier(editor, token)
    tables = _evaluate(editor, token, size, tensors) if tensors else {}
    for name, table in tables.items():
        maker = editor.producer(name)
        if maker is not None:
            editor.remove([maker])
        editor.add("Gather", [editor.constant(table, "table"), token], [name], axis=0)
    return len(tables)


def _token_only(editor: GraphEditor, token: str) -> set[str]:
    """Return the tensors that are computed from the token and constants alone."""
    reached = {token}
    pending = list(editor.nodes)
    settled = set(editor.constants) | {""}
    while True:
        ready = [n for n in pending if all(i in reached or i in settled for i in n.input) and n.op_type not in _LOOPS]
        if not ready:
            return reached
        for node in ready:
            (reached if reached.intersection(node.input) else settled).update(node.output)
        chosen = {id(node) for node in ready}
        pending = [node for node in pending if id(node) not in chosen]


_LOOPS = ("Loop", "Scan", "If")


def _gather_biases(editor: GraphEditor, token: str) -> None:
    """Add biases to the part of a sum that depends on the token, so that the table takes them in.

    (token part + other part) + bias becomes (token part + bias) + other part.
    """
    reached = _token_only(editor, token)
    for node in [node for node in editor.nodes if node.op_type == "Add"]:
        inner = [name for name in node.input if name not in editor.constants]
        bias = [name for name in node.input if name in editor.constants]
        below = editor.producer(inner[0]) if len(inner) == 1 and bias else None
        if below is None or below.op_type != "Add" or not editor.is_read_once(below.output[0]):
            continue
        ours = [name for name in below.input if name in reached]
        others = [name for name in below.input if name not in reached and name not in editor.constants]
        if len(ours) == 1 and len(others) == 1:
            (biased,) = editor.add("Add", [ours[0], bias[0]])
            editor.remove([node, below])
            editor.add("Add", [biased, others[0]], [node.output[0]])


def _frontier(editor: GraphEditor, token: str) -> list[str]:
    """Return the token-only tensors that something else reads, each made by more than one look-up."""
    reached = _token_only(editor, token)
    tensors = []
    for node in editor.nodes:
        if not reached.issuperset(node.output):
            tensors += [name for name in node.input if name in reached and name != token]
    return list(dict.fromkeys(tensors))


def _evaluate(editor: GraphEditor, token: str, size: int, tensors: list[str]) -> dict[str, np.ndarray]:
    """Return the value of each tensor for every token, without those that aren't rows of floats or are too large."""
    needed, nodes = set(tensors), []
    for node in reversed(editor.finish().graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    held, arrays = initializers(editor.read(needed))
    graph = helper.make_graph(
        nodes[::-1],
        "token_only",
        [helper.make_tensor_value_info(token, TensorProto.INT64, ["tokens"])],
        [onnx.ValueInfoProto(name=name) for name in tensors],
        held,
    )
    model = WeightedModel(helper.make_model(graph, opset_imports=editor.opsets, ir_version=editor.ir_version), arrays)
    rows = zip(tensors, model.run(tensors, {token: np.zeros(1, np.int64)}), strict=True)
    wanted = [name for name, row in rows if _is_row(row) and row.nbytes * size <= MAX_TABLE_BYTES]
    tables = model.run(wanted, {token: np.arange(size, dtype=np.int64)}) if wanted else []
    return {name: table for name, table in zip(wanted, tables, strict=True) if len(table) == size}


def _is_row(value: np.ndarray) -> bool:
    """Return whether what is computed from one token is floats for each of them."""
    return value.dtype == np.float32 and value.ndim > 1 and len(value) == 1


def look_up_kernels(editor: GraphEditor) -> int:
    """Let recurrent nodes that read one-hot rows look their input kernel up by id, where that is less work.

    ONNX's recurrent nodes always multiply their input by a kernel W. Reading one-hot rows, which a look-up in an
    identity makes, the product takes symbols x gates a step. Looked up in the kernel itself, the rows are the
    products already and W is an identity: gates x gates a step, and rows as wide as that. So the identity look-up stays
    for small vocabularies (71 characters against 4 x 256 gates), and the kernel takes its place for large ones.

    Returns:
        How many nodes were changed.
    """
    count = 0
    for node, rows in _reading_looked_up_rows(editor):
        kernel = editor.constants.get(node.input[1])
        if kernel is None:
            continue
        directions, gates, symbols = kernel.shape
        wide = directions * gates
        if symbols <= wide or not _is_identity(editor.constants.get(rows.input[0]), symbols):
            continue
        table = np.zeros((symbols + 1, wide), np.float32)  # its last row, id -1, stays zeros
        table[:-1] = kernel.reshape(wide, symbols).T
        (looked_up,) = editor.add("Gather", [editor.constant(table, "kernels"), rows.input[1]])
        (sequence,) = editor.add("Transpose", [looked_up], perm=[1, 0, 2])
        node.input[0] = sequence
        node.input[1] = editor.constant(np.eye(wide, dtype=np.float32).reshape(directions, gates, wide), "kernel")
        count += 1
    return count


def put_steps_first(editor: GraphEditor) -> int:
    """Let recurrent nodes read rows that are looked up step by step, instead of turning them round afterwards.

    Returns:
        How many nodes were changed.
    """
    count = 0
    for node, rows in _reading_looked_up_rows(editor):
        table = editor.constants.get(rows.input[0])
        along_rows = not any(a.name == "axis" and a.i != 0 for a in rows.attribute)
        if table is None or table.ndim != 2 or not along_rows or not editor.is_read_once(rows.output[0]):
            continue
        given = editor.producer(rows.input[1])
        if given is not None and given.op_type == "Cast" and given.input[0] in editor.inputs:  # int64 will do
            rows.input[1] = given.input[0]
        (ids,) = editor.add("Transpose", [rows.input[1]], perm=[1, 0])
        node.input[0] = editor.add("Gather", [rows.input[0], ids])[0]
        count += 1
    return count


def _reading_looked_up_rows(editor: GraphEditor) -> list[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """Return the recurrent nodes that read rows of a look-up alone, put steps first, each with the look-up."""
    found = []
    for node in [node for node in editor.nodes if node.op_type in ("LSTM", "GRU", "RNN")]:
        steps = editor.producer(node.input[0])
        rows = editor.producer(steps.input[0]) if steps is not None and steps.op_type == "Transpose" else None
        if rows is not None and rows.op_type == "Gather":
            found.append((node, rows))
    return found


def _is_identity(rows: np.ndarray | None, size: int) -> bool:
    """Return whether rows are one-hot rows in order, then a row of zeros."""
    return (
        rows is not None
        and rows.shape == (size + 1, size)
        and np.array_equal(rows[:-1], np.eye(size))
        and not rows[-1].any()
    )
