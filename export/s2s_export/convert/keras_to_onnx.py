"""Keras encoder and decoder to ONNX graphs with the bundle's names.

Weights are arguments of the function that is traced, not constants of it: tf2onnx would copy those in each of its
passes. What the conversion computes from weights alone is computed once, afterwards.

Recurrent layers that ONNX has nodes for are hidden from tf2onnx behind an opaque function and written as those nodes
afterwards (`stand_ins`, `recurrent_nodes`); everything else tf2onnx converts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import tree
from tf2onnx import optimizer

from s2s_export.convert.conversion_errors import conversion_errors, layer_of
from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.convert.recurrent_nodes import Emission, emit
from s2s_export.convert.stand_ins import Hidden, stand_ins
from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.convert.weights import fold_weights, matrices, with_weights
from s2s_export.errors import ExportError

_DOMAIN = "s2s"
_OPTIMIZE = optimizer.optimize_graph


def convert(
    model: keras.Model,
    prepare: Callable[..., Sequence[Any]],
    signature: Sequence[tf.TensorSpec],
    outputs: Sequence[str],
    opset: int,
) -> WeightedModel:
    """Convert one Keras model to an ONNX model.

    Args:
        model: Functional, its inputs as `prepare` returns them.
        prepare: makes the model's inputs from the graph's, e.g. one-hot rows from ids.
        signature: name, dtype and shape of each graph input.
        outputs: names of the graph outputs in the model's order.
        opset: ONNX operator set.

    Raises:
        ExportError: tf2onnx can't convert a layer, or left a loop where a native node was due.
    """
    weights = matrices(model)
    whole = [*signature, *(tf.TensorSpec(weight.shape, weight.dtype, name=name) for name, weight in weights.items())]

    @tf.function(input_signature=whole)
    def run(*inputs: Any) -> dict[str, Any]:
        own, given = inputs[: len(signature)], inputs[len(signature) :]
        with keras.StatelessScope(state_mapping=list(zip(weights.values(), given, strict=True))):
            tensors = tree.flatten(model(list(prepare(*own)), training=False))
        return {name: tf.identity(tensor) for name, tensor in zip(outputs, tensors, strict=True)}

    with (
        conversion_errors(model),
        stand_ins(model) as hidden,
        patch.object(optimizer, "optimize_graph", _tidied),
    ):
        proto, _ = tf2onnx.convert.from_function(
            run,
            input_signature=whole,
            opset=opset,
            custom_ops={"PyFunc": _DOMAIN},
            custom_op_handlers={"Erfc": (_complementary_error_function, [])},
        )
        _refuse_unconverted(proto, opset, model)
        return lower(with_weights(proto, weights), hidden)


def _tidied(graph: Any, catch_errors: bool = True, optimizers: Any = None) -> Any:
    """Return a graph after tf2onnx's optimizers, without the copy that tf2onnx makes before each of them.

    Copying took longer than optimizing. The copies are for optimizers that fail: where one does, all of them run
    once more as tf2onnx has it, on the graph as it was.
    """
    kept = copy.deepcopy(graph)
    try:
        return _OPTIMIZE(graph, catch_errors=False, optimizers=optimizers)
    except Exception:  # whatever it is, tf2onnx's own way logs it and goes on without that optimizer
        return _OPTIMIZE(kept, catch_errors=catch_errors, optimizers=optimizers)


def _complementary_error_function(context: Any, node: Any, name: str, _: Any) -> Any:
    """Write Erfc, the one operation of Keras's gelu that tf2onnx lacks, as 1 - Erf."""
    (tensor,), outputs = node.input, node.output
    shapes, dtypes = [context.get_shape(outputs[0])], [context.get_dtype(outputs[0])]
    context.remove_node(name)
    error = context.make_node("Erf", [tensor], shapes=shapes, dtypes=dtypes)
    one = context.make_const(f"{name}_one", np.ones((), np.float32))
    return context.make_node("Sub", [one.output[0], error.output[0]], outputs=outputs, shapes=shapes, dtypes=dtypes)


def lower(given: WeightedModel, hidden: Hidden) -> WeightedModel:
    """Write every opaque function as the ONNX nodes of its layer, and compute what depends on weights alone."""
    editor = GraphEditor(given)
    for node in [node for node in editor.nodes if node.op_type == "PyFunc"]:
        token = next(a.s.decode() for a in node.attribute if a.name == "token")
        native, masked = hidden[token]
        sequence, *rest = list(node.input)
        call = Emission(sequence, rest.pop() if masked else None, rest)
        made = emit(editor, native, call)
        editor.remove([node])
        for old, new in zip(node.output, made, strict=True):
            editor.add("Identity", [new], [old])
    fold_weights(editor)
    model = editor.finish()
    for imported in [o for o in model.proto.opset_import if o.domain == _DOMAIN]:
        model.proto.opset_import.remove(imported)
    return model


def _refuse_unconverted(proto: onnx.ModelProto, opset: int, model: keras.Model) -> None:
    """Refuse a graph that still holds operations of TensorFlow.

    tf2onnx logs what it can't convert and leaves the TensorFlow operation in the graph.
    """
    strange = {node.op_type: layer_of(model, node.name) for node in all_nodes(proto.graph) if not _known(node, opset)}
    if strange:
        named = [kind if layer is None else f"{kind} in {layer}" for kind, layer in sorted(strange.items())]
        raise ExportError(
            f"no ONNX operator for TensorFlow's {', '.join(named)}; rebuild that part of the model from other layers"
        )


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, those inside its loops and branches included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_nodes(attribute.g)


def _known(node: onnx.NodeProto, opset: int) -> bool:
    return node.domain in (_DOMAIN, "ai.onnx.ml") or onnx.defs.has(node.op_type, opset, node.domain)
