"""The graphs of a bundle, made from a split model: encoder, decoder step, whole search, row selection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import keras
import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto, helper

from s2s_export.convert.conversion_errors import checked
from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.convert.keras_to_onnx import all_nodes, convert
from s2s_export.convert.weighted_model import Folds, WeightedModel
from s2s_export.errors import ExportError
from s2s_export.graphs.onnx_loop import DTYPES
from s2s_export.graphs.search_graphs import Carried, beam_graph, greedy_graph
from s2s_export.one_pass.causal_step import causal_step
from s2s_export.one_pass.reading import of_output
from s2s_export.passes.gate_passes import take_gates_apart
from s2s_export.passes.registry import Passes
from s2s_export.passes.step_passes import (
    cancel_reshapes,
    free_name,
    look_up_kernels,
    put_steps_first,
    strip_softmax,
    tabulate_tokens,
)
from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime.bundle.manifest_file import TensorSpec
from s2s_runtime.bundle.specs import tensor_name
from s2s_runtime.ort.thread_rule import PRODUCTS
from s2s_runtime.ort.whole_graph import BEST, NEVER
from s2s_runtime.search.step_model import CHOICES
from s2s_training.splitting.splitter import SplitModel

COMPUTING: Final = ("encoder", "decoder", "model", "step")
"""The graphs that hold weights of their own; those of searches are made of the decoder."""


@dataclass(frozen=True)
class Graphs:
    """The ONNX graphs of a bundle by name, what crosses from encoder to decoder, and the passes wanted and applied."""

    models: dict[str, WeightedModel]
    states: tuple[TensorSpec, ...]
    memory: tuple[TensorSpec, ...]
    passes: Passes = field(default_factory=Passes)

    def node_types(self) -> dict[str, dict[str, int]]:
        """Return how many nodes of each type each graph has, the most frequent type first."""
        return {
            name: dict(Counter(node.op_type for node in all_nodes(model.graph)).most_common())
            for name, model in self.models.items()
        }


def build_graphs(split: SplitModel, facts: Understanding, opset: int, passes: Passes) -> Graphs:
    """Convert a split model, apply the wanted passes over single graphs, and add the graphs that select rows.

    Raises:
        ExportError: part of the model has no ONNX form, or keeps a dtype that bundles don't.
    """
    if split.one_graph:
        return _one_pass(split, facts, opset, passes)
    crossing = split.encoder.outputs
    states = _specs("state", crossing[: split.state_count])
    memory = _specs("memory", crossing[split.state_count :])
    models = {
        "encoder": _encoder(split, facts, [*states, *memory], opset, passes),
        "decoder": _decoder(split, facts, (states, memory), opset, passes),
        "select_state": select_graph("state", states, opset),
    }
    if memory:
        models["select_memory"] = select_graph("memory", memory, opset)
    return Graphs(models, states, memory, passes)


def with_searches(graphs: Graphs, facts: Understanding) -> Graphs:
    """Return the same graphs with whole-search graphs of their step graph beside them.

    Only models that write tokens get them. The gates of the steps in them are taken apart.
    """
    if "decoder" not in graphs.models or facts.without_start:  # behind a prompt searches go step by step
        return graphs
    graphs, folds = replace(graphs, passes=graphs.passes.copy()), Folds()
    decoder, apart = graphs.models["decoder"], GraphEditor(graphs.models["decoder"], folds).copy()
    if take_gates_apart(apart, graphs.passes):
        graphs = replace(graphs, models={**graphs.models, "decoder": apart.finish()})
    if facts.target.feedback == "value":
        return graphs
    carried = Carried(graphs.states, graphs.memory, facts.target.size, fed=facts.target.feedback == "token")
    searches = {
        **{choice: greedy_graph(decoder, carried, graphs.passes, folds, choice) for choice in CHOICES},
        "beam": beam_graph(decoder, carried, graphs.passes, folds),
    }
    return replace(graphs, models={**graphs.models, **searches})


def _specs(stem: str, tensors: Sequence[Any]) -> tuple[TensorSpec, ...]:
    specs = []
    for i, tensor in enumerate(tensors):
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if dtype not in DTYPES:
            raise ExportError(
                f"{stem}.{i} is {dtype}: bundles carry float32; save the model with keras.config.set_dtype_policy"
                "('float32') (its weights load unchanged)"
            )
        specs.append(TensorSpec(f"{stem}.{i}", dtype, tuple(tensor.shape)))
    return tuple(specs)


def _one_pass(split: SplitModel, facts: Understanding, opset: int, passes: Passes) -> Graphs:
    """Return the graph of a model of one pass, and that of its step where it is causal."""
    models = {"model": _whole(split, facts, opset, passes)}
    stepped = facts.target.aligned or split.encoder.inputs[0].shape[1] is not None
    first = of_output(split, 0) if facts.further else split
    causal = causal_step(first) if stepped and split.kind == "one-pass" else None  # frames are read together
    if causal is None:
        return Graphs(models, (), (), passes)
    states = _specs("state", causal.states)
    values = facts.source.kind == "values"
    shape = (None, facts.source.size) if values else (None,)
    fed = tf.TensorSpec(shape, tf.float32 if values else tf.int64, name="value" if values else "token")
    one_hot = facts.source.kind == "one-hot"
    read = _reader(facts.source.size, one_hot=one_hot, dtype=causal.model.inputs[0].dtype)
    signature = [fed, *(tf.TensorSpec(s.shape, s.dtype, name=s.name) for s in states)]
    output = "output" if facts.target.feedback == "value" else "logits"
    names = [output, *(f"next_{state.name}" for state in states)]
    step = convert(causal.model, lambda reading, *rest: [read(reading), *rest], signature, names, opset)
    editor = GraphEditor(step)
    _give_logits(editor, facts, output, passes)
    passes.apply("reshapes", cancel_reshapes, editor)
    if not values:
        passes.apply("token_table", tabulate_tokens, editor, "token", facts.source.size)
    models["step"] = _finished("step", editor, [spec.name for spec in signature], names)
    return Graphs(models, states, (), passes)


def _whole(split: SplitModel, facts: Understanding, opset: int, passes: Passes) -> WeightedModel:
    """Return the one graph of a model of one pass."""
    outputs = [facts.of_output(place) for place in range(1 + len(facts.further))]
    names = [tensor_name(own.target, place) for place, own in enumerate(outputs)]
    editor, inputs = _read_sources(split, facts, names, opset, passes)
    for name, own in zip(names, outputs, strict=True):
        _give_logits(editor, own, name, passes)
    if split.kind != "one-pass":  # frames of CTC may be fewer than what is read
        return _finished("model", editor, inputs, names)
    told = {PRODUCTS: str(_products(editor))}
    if facts.target.feedback != "value":
        never = facts.target.never
        _choose_best(editor, sorted(never), facts.target.size)
        told[NEVER] = " ".join(map(str, sorted(never)))
        names = [*names, BEST]
    model = _finished("model", editor, inputs, names)
    helper.set_model_props(model.proto, told)
    return model


def _choose_best(editor: GraphEditor, never: Sequence[int], size: int) -> None:
    """Let a graph give the best symbol of each position of its logits, never one of some ids."""
    allowed = "logits"
    if never:
        mask = np.zeros(size, np.float32)
        mask[never] = -np.inf
        (allowed,) = editor.add("Add", ["logits", editor.constant(mask, "never")])
    editor.add("ArgMax", [allowed], [BEST], axis=-1, keepdims=0)
    editor.give(BEST, TensorProto.INT64, 2)


def _products(editor: GraphEditor) -> int:
    """Return how many numbers each position is multiplied by: those of all kernels, not of what is looked up."""
    others = {node.input[0] for node in editor.nodes if node.op_type == "Gather"}
    others |= {node.input[3] for node in editor.nodes if node.op_type in ("LSTM", "GRU", "RNN")}  # biases
    read = {name for node in editor.nodes for name in node.input} - others
    kernels = [array for array in editor.read(read).values() if array.ndim > 1 and array.dtype.kind == "f"]
    return sum(array.size for array in kernels)


def _encoder(
    split: SplitModel, facts: Understanding, crossing: Sequence[TensorSpec], opset: int, passes: Passes
) -> WeightedModel:
    names = [tensor.name for tensor in crossing]
    editor, inputs = _read_sources(split, facts, names, opset, passes)
    return _finished("encoder", editor, inputs, names)


def _read_sources(
    split: SplitModel, facts: Understanding, outputs: Sequence[str], opset: int, passes: Passes
) -> tuple[GraphEditor, list[str]]:
    """Convert the model that reads the sources; return its graph, to be changed, and the names of its inputs."""
    readers = [
        _reader(source.size, one_hot=source.kind == "one-hot", dtype=tensor.dtype)
        for source, tensor in zip(facts.sources, split.encoder.inputs, strict=True)
    ]

    def prepare(*inputs: Any) -> list[Any]:
        # A layer may need to see a length that is fixed, such as one that has moved time to another axis.
        reads = zip(readers, inputs, split.encoder.inputs, strict=True)
        return [tf.ensure_shape(read(tensor), (None, *own.shape[1:])) for read, tensor, own in reads]

    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in facts.source.inputs]
    editor = GraphEditor(convert(split.encoder, prepare, signature, outputs, opset))
    passes.apply("kernel_rows", look_up_kernels, editor)
    passes.apply("steps_first", put_steps_first, editor)
    return editor, [spec.name for spec in facts.source.inputs]


def _decoder(
    split: SplitModel,
    facts: Understanding,
    crossing: tuple[Sequence[TensorSpec], Sequence[TensorSpec]],
    opset: int,
    passes: Passes,
) -> WeightedModel:
    """Return the step graph of states and memory, with its passes applied."""
    target, (states, memory) = facts.target, crossing
    carried = [tf.TensorSpec(s.shape, s.dtype, name=s.name) for s in (*states, *memory)]
    fed: list[tf.TensorSpec] = []
    read: Callable[[Any], Any] | None = None
    if target.feedback == "token":
        fed = [tf.TensorSpec((None,), tf.int64, name="token")]
        read = _reader(target.size, one_hot=facts.one_hot_target, dtype=split.decoder.inputs[0].dtype)
    elif target.feedback == "value" and split.fed == "value":
        fed = [tf.TensorSpec((None, *split.decoder.inputs[0].shape[1:]), tf.float32, name="value")]
        read = _reader(0, one_hot=False, dtype=split.decoder.inputs[0].dtype)

    def prepare(*inputs: Any) -> list[Any]:
        return list(inputs) if read is None else [read(inputs[0]), *inputs[1:]]

    output = "output" if target.feedback == "value" else "logits"
    names = [output, *(f"next_{state.name}" for state in states), *(["attention"] if split.attention else [])]
    editor = GraphEditor(convert(split.decoder, prepare, [*fed, *carried], names, opset))
    _give_logits(editor, facts, output, passes)
    passes.apply("reshapes", cancel_reshapes, editor)
    if target.feedback == "token":
        passes.apply("token_table", tabulate_tokens, editor, "token", target.size)
    inputs = [spec.name for spec in [*fed, *carried]]
    with checked("decoder"):
        made = editor.finish()
    if target.feedback == "value" and not fed:  # whoever runs the graph feeds values back: it takes and ignores them
        made.graph.input.append(helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", target.size]))
        inputs = ["value", *inputs]
    return _ordered(made, inputs, names)


def _reader(size: int, *, one_hot: bool, dtype: Any) -> Callable[[Any], Any]:
    """Return a function that turns a graph input into what the Keras model reads.

    Ids are cast, or their one-hot rows are looked up (-1 = zeros).
    """
    if not one_hot:
        return lambda tensor: tf.cast(tensor, dtype)
    rows = np.vstack([np.eye(size, dtype=np.float32), np.zeros((1, size), np.float32)])
    return lambda ids: tf.gather(tf.constant(rows), ids)


def _give_logits(editor: GraphEditor, facts: Understanding, output: str, passes: Passes) -> None:
    """Let a graph give logits, or logarithms in their place, where the model gives probabilities."""
    if facts.probabilities and not passes.apply("logits", strip_softmax, editor, output):
        _take_logarithm(editor, output)


def _take_logarithm(editor: GraphEditor, output: str) -> None:
    """Let the logarithm of the probabilities serve as logits, with the smallest ones kept finite."""
    node = editor.producer(output)
    if node is None:
        raise ExportError("the model's output is one of its inputs: nothing is decoded")
    (bounded,) = editor.add("Max", [free_name(editor, node, output), editor.constant(np.float32(1e-38).reshape(()))])
    editor.add("Log", [bounded], [output])


def _finished(name: str, editor: GraphEditor, inputs: Sequence[str], outputs: Sequence[str]) -> WeightedModel:
    """Return the graph of that name, checked, its inputs and outputs in the bundle's order."""
    with checked(name):
        made = editor.finish()
    return _ordered(made, inputs, outputs)


def _ordered(model: WeightedModel, inputs: Sequence[str], outputs: Sequence[str]) -> WeightedModel:
    """Put graph inputs and outputs in the bundle's order, and leave batch and time free."""
    for values, names in ((model.graph.input, inputs), (model.graph.output, outputs)):
        by_name = {value.name: value for value in values}
        # An input that the graph never reads is dropped by the conversion; the bundle's signature keeps it.
        kept = [by_name[name] for name in names if name in by_name]
        del values[:]
        values.extend(kept)
    return model


def select_graph(stem: str, tensors: Sequence[TensorSpec], opset: int) -> WeightedModel:
    """Return a graph that gathers rows of every state (or memory) along the batch axis, on the device they are on."""
    nodes, inputs, outputs = [], [helper.make_tensor_value_info("rows", TensorProto.INT64, ["rows"])], []
    for spec in tensors:
        shape = [f"{spec.name}.{i}" if size is None else size for i, size in enumerate(spec.shape)]
        nodes.append(helper.make_node("Gather", [spec.name, "rows"], [f"next_{spec.name}"], axis=0))
        inputs.append(helper.make_tensor_value_info(spec.name, DTYPES[spec.dtype], ["batch", *shape[1:]]))
        outputs.append(helper.make_tensor_value_info(f"next_{spec.name}", DTYPES[spec.dtype], ["rows", *shape[1:]]))
    graph = helper.make_graph(nodes, f"select_{stem}", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    with checked(f"select_{stem}"):
        onnx.checker.check_model(model)
    return WeightedModel(model)
