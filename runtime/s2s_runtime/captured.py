"""Steps of a decoder as captured CUDA graphs: all kernels of a step launched at once, not one after the other.

A captured graph reads and writes the memory that it was captured with. So captures have buffers of their own, which
states are brought to before their first step, and which the next states of the same shapes get when these are gone. The
rules: a capture for each shape (rows, source length, attention or not), as many of one shape as are in use at the same
time, and no more than `MOST` in all, as onnxruntime keeps each as long as the session; beyond that, and for anything
but the step graph, kernels are launched one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from s2s_runtime.device import Device, Session
from s2s_runtime.sessions import import_onnxruntime
from s2s_runtime.step_buffers import Ports
from s2s_runtime.step_model import StepOutput
from s2s_runtime.tensors import States, Tensor

MOST: Final = 32
"""Shapes captured for a model."""

_GRAPH: Final = "gpu_graph_id"  # of a run: which captured graph it replays, or makes where there is none yet
_NONE: Final = "-1"

Shape = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class _Capture:
    """Buffers that two graphs were captured with, one for each direction of a step."""

    states: States
    fed: Tensor | None
    fed_dtype: DTypeLike
    logits: Tensor
    attention: Tensor | None
    bindings: tuple[Any, Any]
    options: tuple[Any, Any]


class Captures:
    """The captured steps of a model.

    Args:
        session: of the decoder, opened with `enable_cuda_graph`.
        ports: its names.
        device: where it runs.
        most: how many captures there may be.
    """

    def __init__(self, session: Session, ports: Ports, device: Device, most: int = MOST) -> None:
        self._session, self._ports, self._device, self._most = session, ports, device, most
        self._free: dict[Shape, list[_Capture]] = {}
        self._numbers = count(1)
        self._made = 0
        self._changing = Lock()

    @staticmethod
    def without() -> Any:
        """Options of a run of the session that captures and replays nothing."""
        return _run_options(_NONE)

    def take(
        self, states: States, *, attention: bool, copy: Callable[[States, States], None]
    ) -> CapturedBuffers | None:
        """Bring states to buffers of a capture, which they keep as long as there is anything that refers to them.

        Args:
            states: on the device; from now on their tensors are those of the capture.
            attention: whether attention weights are wanted.
            copy: copies recurrent states and memory of the first to those of the second.

        Returns:
            None where there are enough captures already, all of this shape in use.
        """
        shape = states.rows, states.time, attention
        with self._changing:
            free = self._free.setdefault(shape, [])
            if free:
                capture = free.pop()
            elif self._made < self._most:
                self._made += 1
                capture = self._make(states, attention)
            else:
                return None
        copy(states, capture.states)
        states.sets, states.memory, states.current = capture.states.sets, capture.states.memory, 0
        return CapturedBuffers(self._session, self._device, capture, free)

    def _make(self, states: States, attention: bool) -> _Capture:
        device, ports = self._device, self._ports
        rows, time = states.rows, states.time
        own = States(
            rows,
            time,
            ([device.like(tensor) for tensor in states.present], [device.like(tensor) for tensor in states.present]),
            [device.like(tensor) for tensor in states.memory],
        )
        shape, dtype = ports.fed(rows)
        fed = None if ports.feed is None else device.empty(shape, dtype)
        logits = device.empty((rows, ports.size), np.float32)
        weights = device.empty((rows, time), np.float32) if attention else None
        bindings = ports.both_ways(self._session, own, fed, logits, weights)
        options = _run_options(str(next(self._numbers))), _run_options(str(next(self._numbers)))
        return _Capture(own, fed, dtype, logits, weights, bindings, options)


class CapturedBuffers:
    """Buffers of a capture while states lie in them; with the last reference to these they are free again."""

    def __init__(self, session: Session, device: Device, capture: _Capture, free: list[_Capture]) -> None:
        self._session, self._device, self._capture, self._free = session, device, capture, free

    def __del__(self) -> None:
        self._free.append(self._capture)

    @property
    def has_attention(self) -> bool:
        """See `StepBuffers.has_attention`."""
        return self._capture.attention is not None

    def run(self, current: int, fed: NDArray[Any]) -> StepOutput:
        """See `StepBuffers.run`."""
        capture = self._capture
        if capture.fed is not None:
            capture.fed.value.update_inplace(np.asarray(fed, capture.fed_dtype, order="C"))
        self._device.run(self._session, capture.bindings[current], capture.options[current])
        attention = None if capture.attention is None else capture.attention.value.numpy()
        return StepOutput(capture.logits.value.numpy(), attention)


def _run_options(graph: str) -> Any:
    options = import_onnxruntime().RunOptions()
    options.add_run_config_entry(_GRAPH, graph)
    return options
