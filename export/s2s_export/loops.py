"""A step graph in an ONNX `Loop`: what it carries from step to step, what it shows of each, what comes before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from s2s_export.editor import GraphEditor, reads
from s2s_export.gates import separate_gates
from s2s_runtime.bundle import TensorSpec

DTYPES: Final = {
    "float32": TensorProto.FLOAT,
    "bool": TensorProto.BOOL,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
}
GO: Final = "go"  # inside the loop: whether it went on so far
_FEW: Final = 48  # rows up to which gates are computed together; measured: equal at 32, a seventh of the time at 256
_INNER: Final = "step."  # what names get in front inside the loop: ONNX forbids those that stand outside it too


@dataclass(frozen=True)
class Search:
    """What a loop over the steps in an editor reads and shows.

    Args:
        name: of the graph.
        before: nodes that run once, before the loop.
        inputs: what is read and stays the same, memory included; beside `steps`, the most steps to run.
        carried: what changes: the steps read `NAME` and make `next_NAME`. The first has a number for each row.
        shown: which of the carried are outputs, as `next_NAME`, as the last step left them.
        collected: what the steps make and the graph shows of each, the step as first axis.
        going: name of the bool () that the steps make: whether to go on.
        per_sentence: names of those of the above that have a first axis of sentences, not of rows.
    """

    name: str
    before: Sequence[onnx.NodeProto]
    inputs: Sequence[TensorSpec]
    carried: Sequence[TensorSpec]
    shown: Sequence[TensorSpec]
    collected: Sequence[TensorSpec]
    going: str
    per_sentence: frozenset[str] = frozenset()

    @property
    def outputs(self) -> list[str]:
        """What the loop gives."""
        return [*(f"next_{tensor.name}" for tensor in self.carried), *(tensor.name for tensor in self.collected)]

    def value(self, tensor: TensorSpec, prefix: str = "", *, steps: bool = False) -> onnx.ValueInfoProto:
        """A tensor of a graph's signature; rows have one name everywhere, other free sizes one each."""
        shape = [f"{tensor.name}.{axis}" if size is None else size for axis, size in enumerate(tensor.shape)]
        if shape and tensor.shape[0] is None:
            shape[0] = "sentences" if tensor.name in self.per_sentence else "batch"
        return helper.make_tensor_value_info(
            prefix + tensor.name, DTYPES[tensor.dtype], ["steps_taken", *shape] if steps else shape
        )


def looped(editor: GraphEditor, search: Search) -> onnx.ModelProto:
    """The loop as a graph; where it pays for many rows (`s2s_export.gates`) there are two loops and the rows decide."""
    for name in [tensor.name for tensor in search.carried] + search.outputs:
        editor.move(name, _INNER + name)
    few = _loop(editor, search, search.outputs)
    nodes = [*search.before, few]
    if separate_gates(editor):
        few.output[:] = [f"few.{name}" for name in search.outputs]
        many = _loop(editor, search, [f"many.{name}" for name in search.outputs])
        nodes = [*search.before, *_by_rows(editor, search, few, many)]
    graph = helper.make_graph(
        nodes,
        search.name,
        [search.value(tensor) for tensor in (TensorSpec("steps", "int64", ()), *search.inputs, *search.carried)],
        [
            *(search.value(tensor, steps=True) for tensor in search.collected),
            *(search.value(tensor, "next_") for tensor in search.shown),
        ],
        editor.initializers({name for node in nodes for name in reads(node)}),
    )
    model = helper.make_model(graph, opset_imports=editor.opsets, ir_version=editor.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model


def _loop(editor: GraphEditor, search: Search, outputs: Sequence[str]) -> onnx.NodeProto:
    """The steps as they stand in the editor, in a loop that holds the constants of its steps itself.

    onnxruntime packs the kernels of matrix products beforehand where they are constants of the graph of the product or
    of the one around it, not further out: two loops in branches would be half as fast with shared constants.
    """
    nodes = [_copied(node) for node in editor.running([search.going, *(_INNER + name for name in search.outputs)])]
    body = helper.make_graph(
        nodes,
        "step",
        [
            search.value(TensorSpec("iteration", "int64", ())),
            search.value(TensorSpec(GO, "bool", ())),
            *(search.value(tensor, _INNER) for tensor in search.carried),
        ],
        [
            search.value(TensorSpec(search.going, "bool", ())),
            *(search.value(tensor, f"{_INNER}next_") for tensor in search.carried),
            *(search.value(tensor, _INNER) for tensor in search.collected),
        ],
        editor.initializers({name for node in nodes for name in reads(node)}),
    )
    yes = editor.constant(np.array(True), "true")
    inputs = ["steps", yes, *(tensor.name for tensor in search.carried)]
    return helper.make_node("Loop", inputs, list(outputs), name="search", body=body)


def _by_rows(editor: GraphEditor, search: Search, few: onnx.NodeProto, many: onnx.NodeProto) -> list[onnx.NodeProto]:
    """One loop or the other, as many rows as there are: chosen once a run, not once a step."""
    branches = {}
    for name, loop in (("then_branch", many), ("else_branch", few)):
        shown = [onnx.ValueInfoProto(name=output) for output in loop.output]
        branches[name] = helper.make_graph([loop], name, [], shown)
    most = editor.constant(np.array(_FEW), "few")
    return [
        helper.make_node("Size", [search.carried[0].name], ["rows"], name="rows"),
        helper.make_node("Greater", ["rows", most], ["are_many"], name="are_many"),
        helper.make_node("If", ["are_many"], search.outputs, name="by_rows", **branches),
    ]


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    return copied
