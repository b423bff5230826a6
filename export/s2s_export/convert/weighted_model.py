"""ONNX models whose large constants lie beside them.

A protocol buffer is copied by whoever edits, checks or serialises it, and holds two gigabytes at most. So weights never
enter one: a model says of each only its name, type and shape, and the array, which may be the memory of a Keras
variable itself, is held beside it until it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.model_container import make_large_tensor_proto

LARGE: Final = 1024  # bytes; smaller constants stay where they are: shapes and axes have to be read while loading


@dataclass(frozen=True)
class WeightedModel:
    """An ONNX model and the large constants of its outermost graph.

    Attributes:
        proto: the model; of each large constant it holds name, type and shape.
        arrays: those constants by name. They are shared between models and never changed.
    """

    proto: onnx.ModelProto
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, proto: onnx.ModelProto) -> WeightedModel:
        """Take the large constants of the outermost graph out of a model, which is changed."""
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
        tensors, arrays = initializers(constants)
        del proto.graph.initializer[:]
        proto.graph.initializer.extend(tensors)
        return cls(proto, arrays)

    @property
    def graph(self) -> onnx.GraphProto:
        """The model's outermost graph."""
        return self.proto.graph

    def constant(self, tensor: onnx.TensorProto) -> np.ndarray:
        """Return the value of a constant of the outermost graph."""
        return self.arrays[tensor.name] if tensor.name in self.arrays else numpy_helper.to_array(tensor)

    def copy(self) -> WeightedModel:
        """Return the model once more, to be changed apart; its arrays are the same."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        return WeightedModel(proto, dict(self.arrays))

    def whole(self) -> onnx.ModelProto:
        """Return a copy of the model that holds its constants, for tools that know no other; of at most 2 GB."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        for tensor in proto.graph.initializer:
            if tensor.name in self.arrays:
                tensor.CopyFrom(numpy_helper.from_array(self.arrays[tensor.name], tensor.name))
        return proto

    def run(self, outputs: list[str], inputs: Mapping[str, np.ndarray]) -> list[Any]:
        """Return some outputs of the model, run once by onnxruntime on the CPU."""
        return list(self.session().run(outputs, inputs))

    def session(self) -> onnxruntime.InferenceSession:
        """Return the model in onnxruntime, on the CPU, with the arrays as they lie in memory."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it would copy constants
        options.add_session_config_entry("session.disable_prepacking", "1")
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in self.arrays.items()}
        options.add_external_initializers([*values], [*values.values()])
        return onnxruntime.InferenceSession(self.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def initializers(constants: Mapping[str, np.ndarray]) -> tuple[list[onnx.TensorProto], dict[str, np.ndarray]]:
    """Return constants as a model holds them, and those of them that lie beside it."""
    arrays = {name: array for name, array in constants.items() if array.nbytes >= LARGE}
    tensors = [
        # A location that begins so is nobody's file: ONNX's checker passes over it.
        make_large_tensor_proto(f"#{name}", name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        if name in arrays
        else numpy_helper.from_array(array, name)
        for name, array in constants.items()
    ]
    return tensors, arrays


class Folds:
    """Arrays that were computed from others, each once: several graphs fold the same weights.

    What an array was computed from is told by the arrays' identities; they are kept alive, so that none is given twice.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], tuple[np.ndarray, tuple[np.ndarray, ...]]] = {}

    def array(
        self, how: tuple[object, ...], sources: Iterable[np.ndarray], make: Callable[..., np.ndarray]
    ) -> np.ndarray:
        """Return what `make` computes from the sources, C-contiguous.

        Args:
            how: what it does; of the same sources, the same gives the same.
            sources: arrays that nobody changes.
            make: called with them where they haven't been folded so before.
        """
        given = tuple(sources)
        key = (*how, *map(id, given))
        if key not in self._made:
            self._made[key] = np.ascontiguousarray(make(*given)), given
        return self._made[key][0]
