"""Whole-search graphs: many decoder steps in one run, with the choice of each token inside.

`greedy_graph` puts the nodes of the step graph into the body of an ONNX `Loop`, and behind them what a host would do
between two steps: mask, arg-max, look whether enough rows have ended. One run writes many tokens, so nothing is bound,
copied or handed to Python per token, and on a device only ids leave it. Two things are done once instead of per step:
what depends on the memory alone (keys of an attention, its mask) is computed before the loop, and the mask goes into
the bias of the output layer. Where it pays for many rows (`s2s_export.gates`) there are two loops and the rows decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from s2s_export.editor import GraphEditor, reads
from s2s_export.gates import separate_gates
from s2s_runtime.bundle import TensorSpec

_DTYPES = {
    "float32": TensorProto.FLOAT,
    "bool": TensorProto.BOOL,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
}
_FEW = 48  # rows up to which gates are computed together; measured: equal at 32, a seventh of the time at 256
_INNER = "step."  # what names get in front inside the loop: ONNX forbids those that stand outside it too


@dataclass(frozen=True)
class Carried:
    """What a decoder takes from step to step.

    Args:
        states: recurrent states, in the bundle's order.
        memory: constant through the sequence.
        size: symbols in the target vocabulary.
        fed: whether the token chosen is fed back.
    """

    states: tuple[TensorSpec, ...]
    memory: tuple[TensorSpec, ...]
    size: int
    fed: bool

    @property
    def rows(self) -> list[TensorSpec]:
        """What changes from step to step, one of each per sequence."""
        token = [TensorSpec("token", "int64", (None,))] if self.fed else []
        return [*token, TensorSpec("live", "float32", (None,)), *self.states]


def greedy_graph(decoder: onnx.ModelProto, carried: Carried) -> onnx.ModelProto:
    """The graph of greedy search over up to `steps` tokens.

    Inputs: `steps` int64 (): most tokens to write. `mask` float32 (size,): added to the logits, -inf at tokens that
    never follow. `goes_on` float32 (size,): 0 at tokens that end a sequence, 1 at the others. `least` float32 (): stop
    once no more rows than this are live. `token` int64 (batch,): the last token of each row; only where tokens are fed
    back. `live` float32 (batch,): 0 at rows that have ended before, 1 at the others. `state.*`, `memory.*`.

    Outputs: `tokens` int64 (steps taken, batch), rows that have ended written on like the others; `next_state.*`.

    Args:
        decoder: the step graph, its passes applied; it is left as it is.
        carried: what it carries.
    """
    copied = onnx.ModelProto()
    copied.CopyFrom(decoder)
    editor = GraphEditor(copied)
    once = _independent_nodes(editor, {tensor.name for tensor in carried.memory})
    editor.remove(once)
    masked, before = _mask_logits(editor)
    _choose(editor, masked, fed=carried.fed)
    for tensor in carried.rows:
        editor.move(tensor.name, _INNER + tensor.name)
        editor.move(f"next_{tensor.name}", f"{_INNER}next_{tensor.name}")
    return _looped(editor, [*once, *before], carried)


def _independent_nodes(editor: GraphEditor, memory: set[str]) -> list[onnx.NodeProto]:
    """Nodes that give the same at every step: they read constants and memory only."""
    known = {"", *editor.constants, *memory}
    found = []
    for node in editor.running(editor.outputs):
        if reads(node) <= known and not set(node.output).intersection(editor.outputs):
            known.update(node.output)
            found.append(node)
    return found


def _mask_logits(editor: GraphEditor) -> tuple[str, list[onnx.NodeProto]]:
    """Adds the mask to the logits: to the bias of the output layer, where there is one that nothing else reads.

    Returns:
        the masked logits, and the nodes that belong before the loop.
    """
    tensor, node = "logits", _maker(editor, "logits")
    is_shared = any("logits" in reads(other) for other in editor.nodes)  # such as by the softmax that is fed back
    while node.op_type == "Identity" and not is_shared:
        tensor = node.input[0]
        node, is_shared = _maker(editor, tensor), not editor.is_read_once(tensor)
    bias = [name for name in node.input if name in editor.constants and editor.constants[name].ndim == 1]
    products = [name for name in node.input if name not in editor.constants]
    is_biased = node.op_type == "Add" and len(bias) == len(products) == 1
    if not is_shared and is_biased and _is_rows_times_kernel(editor, products[0]):
        (masked,) = editor.add("Gemm", [*_maker(editor, products[0]).input, "masked_bias"])
        return masked, [helper.make_node("Add", [bias[0], "mask"], ["masked_bias"], name="masked_bias")]
    (masked,) = editor.add("Add", ["logits", "mask"])
    return masked, []


def _maker(editor: GraphEditor, tensor: str) -> onnx.NodeProto:
    node = editor.producer(tensor)
    if node is None:
        raise ValueError(f"the step graph doesn't make {tensor!r}")
    return node


def _is_rows_times_kernel(editor: GraphEditor, tensor: str) -> bool:
    """Whether a tensor is (batch, features) times a constant kernel, and read once."""
    node = editor.producer(tensor)
    if node is None or node.op_type != "MatMul" or not editor.is_read_once(tensor):
        return False
    kernel = editor.constants.get(node.input[1])
    return kernel is not None and kernel.ndim == 2 and editor.ranks().get(node.input[0]) == 2


def _choose(editor: GraphEditor, logits: str, *, fed: bool) -> None:
    """The token of each row, and whether enough rows go on."""
    (token,) = editor.add("ArgMax", [logits], ["next_token" if fed else "chosen"], axis=1, keepdims=0)
    if fed:  # a tensor can't be carried and collected under one name
        editor.add("Identity", [token], ["chosen"])
    (going,) = editor.add("Gather", ["goes_on", token])
    editor.add("Mul", ["live", going], ["next_live"])
    (left,) = editor.add("ReduceSum", ["next_live"], keepdims=0)
    editor.add("Greater", [left, "least"], ["continue"])


def _looped(editor: GraphEditor, once: Sequence[onnx.NodeProto], carried: Carried) -> onnx.ModelProto:
    """The loop with what comes before it, as a graph of its own."""
    yes = editor.constant(np.array(True), "true")
    outputs = [*(f"next_{tensor.name}" for tensor in carried.rows), "tokens"]
    few = _loop(editor, carried, yes, outputs)
    nodes = [*once, few]
    if separate_gates(editor):
        few.output[:] = [f"few.{name}" for name in outputs]
        many = _loop(editor, carried, yes, [f"many.{name}" for name in outputs])
        nodes = [*once, *_by_rows(editor, outputs, few, many)]
    read = {name for node in nodes for name in reads(node)} - {""}
    vocabulary = [TensorSpec(name, "float32", (carried.size,)) for name in ("mask", "goes_on")]
    graph = helper.make_graph(
        nodes,
        "greedy",
        [
            _scalar("steps", "int64"),
            *(_value(tensor) for tensor in vocabulary),
            _scalar("least", "float32"),
            *(_value(tensor) for tensor in [*carried.rows, *carried.memory]),
        ],
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, ["steps_taken", "batch"]),
            *(_value(tensor, "next_") for tensor in carried.states),
        ],
        editor.initializers(read),
    )
    model = helper.make_model(graph, opset_imports=editor.opsets, ir_version=editor.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model


def _loop(editor: GraphEditor, carried: Carried, yes: str, outputs: Sequence[str]) -> onnx.NodeProto:
    """The steps as they stand in the editor, in a loop that holds the constants of its steps itself.

    onnxruntime packs the kernels of matrix products beforehand where they are constants of the graph of the product or
    of the one around it, not further out: two loops in branches would be half as fast with shared constants.
    """
    following = [f"{_INNER}next_{tensor.name}" for tensor in carried.rows]
    nodes = []
    for node in editor.running(["continue", "chosen", *following]):
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        nodes.append(copied)
    body = helper.make_graph(
        nodes,
        "step",
        [_scalar("iteration", "int64"), _scalar("go", "bool"), *(_value(tensor, _INNER) for tensor in carried.rows)],
        [
            _scalar("continue", "bool"),
            *(_value(tensor, f"{_INNER}next_") for tensor in carried.rows),
            helper.make_tensor_value_info("chosen", TensorProto.INT64, ["batch"]),
        ],
        editor.initializers({name for node in nodes for name in reads(node)}),
    )
    inputs = ["steps", yes, *(tensor.name for tensor in carried.rows)]
    return helper.make_node("Loop", inputs, list(outputs), name="search", body=body)


def _by_rows(
    editor: GraphEditor, outputs: Sequence[str], few: onnx.NodeProto, many: onnx.NodeProto
) -> list[onnx.NodeProto]:
    """One loop or the other, as many rows as there are: chosen once a run, not once a step."""
    branches = {}
    for name, loop in (("then_branch", many), ("else_branch", few)):
        shown = [onnx.ValueInfoProto(name=output) for output in loop.output]
        branches[name] = helper.make_graph([loop], name, [], shown)
    return [
        helper.make_node("Size", ["live"], ["rows"], name="rows"),
        helper.make_node("Greater", ["rows", editor.constant(np.array(_FEW), "few")], ["are_many"], name="are_many"),
        helper.make_node("If", ["are_many"], list(outputs), name="by_rows", **branches),
    ]


def _scalar(name: str, dtype: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _DTYPES[dtype], [])


def _value(tensor: TensorSpec, prefix: str = "") -> onnx.ValueInfoProto:
    """A tensor of a graph's signature; the batch has one name everywhere, other free sizes one each."""
    shape = [f"{tensor.name}.{axis}" if size is None else size for axis, size in enumerate(tensor.shape)]
    if tensor.shape[0] is None:
        shape[0] = "batch"
    return helper.make_tensor_value_info(prefix + tensor.name, _DTYPES[tensor.dtype], shape)
