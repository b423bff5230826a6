"""What some layers do in place of their own computation while a model is traced for conversion.

A recurrent layer that ONNX has a node for becomes an opaque function, which is written as that node afterwards. A
`TimeDistributed` layer calls what it wraps once, on its time axis folded into the batch: Keras maps over time with a
loop of TensorFlow's whose ONNX form onnxruntime can't run. Layers are found wherever they stand: in the model, inside
wrappers, nested models, and layers of a user's own.

Some of Keras's operations stand in for themselves too, in whatever layer they are called. `ops.scan` keeps what it
carries in an array of TensorFlow's that tf2onnx can't read, and scans by plain tensors here. `ops.conv` compiles a
convolution in groups by XLA, which tf2onnx can't read either, and is the plain one here, as ONNX's takes groups.
`ops.take` counts negative indices from the end, as ONNX's Gather does by itself, and `ops.matmul` flattens what has
steps, as onnxruntime does by itself: without the nodes for that, a tagger's graph has 10 where it had 29.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import signature
from typing import Any
from unittest.mock import patch

import keras
import tensorflow as tf
from keras import ops, tree
from keras.src.backend import core, nn, numpy  # `keras.ops` calls what stands there

from s2s_export.convert.recurrent_nodes import NativeLayer, native_layer

Hidden = dict[str, tuple[NativeLayer, bool]]


@contextmanager
def stand_ins(model: keras.Model) -> Iterator[Hidden]:
    """Let layers of a model stand in for themselves while the block runs.

    Yields:
        the recurrent layers that were called, each with whether it had a mask, by the token that TensorFlow gave to
        their opaque function; filled while the model is called.
    """
    hidden: Hidden = {}
    replaced: list[Any] = []
    try:
        for layer in model._flatten_layers():
            if (call := _stand_in(layer, hidden)) is not None:
                layer.__dict__["call"] = call  # past Keras's own __setattr__, which tracks what it is given
                replaced.append(layer)
        with (
            patch.object(core, "scan", _scan),
            patch.object(nn, "conv", partial(_convolution, nn.conv)),
            patch.object(numpy, "take", partial(_take, numpy.take)),
            patch.object(numpy, "matmul", partial(_product, numpy.matmul)),
        ):
            yield hidden
    finally:
        for layer in replaced:
            del layer.__dict__["call"]


def _stand_in(layer: Any, hidden: Hidden) -> Callable[..., Any] | None:
    if not type(layer).call.__module__.startswith("keras."):
        return None  # a user's own computation around Keras's
    if isinstance(layer, keras.layers.TimeDistributed):
        return partial(_with_time_in_the_batch, layer)
    native = native_layer(layer)
    return None if native is None else partial(_opaque, layer, (native, hidden))


def _opaque(
    layer: Any, known: tuple[NativeLayer, Hidden], sequences: Any, initial_state: Any = None, mask: Any = None, **_: Any
) -> Any:
    """Return tensors of the shapes that a recurrent layer gives, from a function that can't be run."""
    native, hidden = known
    states = [] if initial_state is None else tree.flatten(initial_state)
    mask = tree.flatten(mask)[0] if mask is not None else None
    inputs = [sequences, *states, *([] if mask is None else [mask])]
    specs = layer.compute_output_spec(
        keras.KerasTensor(sequences.shape, sequences.dtype.name), initial_state=initial_state
    )
    flat = tree.flatten(specs)
    outputs = tf.numpy_function(_never_runs, inputs, [tf.float32] * len(flat))
    token = outputs[0].op.get_attr("token").decode()
    hidden[token] = (native, mask is not None)
    # ensure_shape stays in the graph that tf2onnx reads; a shape set on the tensor alone would be lost.
    shaped = [tf.ensure_shape(output, spec.shape) for output, spec in zip(outputs, flat, strict=True)]
    return tree.pack_sequence_as(specs, shaped)


def _never_runs(*_: Any) -> Any:
    raise RuntimeError("a placeholder of the conversion was run")


def _with_time_in_the_batch(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """Return what a `TimeDistributed` layer gives for inputs (batch, time, ...) and a mask that starts likewise."""
    inner, shape = layer.layer, ops.shape(inputs)
    given: dict[str, Any] = {}
    if inner._call_has_mask_arg and mask is not None:
        given["mask"] = ops.reshape(mask, (-1, *ops.shape(mask)[2:]))
    if inner._call_has_training_arg:
        given["training"] = training
    outputs = inner.call(ops.reshape(inputs, (-1, *shape[2:])), **given)
    return tree.map_structure(lambda tensor: ops.reshape(tensor, (*shape[:2], *ops.shape(tensor)[1:])), outputs)


def _convolution(keras_own: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Do what `keras.ops.conv` does; a convolution in groups, channels last, is left to TensorFlow as it is."""
    bound = signature(keras_own).bind(*given, **named)
    bound.apply_defaults()
    asked = bound.arguments
    inputs, kernel = asked["inputs"], asked["kernel"]
    last = (asked["data_format"] or keras.config.image_data_format()) == "channels_last"
    if not last or inputs.shape[-1] == kernel.shape[-2]:
        return keras_own(*given, **named)
    padding = asked["padding"].upper()
    return tf.nn.convolution(inputs, kernel, asked["strides"], padding, dilations=asked["dilation_rate"])


def _take(keras_own: Callable[..., Any], x: Any, indices: Any, axis: int | None = None) -> Any:
    """Do what `keras.ops.take` does; negative indices of a dense tensor are ONNX's own matter."""
    if axis is None or isinstance(indices, tf.SparseTensor | tf.RaggedTensor):
        return keras_own(x, indices, axis)
    return tf.gather(tf.convert_to_tensor(x), tf.convert_to_tensor(indices), axis=axis)


def _product(keras_own: Callable[..., Any], x1: Any, x2: Any) -> Any:
    """Do what `keras.ops.matmul` does; rows with steps times a matrix stay as they are."""
    rows, matrix = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2)
    if rows.dtype == matrix.dtype == tf.float32 and matrix.shape.rank == 2 and (rows.shape.rank or 0) > 2:
        return tf.matmul(rows, matrix)
    return keras_own(x1, x2)


def _scan(
    step: Callable[..., Any], init: Any, xs: Any = None, length: Any = None, reverse: bool = False, **_: Any
) -> Any:
    """Do what `keras.ops.scan` does, arguments as there; what it does not read is how far to unroll."""
    read = [tf.convert_to_tensor(x) for x in tree.flatten(xs)] if xs is not None else []
    count = tf.convert_to_tensor(length if length is not None else tf.shape(read[0])[0])
    carried = [tf.convert_to_tensor(state) for state in tree.flatten(init)]
    made = [tf.TensorArray(state.dtype, size=count, element_shape=state.shape) for state in carried]

    def body(i: Any, carried: Any, made: Any) -> Any:
        at = count - 1 - i if reverse else i
        given = tree.pack_sequence_as(xs, [x[at] for x in read]) if read else None
        carry, out = step(tree.pack_sequence_as(init, list(carried)), given)
        flat = tree.flatten(out) if out is not None else []
        made = [array.write(at, value) for array, value in zip(made, flat, strict=False)] or made
        return i + 1, tree.flatten(carry), made

    start = (tf.constant(0), carried, made)
    _, carried, made = tf.while_loop(lambda i, *_: i < count, body, start)
    return tree.pack_sequence_as(init, list(carried)), tree.pack_sequence_as(init, [array.stack() for array in made])
