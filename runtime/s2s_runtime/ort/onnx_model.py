"""A bundle's graphs as a `StepModel`.

States live in two sets of buffers with an I/O binding for each direction: a step reads one set and writes the other,
so that nothing is allocated, bound or copied per token. On a device the buffers are device memory, rows are gathered
by the bundle's select graphs, and only tokens go there and logits come back. In host memory numpy gathers rows, which
was measured to be three to ten times faster than a session run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import InputError
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.ort.pace import Pace
from s2s_runtime.ort.step_buffers import HostBuffers, Ports
from s2s_runtime.ort.tensors import Session, States, Tensor
from s2s_runtime.search.step_model import CHOICES, BeamSteps, BeamWriting, Choice, Drawing, StepOutput, Writing, Written

if TYPE_CHECKING:
    from s2s_runtime.ort import device as devices
else:
    devices = LazyModule("ort.device")


class OnnxStepModel:
    """A step model over the encoder and decoder of a bundle.

    It is safe to share between threads: all that changes is in the `States`, which each call makes for itself.

    Args:
        manifest: manifest of the bundle.
        sessions: sessions by graph name, opened when they are asked for: see `s2s_runtime.ort.bundle_sessions`.
        device: onnxruntime's name and number of the device on which the decoder keeps tensors.
        on_device: whether states stay in device memory, gathered by the select graphs. Default: when the device isn't
            the CPU. (True on the CPU runs the same code there, to test it.)
        alone: sessions with one thread each, for runs of few rows; None = all runs have the same sessions.
        rows_alone: how many rows are few.
    """

    def __init__(
        self,
        manifest: Manifest,
        sessions: Mapping[str, Session],
        device: tuple[str, int] = ("cpu", 0),
        *,
        on_device: bool | None = None,
        alone: Mapping[str, Session] | None = None,
        rows_alone: int = 0,
    ) -> None:
        stays = device[0] != "cpu" if on_device is None else on_device
        self._device = devices.Device(device) if stays else None
        self._ports = Ports.of(manifest)
        self._source_names = [tensor.name for tensor in manifest.source.inputs]
        self._carried = {tensor.name: tuple(tensor.shape) for tensor in (*manifest.states, *manifest.memory)}
        self._sessions = sessions
        self.alone = alone
        self.rows_alone = rows_alone
        first = "greedy" if self.can_write else "decoder"
        self._provider = str(self._session(first, 1).get_providers()[0])
        self._pace = Pace()
        self._session("encoder", 1)  # opened now

    @property
    def provider(self) -> str:
        """The execution provider that decodes, by onnxruntime's name."""
        return self._provider

    @property
    def can_write(self) -> bool:
        """See `WritingModel.can_write`."""
        return "greedy" in self._sessions and "beam" in self._sessions

    @property
    def choices(self) -> frozenset[Choice]:
        """See `WritingModel.choices`."""
        return frozenset(choice for choice in CHOICES if choice in self._sessions)

    def open_graphs(self) -> None:
        """Open the graphs of greedy and beam search now: forked processes may share them, see `BundleSessions`."""
        for name in ("encoder", "greedy", "beam") if self.can_write else ("encoder", "decoder"):
            self._session(name, 1)

    def _session(self, name: str, rows: int) -> Session:
        """Return the session that runs a graph on so many rows: see `s2s_runtime.ort.thread_rule`."""
        return self._sessions[name] if self.alone is None or rows > self.rows_alone else self.alone[name]

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> States:
        """Return the states before the first step; see `StepModel.encode`."""
        names, session = [*self._ports.states, *self._ports.memory], self._session("encoder", len(source))
        sources = dict(zip(self._source_names, (source, *others), strict=True))
        if self._device is not None:
            values = {name: Tensor.of(array).value for name, array in sources.items()}
            tensors = self._device.outputs(session, values, names)
        else:
            tensors = [Tensor.of(array) for array in session.run(names, sources)]
        count = len(self._ports.states)
        return self._states(source.shape, tensors[:count], tensors[count:])

    def step(self, states: States, tokens: NDArray[Any], *, attention: bool = False) -> StepOutput:
        """Advance by one step; see `StepModel.step`. Value models take float32 (rows, features) for `tokens`."""
        if states.buffers is None or states.buffers.has_attention != attention:
            session, stays = self._session("decoder", states.rows), self._device is not None
            states.buffers = HostBuffers(session, self._ports, states, attention=attention, on_device=stays)
        output = states.buffers.run(states.current, tokens)
        states.current ^= 1
        return output

    def write(self, states: States, tokens: NDArray[np.int64], writing: Writing) -> Written:
        """Write many tokens in one run; see `WritingModel.write`."""
        rows = len(tokens)
        steps = min(writing.steps, self._pace.steps(rows))
        inputs: dict[str, NDArray[Any]] = {
            "steps": np.array(steps, np.int64),
            "mask": writing.mask,
            "goes_on": writing.goes_on,
            "live": writing.live,
            "least": np.array(writing.least, np.float32),
        }
        if writing.drawing is not None:
            inputs |= _drawing_inputs(writing.choice, writing.drawing, steps)
        begun = perf_counter()
        outputs = ["tokens"] if writing.choice == "greedy" else ["tokens", "token_scores"]
        written = Written(*self._search(writing.choice, states, tokens, inputs, outputs))
        self._pace.note(rows, len(written.tokens), perf_counter() - begun)
        return written

    def write_beams(self, states: States, tokens: NDArray[np.int64], beams: BeamWriting) -> BeamSteps:
        """Write many tokens of each beam in one run; see `WritingModel.write_beams`."""
        inputs: dict[str, NDArray[Any]] = {
            "steps": np.array(beams.steps, np.int64),
            "width": np.array(beams.scores.shape[1:], np.int64),
            "examined": np.array([beams.examined], np.int64),
            "mask": beams.mask,
            "ending": beams.ending,
            "scores": beams.scores,
        }
        return BeamSteps(*self._search("beam", states, tokens, inputs, BeamSteps._fields))

    def _search(
        self,
        name: str,
        states: States,
        tokens: NDArray[np.int64],
        inputs: dict[str, NDArray[Any]],
        outputs: Sequence[str],
    ) -> list[NDArray[Any]]:
        """Run a graph that writes many tokens; its outputs come to the host, states on a device stay there."""
        session, ports = self._session(name, states.rows), self._ports
        if ports.feed == "token":
            inputs["token"] = tokens
        named = zip((*ports.memory, *ports.states), [*states.memory, *states.present], strict=True)
        if self._device is not None:
            held = {key: Tensor.of(array).value for key, array in inputs.items()}
            held |= {key: tensor.value for key, tensor in named}
            written = {key: tensor.value for key, tensor in zip(ports.next_states, states.free, strict=True)}
            binding = devices.bound(session, held, written)
            for key in outputs:
                binding.bind_output(key, "cpu")
            session.run_with_iobinding(binding)
            states.current ^= 1
            return [value.numpy() for value in binding.get_outputs()[-len(outputs) :]]
        # In host memory there is nothing to bind for a single run, and binding one sentence takes as long as two steps.
        inputs |= {key: tensor.host for key, tensor in named}
        arrays: list[NDArray[Any]] = session.run([*outputs, *ports.next_states], inputs)
        states.sets = ([Tensor.of(array) for array in arrays[len(outputs) :]], states.present)
        states.current, states.buffers = 0, None  # what was bound are the states before
        return arrays[: len(outputs)]

    def reorder(self, states: States, rows: NDArray[np.int64]) -> None:
        """Move rows among beams of their own sentence; see `StepModel.reorder`."""
        now, spare = states.present, states.free
        if self._device is not None:
            self._gather_on_device("state", now, rows, into=spare)
        else:
            for tensor, free in zip(now, spare, strict=True):
                # mode: numpy would gather into a copy of `out` first were it to raise; rows are in range
                tensor.host.take(rows, axis=0, out=free.host, mode="clip")
        states.current ^= 1

    def select(self, states: States, rows: NDArray[np.int64]) -> States:
        """Return states made of some of the rows; see `StepModel.select`."""
        now = states.present
        if self._device is not None:
            recurrent = self._gather_on_device("state", now, rows)
            memory = self._gather_on_device("memory", states.memory, rows)
        else:
            recurrent = [Tensor.of(tensor.host.take(rows, axis=0)) for tensor in now]
            memory = [Tensor.of(tensor.host.take(rows, axis=0)) for tensor in states.memory]
        return self._states((len(rows), states.time), recurrent, memory)

    def to_arrays(self, states: States) -> dict[str, NDArray[Any]]:
        """Return copies of recurrent states and memory by name; see `PortableModel.to_arrays`."""
        named = zip([*self._ports.states, *self._ports.memory], [*states.present, *states.memory], strict=True)
        return {name: tensor.value.numpy().copy() for name, tensor in named}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], time: int) -> States:
        """Return states made of what `to_arrays` gave; see `PortableModel.from_arrays`."""
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes.keys() != self._carried.keys() or not all(
            len(shape) == len(shapes[name])
            and all(size in (None, n) for size, n in zip(shape, shapes[name], strict=True))
            for name, shape in self._carried.items()
        ):
            raise InputError(f"state: expected one of this model, with {self._carried}, got one with {shapes}")
        recurrent = [self._placed(arrays[name].copy()) for name in self._ports.states]
        memory = [self._placed(arrays[name].copy()) for name in self._ports.memory]
        return self._states((len(arrays[self._ports.states[0]]), time), recurrent, memory)

    def _states(self, shape: tuple[int, ...], recurrent: list[Tensor], memory: list[Tensor]) -> States:
        return States(shape[0], shape[1], (recurrent, [self._like(tensor) for tensor in recurrent]), memory)

    def _gather_on_device(
        self,
        kind: str,
        tensors: Sequence[Tensor],
        rows: NDArray[np.int64],
        into: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        if not tensors:
            return []
        if self._device is None:
            raise TypeError("these states lie in host memory")
        inputs = {"rows": Tensor.of(rows).value}
        inputs |= {f"{kind}.{i}": tensor.value for i, tensor in enumerate(tensors)}
        names = [f"next_{kind}.{i}" for i in range(len(tensors))]
        return self._device.outputs(self._sessions[f"select_{kind}"], inputs, names, into)

    def _placed(self, array: NDArray[Any]) -> Tensor:
        """Return a tensor with the content of an array, where the decoder keeps its tensors."""
        return Tensor.of(array) if self._device is None else self._device.placed(array)

    def _like(self, tensor: Tensor) -> Tensor:
        return Tensor(np.empty_like(tensor.host)) if self._device is None else self._device.like(tensor)


def _drawing_inputs(choice: Choice, drawing: Drawing, steps: int) -> dict[str, NDArray[Any]]:
    """Return what a graph that draws reads of how it does."""
    inputs = {
        "temperature": np.array(drawing.temperature, np.float32),
        "numbers": drawing.numbers[:steps, :, None],
    }
    if choice == "sample_top":
        inputs["candidates"] = np.array([drawing.candidates], np.int64)
        inputs["mass"] = np.array(drawing.mass, np.float32)
    return inputs
