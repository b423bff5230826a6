"""A step graph in an ONNX `Loop`: what it carries from step to step, what it shows of each, what comes before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from s2s_export.convert.graph_editor import GraphEditor, copied, reads
from s2s_export.convert.weighted_model import WeightedModel, initializers
from s2s_runtime.bundle.manifest_file import TensorSpec

DTYPES: Final = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bool": TensorProto.BOOL,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
}
GO: Final = "go"  # inside the loop: whether it went on so far
_MOST_HELD: Final = 2**16  # bytes of constants in a loop: what lies in a graph is read and copied when it is loaded
_INNER: Final = "step."  # what names get in front inside the loop: ONNX forbids those that stand outside it too


@dataclass(frozen=True)
class Search:
    """What a loop over the steps in an editor reads and shows.

    Args:
        name: of the graph.
        before: nodes that run once, before the loop.
        inputs: what is read and stays the same, memory included; beside `steps`, the most steps to run.
        carried: what changes: the steps read `NAME` and make `next_NAME`. Where rows choose the loop, the first has
            a number for each row, and what is collected a number for each row and step.
        shown: which of the carried are outputs, as `next_NAME`, as the last step left them.
        collected: what the steps make and the graph shows of each, the step as first axis.
        going: the bool () or (1,) that the steps make: whether to go on.
        first_axes: by name of one of the above what its first axis is called, where that isn't one of rows.
    """

    name: str
    before: Sequence[onnx.NodeProto]
    inputs: Sequence[TensorSpec]
    carried: Sequence[TensorSpec]
    shown: Sequence[TensorSpec]
    collected: Sequence[TensorSpec]
    going: TensorSpec
    first_axes: Mapping[str, str] = field(default_factory=dict)

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
            shape[0] = self.first_axes.get(tensor.name, "batch")
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


def looped(editor: GraphEditor, search: Search, one_row: OneRow | None = None) -> WeightedModel:
    """Return a graph that holds the loop, or two loops of which the number of rows lets one run.

    Constants are the outermost graph's: there onnxruntime takes them from memory, without a copy, and packs the kernels
    of products in loops beforehand. Around a loop there is no branch, as it would have to hold them.

    Args:
        editor: holds the steps.
        search: what they read and show.
        one_row: the steps for a single row, where they differ.
    """
    yes = editor.constant(np.ones([size or 1 for size in search.going.shape], np.bool_), "true")
    loop = _loop(editor, search, yes)
    nodes, constants = [*search.before, loop], dict(editor.constants)
    if one_row is not None:
        nodes = [*search.before, *_by_rows(editor, (search, loop), one_row)]
        constants = {**one_row.editor.constants, **editor.constants}
    tensors, arrays = initializers(_read(constants, nodes))
    graph = helper.make_graph(
        nodes,
        search.name,
        [search.value(tensor) for tensor in (TensorSpec("steps", "int64", ()), *search.inputs, *search.carried)],
        [
            *(search.value(tensor, steps=True) for tensor in search.collected),
            *(search.value(tensor, "next_") for tensor in search.shown),
        ],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=editor.opsets, ir_version=editor.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return WeightedModel(model, arrays)


def _read(constants: Mapping[str, np.ndarray], nodes: Iterable[onnx.NodeProto]) -> dict[str, np.ndarray]:
    """Return the constants that some nodes read."""
    read = {name for node in nodes for name in reads(node)}
    return {name: value for name, value in constants.items() if name in read}


def _loop(editor: GraphEditor, search: Search, begins: str, name: str = "search") -> onnx.NodeProto:
    """Return a node that runs the steps in the editor in a loop, none of them where the tensor `begins` is false."""
    for tensor in [tensor.name for tensor in search.carried] + search.made:
        editor.move(tensor, _INNER + tensor)
    nodes = [copied(node) for node in editor.running([search.going.name, *(_INNER + made for made in search.made)])]
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
    )
    inputs = ["steps", begins, *(tensor.name for tensor in search.carried)]
    return helper.make_node("Loop", inputs, search.made, name=name, body=body)


def hold_constants(model: WeightedModel) -> WeightedModel | None:
    """Put constants of the first loop's steps into the loop, the smallest first; None where it reads none.

    Each that a loop reads from outside is handed to it at every step, which takes a sixth of a microsecond.

    Args:
        model: a search; its graph is changed.
    """
    graph = model.graph
    body = next(node for node in graph.node if node.op_type == "Loop").attribute[0].g
    names = {name for node in body.node for name in node.input}
    names -= {name for node in body.node for name in reads(node).difference(node.input)}
    constants = {tensor.name: model.constant(tensor) for tensor in graph.initializer}
    room, held = _MOST_HELD, dict[str, str]()
    for name, value in sorted(constants.items(), key=lambda item: item[1].nbytes):
        if name in names and (room := room - value.nbytes) >= 0:
            held[name] = _INNER + name
            body.initializer.append(numpy_helper.from_array(value, held[name]))
    for node in body.node:
        node.input[:] = [held.get(name, name) for name in node.input]
    tensors, arrays = initializers(_read(constants, graph.node))
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    return WeightedModel(model.proto, arrays) if held else None


def keep_kernels(model: WeightedModel) -> bool:
    """Let something outside the loops read a row of each kernel in them; return whether there are any.

    Onnxruntime gives up a kernel whose only readers have packed it. It then hands nothing into the loop for it, and
    where not all that comes in is a tensor, it plans no memory for the steps, but allocates each of their tensors by
    itself, which takes a microsecond a step.

    Args:
        model: a search; its graph is changed.
    """
    graph = model.graph
    kernels = {tensor.name for tensor in graph.initializer if len(tensor.dims) > 1}
    bodies = [node.attribute[0].g for node in graph.node if node.op_type == "Loop"]
    packed = {name for body in bodies for node in body.node if node.op_type != "Gather" for name in node.input}
    kernels &= packed
    if kernels:
        graph.initializer.append(numpy_helper.from_array(np.array(0), "no_steps"))
        graph.node.append(helper.make_node("Mul", ["steps", "no_steps"], ["first"], name="first"))  # not seen to be 0
    for name in sorted(kernels):
        graph.node.append(helper.make_node("Gather", [name, "first"], [f"{name}.kept"], name=f"{name}.kept", axis=0))
    return bool(kernels)


def _by_rows(editor: GraphEditor, many: tuple[Search, onnx.NodeProto], one_row: OneRow) -> list[onnx.NodeProto]:
    """Return the nodes of two loops, of which the second goes on from where the first ended.

    By the number of rows one of them runs no step: it hands on what it carries, and collects nothing, of no width that
    is told, so that its width is set to the number of rows.
    """
    search, loop = many
    alone = _loop(one_row.editor, one_row.search, "is_alone", "search_one_row")
    loop.input[1] = "are_several"
    alone.output[:] = [f"alone.{name}" for name in alone.output]
    handed_on = {tensor.name: f"alone.next_{tensor.name}" for tensor in one_row.search.carried}
    loop.input[2:] = [handed_on.get(name, name) for name in loop.input[2:]]
    single, free = editor.integers([1]), editor.integers([-1])
    nodes = [
        helper.make_node("Shape", [search.carried[0].name], ["rows"], name="rows"),
        helper.make_node("Equal", ["rows", single], ["is_alone"], name="is_alone"),
        helper.make_node("Not", ["is_alone"], ["isnt_alone"], name="isnt_alone"),
        helper.make_node("Squeeze", ["isnt_alone"], ["are_several"], name="are_several"),
        *one_row.search.before,
        alone,
        loop,
        helper.make_node("Concat", [free, "rows"], ["as_rows"], name="as_rows", axis=0),
    ]
    for name in (tensor.name for tensor in search.collected):
        parts = [f"alone.{name}", f"several.{name}"]
        loop.output[[*loop.output].index(name)] = parts[1]
        shaped = [f"{part}.rows" for part in parts]
        nodes += [helper.make_node("Reshape", [p, "as_rows"], [q], name=q) for p, q in zip(parts, shaped, strict=True)]
        nodes.append(helper.make_node("Concat", shaped, [name], name=name, axis=0))
    return nodes
