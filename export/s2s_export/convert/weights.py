"""Weights on their way from Keras into a graph: as arguments of what is traced, then as constants beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import onnx
from onnx import helper

from s2s_export.convert.graph_editor import GraphEditor, reads
from s2s_export.convert.weighted_model import WeightedModel, initializers

_PREFIX = "weight."


def matrices(model: keras.Model) -> dict[str, Any]:
    """Return the variables of a model that are to be arguments, by the names of the graph inputs that stand for them.

    Those are its matrices and tables. Vectors are small, and tf2onnx merges them with what is beside them.
    """
    variables = [v for v in model.variables if len(v.shape) > 1 and "float" in keras.backend.standardize_dtype(v.dtype)]
    return {f"{_PREFIX}{i}": variable for i, variable in enumerate(variables)}


def with_weights(proto: onnx.ModelProto, weights: Mapping[str, Any]) -> WeightedModel:
    """Return a model whose constants the weights are that were its inputs; `proto` is changed."""
    given = WeightedModel.of(proto)
    read = [value.name for value in proto.graph.input if value.name in weights]
    kept = [value for value in proto.graph.input if value.name not in weights]
    tensors, arrays = initializers({name: memory_of(weights[name]) for name in read})
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    proto.graph.initializer.extend(tensors)
    return WeightedModel(proto, {**given.arrays, **arrays})


def memory_of(variable: Any) -> np.ndarray:
    """Return a variable's value as a view of its own memory, which it keeps alive; read-only."""
    return np.asarray(memoryview(variable.value.read_value()))


def fold_weights(editor: GraphEditor) -> int:
    """Compute what depends on weights and other constants alone, and let constants take its place.

    tf2onnx does so with constants of its own, but not with weights, which it never sees.

    Args:
        editor: a graph as converted.

    Returns:
        How many nodes were removed.
    """
    known = {name for name in editor.constants if name.startswith(_PREFIX)}
    nodes: list[onnx.NodeProto] = []
    for node in editor.running(editor.outputs):
        plain = all(attribute.type != onnx.AttributeProto.GRAPH for attribute in node.attribute)
        settled = all(not name or name in known or name in editor.constants for name in node.input)
        if plain and settled and known.intersection(node.input) and not set(node.output).intersection(editor.outputs):
            known.update(node.output)
            nodes.append(node)
    if not nodes:
        return 0
    made = {name for node in nodes for name in node.output}
    left = [node for node in editor.nodes if not made.intersection(node.output)]
    wanted = sorted(made.intersection(name for node in left for name in reads(node)))
    tensors, arrays = initializers(editor.read({name for node in nodes for name in node.input}))
    graph = helper.make_graph(nodes, "weights", [], [onnx.ValueInfoProto(name=name) for name in wanted], tensors)
    model = WeightedModel(helper.make_model(graph, opset_imports=editor.opsets, ir_version=editor.ir_version), arrays)
    editor.remove(nodes)
    editor.constants.update(zip(wanted, model.run(wanted, {}), strict=True))
    return len(nodes)
