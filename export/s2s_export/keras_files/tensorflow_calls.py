"""Calls of TensorFlow's functions between Keras 2's layers, which it saved as layers of their own.

`tf.concat([h, b], -1)`, `x * y` and `x[:, None]` in a script stand in its file as `TFOpLambda` and `SlicingOpLambda`;
from TensorFlow 2.0 to 2.3 as `TensorFlowOpLayer`, with the operation of the graph itself. Only functions that compute
are called, whatever name a file holds: none that reads, writes or runs anything.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any, Final

import keras
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import node_def_pb2
from tensorflow.python.framework import op_def_registry

from s2s_export.errors import BUILD_IN_CODE, ModelFileError

CALLS: Final = ("TFOpLambda", "SlicingOpLambda")
_COMPUTING: Final = (
    "abs add argmax argmin broadcast_to cast clip_by_value concat cos divide einsum equal exp expand_dims eye "
    "fill gather greater greater_equal identity less less_equal logical_and logical_not logical_or matmul "
    "maximum minimum multiply negative norm not_equal one_hot ones ones_like pad pow range rank reduce_all "
    "reduce_any reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape reverse round "
    "sequence_mask shape sigmoid sign sin size slice split sqrt square squeeze stack stop_gradient subtract "
    "tanh tensordot tile transpose unstack where zeros zeros_like"
)
_TOP: Final = frozenset(_COMPUTING.split())
_MODULES: Final = ("math", "nn", "linalg")  # of these every function computes
_OPERATORS: Final = {
    "getitem": lambda x, slice_spec: x[tuple(_part(part) for part in slice_spec)],
    "add": lambda x, y: x + y,
    "radd": lambda x, y: y + x,
    "sub": lambda x, y: x - y,
    "rsub": lambda x, y: y - x,
    "mul": lambda x, y: x * y,
    "rmul": lambda x, y: y * x,
    "truediv": lambda x, y: x / y,
    "rtruediv": lambda x, y: y / x,
    "matmul": tf.linalg.matmul,
    "pow": lambda x, y: x**y,
    "neg": lambda x: -x,
    "abs": tf.abs,
    "eq": tf.equal,
    "ne": tf.not_equal,
    "lt": tf.less,
    "le": tf.less_equal,
    "gt": tf.greater,
    "ge": tf.greater_equal,
    "and": tf.logical_and,
    "or": tf.logical_or,
    "invert": tf.logical_not,
}


_PLACE: Final = "tensor"  # stands, with a number, for a tensor in the arguments of a call


@keras.saving.register_keras_serializable(package="s2s")
class TensorFlowCall(keras.layers.Layer):
    """One function of TensorFlow as a layer.

    Args:
        function: its name as Keras 2 wrote it, such as "math.multiply" or "__operators__.getitem".
        arguments: [first argument, named arguments] of the call; `{"tensor": i}` stands for the layer's i-th input.
    """

    def __init__(self, function: str, arguments: Any, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "autocast": False})
        self.function, self.arguments = function, arguments
        self.supports_masking = True

    def build(self, *_: Any) -> None:
        """Build nothing: there are no weights."""
        self.built = True

    def compute_mask(self, *_: Any) -> None:
        """Return None, as Keras 2 takes masks off where a function of TensorFlow stands between layers."""

    def call(self, tensors: Any) -> Any:
        """Return what the function gives for these tensors among its arguments."""
        given = tensors if isinstance(tensors, list | tuple) else [tensors]
        first, named = _filled(self.arguments, given)
        return called(self.function)(first, **{name: value for name, value in named.items() if name != "name"})

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "function": self.function, "arguments": self.arguments}


def is_tensor(value: Any) -> bool:
    """Return whether a value is a tensor as Keras 2 wrote it: [layer, call, output], perhaps with arguments."""
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int)


def taken_apart(first: Any, named: Any) -> tuple[list[Any], list[Any]]:
    """Return the arguments of a call with numbers in the place of its tensors, and the tensors.

    Args:
        first: the first argument as Keras 2 wrote it, tensors being lists [layer, call, output].
        named: the other arguments, likewise.
    """
    tensors: list[Any] = []

    def numbered(value: Any) -> Any:
        if is_tensor(value):
            tensors.append(value[:3])
            return {_PLACE: len(tensors) - 1}
        if isinstance(value, dict):
            return {key: numbered(item) for key, item in value.items()}
        return [numbered(item) for item in value] if isinstance(value, list) else value

    return [numbered(first), numbered(named)], tensors


def _filled(arguments: Any, tensors: Sequence[Any]) -> Any:
    if isinstance(arguments, dict):
        if set(arguments) == {_PLACE}:
            return tensors[arguments[_PLACE]]
        return {key: _filled(value, tensors) for key, value in arguments.items()}
    return [_filled(value, tensors) for value in arguments] if isinstance(arguments, list) else arguments


def called(name: str) -> Any:
    """Return the function that a file names.

    Raises:
        ModelFileError: it isn't among those that compute.
    """
    module, _, function = name.rpartition(".")
    found = None
    if module == "__operators__":
        found = _OPERATORS.get(function)
    elif re.fullmatch(r"\w+", function) and not function.startswith("_"):
        if module in _MODULES:
            found = getattr(getattr(tf, module), function, None)
        elif module in ("", "compat.v1") and function in _TOP:
            found = getattr(tf, function, None)
    if not callable(found) or isinstance(found, type):
        raise ModelFileError(
            f"the file calls TensorFlow's {name!r} between its layers, which isn't known to compute and do nothing "
            f"else; {BUILD_IN_CODE}"
        )
    return found


def _part(part: Any) -> Any:
    """Return one index: a number, a slice, a new axis, or an ellipsis, as Keras 2 wrote it."""
    if not isinstance(part, dict):
        return tf.newaxis if part is None else part
    if "start" in part or "stop" in part:
        return slice(part.get("start"), part.get("stop"), part.get("step"))
    return ...


_COMPUTING_NODES: Final = (
    "Abs Add AddN AddV2 All Any ArgMax ArgMin BatchMatMul BatchMatMulV2 BiasAdd BroadcastTo Cast Ceil "
    "ClipByValue Concat ConcatV2 Cos Cumprod Cumsum Div DivNoNan Einsum Elu Equal Erf Exp ExpandDims Fill "
    "Floor FloorDiv FloorMod Gather GatherNd GatherV2 Greater GreaterEqual Identity L2Loss LeakyRelu Less "
    "LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Mean Min Minimum "
    "Mul Neg NotEqual OneHot OnesLike Pack Pad PadV2 Pow Prod Range Rank RealDiv Reciprocal Relu Relu6 "
    "Reshape ReverseV2 Round Rsqrt Select SelectV2 Selu Shape Sigmoid Sign Sin Size Slice Softmax "
    "Softplus Softsign Split SplitV Sqrt Square SquaredDifference Squeeze StopGradient StridedSlice Sub "
    "Sum Tanh Tile Transpose Unpack Where ZerosLike"
)
_RAW: Final = frozenset(_COMPUTING_NODES.split())


@keras.saving.register_keras_serializable(package="s2s")
class TensorFlowOperation(keras.layers.Layer):
    """One operation of TensorFlow as a layer, as TensorFlow 2.0 to 2.3 saved what stood between layers.

    Args:
        operation: its name, such as "AddV2".
        attributes: by name, as JSON has them.
        constants: inputs that are numbers, by their place among all inputs.
    """

    def __init__(self, operation: str, attributes: Any, constants: Any, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "autocast": False})
        self.operation, self.attributes, self.constants = operation, attributes, constants
        self.supports_masking = True

    def build(self, *_: Any) -> None:
        """Build nothing: there are no weights."""
        self.built = True

    def compute_mask(self, *_: Any) -> None:
        """Return None, as such layers took masks off."""

    def call(self, tensors: Any) -> Any:
        """Return what the operation gives for these tensors and its constants."""
        given = list(tensors) if isinstance(tensors, list | tuple) else [tensors]
        node = json_format.ParseDict({"op": self.operation, "attr": self.attributes}, node_def_pb2.NodeDef())
        definition = op_def_registry.get(self.operation)
        types = {argument.name: argument for argument in definition.input_arg}
        for place in sorted(self.constants, key=int):
            given.insert(int(place), self._constant(self.constants[place], node, list(types.values()), int(place)))
        inputs: dict[str, Any] = {}
        for name, argument in types.items():
            count = node.attr[argument.number_attr].i if argument.number_attr else None
            inputs[name] = given.pop(0) if count is None else [given.pop(0) for _ in range(count)]
        function = getattr(tf.raw_ops, self.operation)
        taken = inspect.signature(function).parameters
        settings = {name: _attribute(value) for name, value in node.attr.items() if name in taken}
        return function(**inputs, **settings)

    def _constant(self, value: Any, node: Any, arguments: list[Any], place: int) -> Any:
        """Return a constant in the dtype that the operation has for the input in that place."""
        places = [each for each in arguments for _ in range(node.attr[each.number_attr].i if each.number_attr else 1)]
        argument = places[place]
        dtype = node.attr[argument.type_attr].type if argument.type_attr else argument.type
        return tf.constant(value, tf.as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        held = {"operation": self.operation, "attributes": self.attributes, "constants": self.constants}
        return {**super().get_config(), **held}


def operation_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a `TensorFlowOperation` for a layer's configuration as TensorFlow 2.0 to 2.3 wrote it.

    Raises:
        ModelFileError: the operation isn't among those that compute and do nothing else.
    """
    held = config.get("node_def") or {}
    if isinstance(held, str):  # until 2.1, as bytes of a text
        held = json_format.MessageToDict(node_def_pb2.NodeDef.FromString(held.encode("utf-8")))
    if held.get("op") not in _RAW:
        raise ModelFileError(
            f"layer {config.get('name')!r} is TensorFlow's operation {held.get('op')!r}, which isn't known to compute "
            f"and do nothing else; {BUILD_IN_CODE}"
        )
    constants = {str(place): value for place, value in (config.get("constants") or {}).items()}
    name = f"tf_op_layer_{config['name']}"
    return {"name": name, "operation": held["op"], "attributes": held.get("attr", {}), "constants": constants}


def _attribute(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "type":
        return tf.as_dtype(value.type)
    if kind == "s":
        return value.s.decode("utf-8")
    if kind == "list":
        return list(value.list.i or value.list.f)
    return getattr(value, str(kind))
