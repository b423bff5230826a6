"""The inputs and outputs of a decoder step by name, and its buffers in host memory, bound once for many steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.ort.tensors import Session, States, Tensor
from s2s_runtime.search.step_model import StepOutput

if TYPE_CHECKING:
    from s2s_runtime.ort import device
else:
    device = LazyModule("ort.device")


class Ports(NamedTuple):
    """The names of what the decoder's graph reads and writes.

    Attributes:
        feed: the token or value of the step before; None where nothing is fed back.
        output: the logits or the values.
        size: numbers in a row of the output.
        states: the recurrent states.
        memory: what stays constant through a sequence.
        next_states: the states after the step, in the order of `states`.
    """

    feed: str | None
    output: str
    size: int
    states: tuple[str, ...]
    memory: tuple[str, ...]
    next_states: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest) -> Ports:
        """Return the names in a bundle."""
        feedback = manifest.target.feedback
        return cls(
            feed={"token": "token", "value": "value"}.get(feedback),
            output="output" if feedback == "value" else "logits",
            size=manifest.target.size,
            states=tuple(tensor.name for tensor in manifest.states),
            memory=tuple(tensor.name for tensor in manifest.memory),
            next_states=tuple(f"next_{tensor.name}" for tensor in manifest.states),
        )

    def fed(self, rows: int) -> tuple[tuple[int, ...], DTypeLike]:
        """Return the shape and dtype of what is fed: int64 (rows,) tokens or float32 (rows, features) values."""
        return ((rows, self.size), np.float32) if self.feed == "value" else ((rows,), np.int64)

    def both_ways(
        self, session: Session, states: States, fed: Tensor | None, output: Tensor, attention: Tensor | None
    ) -> tuple[Any, Any]:
        """Return two I/O bindings of a step: from `States.sets[0]` to `States.sets[1]`, and back."""
        inputs = _named(self.memory, states.memory)
        outputs = {self.output: output.value} | ({} if attention is None else {"attention": attention.value})
        if fed is not None and self.feed is not None:
            inputs[self.feed] = fed.value
        first, second = states.sets
        return (
            device.bound(session, inputs | _named(self.states, first), outputs | _named(self.next_states, second)),
            device.bound(session, inputs | _named(self.states, second), outputs | _named(self.next_states, first)),
        )


def _named(names: Sequence[str], tensors: Sequence[Tensor]) -> dict[str, Any]:
    return {name: tensor.value for name, tensor in zip(names, tensors, strict=True)}


class HostBuffers:
    """The buffers in host memory of tokens that go to the decoder and of logits that come back, bound to it.

    Args:
        session: session of the decoder.
        ports: names of its inputs and outputs.
        states: the states that it advances.
        attention: whether attention weights are wanted.
        on_device: whether it runs on a device, to which tokens are copied.
    """

    def __init__(
        self,
        session: Session,
        ports: Ports,
        states: States,
        *,
        attention: bool,
        on_device: bool,
    ) -> None:
        rows = states.rows
        self._session, self._ports, self._on_device = session, ports, on_device
        self._feed = None
        if ports.feed is not None:
            shape, dtype = ports.fed(rows)
            self._feed = Tensor.of(np.zeros(shape, dtype))
        self._logits = Tensor.of(np.empty((rows, ports.size), np.float32))
        self._weights = Tensor.of(np.empty((rows, states.time), np.float32)) if attention else None
        self._bindings = ports.both_ways(session, states, self._feed, self._logits, self._weights)
        self._output = StepOutput(self._logits.host, None if self._weights is None else self._weights.host)

    @property
    def has_attention(self) -> bool:
        """See `StepBuffers.has_attention`."""
        return self._weights is not None

    def run(self, current: int, fed: NDArray[Any]) -> StepOutput:
        """See `StepBuffers.run`."""
        binding = self._bindings[current]
        if self._feed is not None:
            self._feed.host[:] = fed
            if self._on_device:
                binding.bind_ortvalue_input(self._ports.feed, self._feed.value)  # copied to the device when bound
        self._session.run_with_iobinding(binding)
        return self._output
