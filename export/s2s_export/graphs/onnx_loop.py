"""A step graph in an ONNX `Loop`: what it carries from step to step, what it shows of each, what comes before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from s2s_export.convert.graph_editor import GraphEditor, copied, reads
from s2s_export.passes.registry import Passes
from s2s_runtime.bundle.manifest_file import TensorSpec

DTYPES: Final = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bool": TensorProto.BOOL,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
}
GO: Final = "go"  # inside the loop: whether it went on so far
_INNER: Final = "step."  # what names get in front inside the loop: ONNX forbids those that stand outside it too


@dataclass(frozen=True)
class Search:
    """What a loop over the steps in an editor reads and shows.

    Args:
        name: of the graph.
        before: nodes that run once, before the loop.
        inputs: what is read and stays the same, memory included; beside `steps`, the most steps to run.
        carried: what changes: the steps read `NAME` and make `next_NAME`. Where rows choose the loop, the first has
            a number for each row.
        shown: which of the carried are outputs, as `next_NAME`, as the last step left them.
        collected: what the steps make and the graph shows of each, the step as first axis.
        going: the bool () or (1,) that the steps make: whether to go on.
        per_sentence: names of those of the above that have a first axis of sentences, not of rows.
    """

    name: str
    before: Sequence[onnx.NodeProto]
    inputs: Sequence[TensorSpec]
    carried: Sequence[TensorSpec]
    shown: Sequence[TensorSpec]
    collected: Sequence[TensorSpec]
    going: TensorSpec
    per_sentence: frozenset[str] = frozenset()

    @property
    def made(self) -> list[str]:
        """The names of what the loop gives."""
        return [*(f"next_{tensor.name}" for tensor in self.carried), *(tensor.name for tensor in self.collected)]

    @property
    def outputs(self) -> list[str]:
        """The names of what the graph gives."""
        return [*(tensor.name for tensor in self.collected), *(f"next_{tensor.name}" for tensor in self.shown)]

    def value(self, tensor: TensorSpec, prefix: str = "", *, steps: bool = False) -> onnx.ValueInfoProto:
        """Return a tensor of a graph's signature.

        The axis of rows has one name everywhere, every other free axis a name of its own.
        """
        shape = [f"{tensor.name}.{axis}" if size is None else size for axis, size in enumerate(tensor.shape)]
        if shape and tensor.shape[0] is None:
            shape[0] = "sentences" if tensor.name in self.per_sentence else "batch"
        return helper.make_tensor_value_info(
            prefix + tensor.name, DTYPES[tensor.dtype], ["steps_taken", *shape] if steps else shape
        )


@dataclass(frozen=True)
class OneRow:
    """The steps of a search as they run where there is a single row.

    Args:
        editor: holds them.
        search: its inputs and outputs are those of the search for any number of rows.
    """

    editor: GraphEditor
    search: Search


def looped(editor: GraphEditor, search: Search, passes: Passes, one_row: OneRow | None = None) -> onnx.ModelProto:
    """Return a graph that holds the loop, or two loops of which the number of rows chooses one.

    Args:
        editor: holds the steps.
        search: what they read and show.
        passes: those wanted.
        one_row: the steps for a single row, where they differ.
    """
    loop = _loop(editor, search, passes, in_branch=one_row is not None)
    nodes, constants = [*search.before, loop], dict(editor.constants)
    if one_row is not None:
        nodes = [*search.before, *_by_rows(editor, (search, loop), one_row, passes)]
        constants = {**one_row.editor.constants, **editor.constants}
    graph = helper.make_graph(
        nodes,
        search.name,
        [search.value(tensor) for tensor in (TensorSpec("steps", "int64", ()), *search.inputs, *search.carried)],
        [
            *(search.value(tensor, steps=True) for tensor in search.collected),
            *(search.value(tensor, "next_") for tensor in search.shown),
        ],
        _initializers(constants, nodes),
    )
    model = helper.make_model(graph, opset_imports=editor.opsets, ir_version=editor.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model


def _initializers(constants: Mapping[str, np.ndarray], nodes: Sequence[onnx.NodeProto]) -> list[onnx.TensorProto]:
    read = {name for node in nodes for name in reads(node)}
    return [numpy_helper.from_array(value, name) for name, value in constants.items() if name in read]


def _loop(editor: GraphEditor, search: Search, passes: Passes, *, in_branch: bool) -> onnx.NodeProto:
    """Return a node that runs the steps in the editor in a loop, which in a branch holds the constants of its steps.

    onnxruntime packs the kernels of matrix products beforehand where they are constants of the graph of the product or
    of the one around it, not further out: two loops in branches would be half as fast with shared constants. A loop in
    the outermost graph leaves them there, where onnxruntime takes them from memory.
    """
    for name in [tensor.name for tensor in search.carried] + search.made:
        editor.move(name, _INNER + name)
    nodes = [copied(node) for node in editor.running([search.going.name, *(_INNER + name for name in search.made)])]
    body = helper.make_graph(
        nodes,
        "step",
        [
            search.value(TensorSpec("iteration", "int64", ())),
            search.value(TensorSpec(GO, "bool", search.going.shape)),
            *(search.value(tensor, _INNER) for tensor in search.carried),
        ],
        [
            search.value(search.going),
            *(search.value(tensor, f"{_INNER}next_") for tensor in search.carried),
            *(search.value(tensor, _INNER) for tensor in search.collected),
        ],
        (passes.apply("inner_constants", _initializers, editor.constants, nodes) if in_branch else None) or [],
    )
    yes = editor.constant(np.ones([size or 1 for size in search.going.shape], np.bool_), "true")
    inputs = ["steps", yes, *(tensor.name for tensor in search.carried)]
    return helper.make_node("Loop", inputs, search.made, name="search", body=body)


def _by_rows(
    editor: GraphEditor, many: tuple[Search, onnx.NodeProto], one_row: OneRow, passes: Passes
) -> list[onnx.NodeProto]:
    """Return the nodes that run one loop or the other, by the number of rows.

    The choice is made once in a run, not once in a step.
    """
    one, (search, loop) = one_row.search, many
    nodes = {"then_branch": [*one.before, _loop(one_row.editor, one, passes, in_branch=True)], "else_branch": [loop]}
    branches = {}
    for branch, made in nodes.items():
        made[-1].output[:] = [f"{branch}.{name}" for name in made[-1].output]
        shown = [onnx.ValueInfoProto(name=f"{branch}.{name}") for name in one.outputs]
        branches[branch] = helper.make_graph(made, branch, [], shown)
    single = editor.constant(np.array(1), "one")
    return [
        helper.make_node("Size", [search.carried[0].name], ["rows"], name="rows"),
        helper.make_node("Equal", ["rows", single], ["is_alone"], name="is_alone"),
        helper.make_node("If", ["is_alone"], search.outputs, name="by_rows", **branches),
    ]
