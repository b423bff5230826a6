"""Tensors as the graphs of a bundle exchange them, in host memory or on a device, and the states made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.ort.sessions import import_onnxruntime
from s2s_runtime.search.step_model import StepOutput

OrtValue = Any  # onnxruntime ships no types
Session = Any


class Tensor:
    """A tensor that lies where numpy sees it, in onnxruntime's hands, or both.

    Args:
        array: the tensor in host memory; None = it lies on a device.
        value: the tensor as onnxruntime holds it; None = made of the array, whose memory it shares, when asked for.
            Many never are: that takes longer than a small operator.
    """

    __slots__ = ("_array", "_value")

    def __init__(self, array: NDArray[Any] | None = None, value: OrtValue = None) -> None:
        self._array = array
        self._value = value

    @classmethod
    def of(cls, array: NDArray[Any]) -> Tensor:
        """Return a tensor of an array; of a copy where the array isn't contiguous."""
        return cls(np.asarray(array, order="C"))

    @property
    def host(self) -> NDArray[Any]:
        """The tensor's memory as a numpy array."""
        if self._array is None:
            raise TypeError("this tensor lies in device memory")
        return self._array

    @property
    def value(self) -> OrtValue:
        """The tensor as onnxruntime holds it."""
        if self._value is None:
            self._value = import_onnxruntime().OrtValue.ortvalue_from_numpy(self._array)
        return self._value


class StepBuffers(Protocol):
    """The buffers that a decoder step reads and writes beside the states and the memory, bound to them for good."""

    @property
    def has_attention(self) -> bool:
        """Whether a step gives attention weights."""
        ...

    def run(self, current: int, fed: NDArray[Any]) -> StepOutput:
        """Run a step.

        Args:
            current: the set of states that it reads; it writes the other.
            fed: tokens, int64 (rows,), or values, float32 (rows, features); ignored where nothing is fed back.

        Returns:
            Logits, float32 (rows, size), or the values of value models, and attention, float32 (rows, source time), if
            bound. The next step may overwrite them.
        """
        ...


@dataclass(slots=True, eq=False, repr=False)
class States:
    """The recurrent states and memory of some rows. Only `OnnxStepModel` makes, advances and reads them.

    Attributes:
        rows: number of sequences.
        time: length of the padded source.
        sets: two sets of recurrent states; `sets[current]` holds the present ones, the other is free to be written.
        memory: tensors that stay constant through the sequence.
        buffers: buffers for these sets and this memory, made at the first step.
    """

    rows: int
    time: int
    sets: tuple[list[Tensor], list[Tensor]]
    memory: list[Tensor]
    current: int = 0
    buffers: StepBuffers | None = None

    @property
    def present(self) -> list[Tensor]:
        """The recurrent states as they are now."""
        return self.sets[self.current]

    @property
    def free(self) -> list[Tensor]:
        """The set of recurrent states that may be written."""
        return self.sets[self.current ^ 1]
