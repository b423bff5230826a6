"""Steps of a decoder as captured CUDA graphs: all kernels of a step launched at once, not one after the other.

A captured graph reads and writes the memory that it was captured with. So captures have buffers of their own, which
states are brought to before their first step, and which other states of the same shape get when these are gone. The
rules: what comes for the second time in a shape (rows, source length, attention or not) is captured, as often as states
of one shape are in use at the same time, and no more than `MOST` times in all, as onnxruntime keeps what was captured
as long as the session; beyond that, and for anything but the step graph, kernels are launched one after the other.

CUDA captures what one thread does, and fails where another allocates meanwhile. So a model that captures is for one
thread, and nothing else in the process may use that device while it decodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import get_ident
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from s2s_runtime.errors import OptionError
from s2s_runtime.ort.device import Device, Session
from s2s_runtime.ort.sessions import import_onnxruntime
from s2s_runtime.ort.step_buffers import Ports
from s2s_runtime.ort.tensors import States, Tensor
from s2s_runtime.search.step_model import StepOutput

MOST: Final = 32
"""Captures of a model, each of two graphs: a step reads one set of states and writes the other, or the other way."""

_GRAPH: Final = "gpu_graph_id"  # of a run: which captured graph it replays, or makes where there is none yet
_NUMBERS: Final = count(1)  # of all models: two of them may have one session

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
    """

    def __init__(self, session: Session, ports: Ports, device: Device) -> None:
        self._session, self._ports, self._device = session, ports, device
        self._seen: set[Shape] = set()
        self._free: dict[Shape, list[_Capture]] = {}
        self._made = 0
        self._thread: int | None = None

    def take(
        self, states: States, *, attention: bool, copy: Callable[[States, States], None]
    ) -> CapturedBuffers | None:
        """Lend states the buffers of a capture, as long as their tensors lie there.

        Args:
            states: on the device; from now on their tensors are those of the capture.
            attention: whether attention weights are wanted.
            copy: copies recurrent states and memory of the first to those of the second.

        Returns:
            None where the shape is new, or there are enough captures already, all of this shape in use.

        Raises:
            OptionError: another thread than that of the first call.
        """
        self._thread = self._thread or get_ident()
        if self._thread != get_ident():
            raise OptionError(
                "provider_options: with enable_cuda_graph a model is for one thread; decode in the one that decoded "
                "first, or leave it out"
            )
        shape = states.rows, states.time, attention
        if shape not in self._seen:
            self._seen.add(shape)
            return None
        free = self._free.setdefault(shape, [])
        if free:
            capture = free.pop()
        elif self._made < MOST:
            capture = self._make(states, attention)
            self._made += 1
        else:
            return None
        lease = _Lease(capture, free)
        copy(states, capture.states)
        states.sets, states.memory, states.current = capture.states.sets, capture.states.memory, 0
        states.lease = lease
        return CapturedBuffers(self._session, capture)

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
        options = _run_options(str(next(_NUMBERS))), _run_options(str(next(_NUMBERS)))
        return _Capture(own, fed, dtype, logits, weights, bindings, options)


class _Lease:
    """Held by states whose tensors are those of a capture; when it goes, the capture is free again."""

    def __init__(self, capture: _Capture, free: list[_Capture]) -> None:
        self._capture, self._free = capture, free

    def __del__(self) -> None:
        self._free.append(self._capture)


class CapturedBuffers:
    """The buffers of a capture, as a step uses them."""

    def __init__(self, session: Session, capture: _Capture) -> None:
        self._session, self._capture = session, capture

    @property
    def has_attention(self) -> bool:
        """See `StepBuffers.has_attention`."""
        return self._capture.attention is not None

    def run(self, current: int, fed: NDArray[Any]) -> StepOutput:
        """See `StepBuffers.run`."""
        capture = self._capture
        if capture.fed is not None:
            capture.fed.value.update_inplace(np.asarray(fed, capture.fed_dtype, order="C"))
        self._session.run_with_iobinding(capture.bindings[current], capture.options[current])
        attention = None if capture.attention is None else capture.attention.value.numpy()
        return StepOutput(capture.logits.value.numpy(), attention)


def uncaptured() -> Any:
    """Options of a run that captures and replays nothing, on a session that otherwise would."""
    return _run_options("-1")


def _run_options(graph: str) -> Any:
    options = import_onnxruntime().RunOptions()
    options.add_run_config_entry(_GRAPH, graph)
    return options
