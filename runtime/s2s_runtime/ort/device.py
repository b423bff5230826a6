"""Tensors that stay on a device from run to run, through I/O binding; tests use the CPU as a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from s2s_runtime.ort.sessions import import_onnxruntime
from s2s_runtime.ort.tensors import OrtValue, Session, Tensor


class Device:
    """The device on which a decoder keeps its tensors.

    Args:
        place: onnxruntime's name and number of the device.
    """

    def __init__(self, place: tuple[str, int]) -> None:
        self._place = place
        self._make = import_onnxruntime().OrtValue

    def placed(self, array: NDArray[Any]) -> Tensor:
        """Return a tensor on the device with the content of an array."""
        return Tensor(value=self._make.ortvalue_from_numpy(np.asarray(array, order="C"), *self._place))

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Tensor:
        """Return a tensor on the device whose content is undefined."""
        return Tensor(value=self._make.ortvalue_from_shape_and_type(list(shape), dtype, *self._place))

    def like(self, tensor: Tensor) -> Tensor:
        """Return a tensor with the shape and dtype of another that lies on the device; its content is undefined."""
        return self.empty(tensor.value.shape(), _DTYPES[tensor.value.data_type()])

    def outputs(
        self,
        session: Session,
        inputs: Mapping[str, OrtValue],
        names: Sequence[str],
        into: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        """Run a graph and leave its outputs on the device, in given tensors or new ones."""
        binding = bound(session, inputs)
        for i, name in enumerate(names):
            if into is None:
                binding.bind_output(name, *self._place)
            else:
                binding.bind_ortvalue_output(name, into[i].value)
        session.run_with_iobinding(binding)
        return [Tensor(value=value) for value in binding.get_outputs()]


def bound(session: Session, inputs: Mapping[str, OrtValue], outputs: Mapping[str, OrtValue] | None = None) -> Any:
    """Return an I/O binding of a session to inputs and outputs by name."""
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, value)
    for name, value in (outputs or {}).items():
        binding.bind_ortvalue_output(name, value)
    return binding


_DTYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
