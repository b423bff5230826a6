"""A bundle's graphs as a `StepModel`.

States live in two sets of buffers with an I/O binding for each direction: a step reads one set and writes the other,
so that nothing is allocated, bound or copied per token. On a device the buffers are device memory, rows are gathered
by the bundle's select graphs, and only tokens go there and logits come back. In host memory numpy gathers them, which
was measured to be three to ten times faster than a session run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle import Manifest
from s2s_runtime.joining import Memory, MemoryJoiner
from s2s_runtime.sessions import import_onnxruntime
from s2s_runtime.step_model import Beams, BeamSteps, StepOutput, Writing
from s2s_runtime.tensors import Buffers, OrtValue, States, Tensor

Session = Any  # onnxruntime ships no types


class OnnxStepModel:
    """The encoder and decoder of a bundle.

    Safe to share between threads: all that changes is in the `States`, which each call makes for itself.

    Args:
        manifest: of the bundle.
        sessions: by graph name, opened when they are asked for: see `s2s_runtime.graphs`.
        device: onnxruntime's name and number of the device on which the decoder keeps tensors.
        on_device: whether states stay in device memory, gathered by the select graphs. Default: when the device isn't
            the CPU. (True on the CPU runs the same code there, to test it.)
    """

    def __init__(
        self,
        manifest: Manifest,
        sessions: Mapping[str, Session],
        device: tuple[str, int] = ("cpu", 0),
        *,
        on_device: bool | None = None,
    ) -> None:
        self._ort = import_onnxruntime()
        self._device = device
        self._on_device = device[0] != "cpu" if on_device is None else on_device
        self._size = manifest.target.size
        self._feed_name = {"token": "token", "value": "value"}.get(manifest.target.feedback)
        self._output_name = "output" if manifest.target.feedback == "value" else "logits"
        self._source_names = [tensor.name for tensor in manifest.source.inputs]
        self._state_names = [tensor.name for tensor in manifest.states]
        self._next_names = [f"next_{name}" for name in self._state_names]
        self._memory_names = [tensor.name for tensor in manifest.memory]
        self._join_memory = MemoryJoiner(manifest)
        self._sessions = sessions
        first = "greedy" if self.can_write else "decoder"
        self._provider = str(sessions[first].get_providers()[0])
        self._encoder = sessions["encoder"]

    @property
    def provider(self) -> str:
        """The execution provider that decodes, by onnxruntime's name."""
        return self._provider

    @property
    def can_write(self) -> bool:
        """See `WritingModel.can_write`."""
        return "greedy" in self._sessions and "beam" in self._sessions

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> States:
        """States before the first step; see `StepModel.encode`."""
        names = [*self._state_names, *self._memory_names]
        sources = dict(zip(self._source_names, (source, *others), strict=True))
        if self._on_device:
            values = {name: Tensor.of(array).value for name, array in sources.items()}
            tensors = self._run_on_device(self._encoder, values, names)
        else:
            tensors = [Tensor.of(array) for array in self._encoder.run(names, sources)]
        count = len(self._state_names)
        return self._states(source.shape, tensors[:count], tensors[count:])

    def step(self, states: States, tokens: NDArray[Any], *, attention: bool = False) -> StepOutput:
        """Advance by one step; see `StepModel.step`. Value models take float32 (rows, features) for `tokens`."""
        buffers = states.buffers
        if buffers is None or (buffers.output.attention is not None) != attention:
            buffers = states.buffers = self._bind(states, attention)
        binding = buffers.bindings[states.current]
        if buffers.feed is not None:
            buffers.feed.host[:] = tokens
            if self._on_device:
                binding.bind_ortvalue_input(self._feed_name, buffers.feed.value)  # copied to the device when bound
        self._sessions["decoder"].run_with_iobinding(binding)
        states.current ^= 1
        return buffers.output

    def write(self, states: States, tokens: NDArray[np.int64], writing: Writing) -> NDArray[np.int64]:
        """Write many tokens in one run; see `WritingModel.write`."""
        inputs: dict[str, NDArray[Any]] = {
            "steps": np.array(writing.steps, np.int64),
            "mask": writing.mask,
            "goes_on": writing.goes_on,
            "live": writing.live,
            "least": np.array(writing.least, np.float32),
        }
        [written] = self._search("greedy", states, tokens, inputs, ["tokens"])
        return written

    def write_beams(self, states: States, tokens: NDArray[np.int64], beams: Beams) -> BeamSteps:
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
        """Run a whole-search graph; its outputs come to the host, states that lie on a device stay there."""
        session = self._sessions[name]
        if self._feed_name == "token":
            inputs["token"] = tokens
        if self._on_device:
            held = {key: Tensor.of(array).value for key, array in inputs.items()}
            held |= {key: tensor.value for key, tensor in zip(self._memory_names, states.memory, strict=True)}
            binding = self._binding(session, held, {}, states.present, states.free)
            for key in outputs:
                binding.bind_output(key, "cpu")
            session.run_with_iobinding(binding)
            states.current ^= 1
            return [value.numpy() for value in binding.get_outputs()[-len(outputs) :]]
        # In host memory there is nothing to bind for a single run, and binding one sentence takes as long as two steps.
        names = [*self._memory_names, *self._state_names]
        inputs |= {key: tensor.host for key, tensor in zip(names, [*states.memory, *states.present], strict=True)}
        found: list[NDArray[Any]] = session.run([*outputs, *self._next_names], inputs)
        states.sets = ([Tensor.of(array) for array in found[len(outputs) :]], states.present)
        states.current, states.buffers = 0, None  # what was bound are the states before
        return found[: len(outputs)]

    def reorder(self, states: States, rows: NDArray[np.int64]) -> None:
        """Move rows among beams of their own sentence; see `StepModel.reorder`."""
        now, spare = states.present, states.free
        if self._on_device:
            self._gather_on_device("state", now, rows, into=spare)
        else:
            for tensor, free in zip(now, spare, strict=True):
                # mode: numpy would gather into a copy of `out` first were it to raise; rows are in range
                tensor.host.take(rows, axis=0, out=free.host, mode="clip")
        states.current ^= 1

    def select(self, states: States, rows: NDArray[np.int64]) -> States:
        """States made of some of the rows; see `StepModel.select`."""
        now = states.present
        if self._on_device:
            recurrent = self._gather_on_device("state", now, rows)
            memory = self._gather_on_device("memory", states.memory, rows)
        else:
            recurrent = [Tensor.of(tensor.host.take(rows, axis=0)) for tensor in now]
            memory = [Tensor.of(tensor.host.take(rows, axis=0)) for tensor in states.memory]
        return self._states((len(rows), states.time), recurrent, memory)

    @property
    def can_join(self) -> bool:
        """See `WritingModel.can_join`."""
        return not self._on_device and self._join_memory.joins_any

    def join(self, states: States, more: States, time: int) -> States | None:
        """States of the rows of both; see `WritingModel.join`."""
        both = [Memory([tensor.host for tensor in each.memory], each.time) for each in (states, more)]
        memory = self._join_memory(both[0], both[1], time)
        if memory is None:
            return None
        pairs = zip(states.present, more.present, strict=True)
        recurrent = [np.concatenate([one.host, other.host]) for one, other in pairs]
        return self._states((states.rows + more.rows, time), [*map(Tensor.of, recurrent)], [*map(Tensor.of, memory)])

    def to_arrays(self, states: States) -> dict[str, NDArray[Any]]:
        """Copies of recurrent states and memory by name; see `PortableModel.to_arrays`."""
        named = zip([*self._state_names, *self._memory_names], [*states.present, *states.memory], strict=True)
        return {name: tensor.value.numpy().copy() for name, tensor in named}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], time: int) -> States:
        """States made of what `to_arrays` gave; see `PortableModel.from_arrays`."""
        recurrent = [self._placed(arrays[name].copy()) for name in self._state_names]
        memory = [self._placed(arrays[name].copy()) for name in self._memory_names]
        return self._states((len(arrays[self._state_names[0]]), time), recurrent, memory)

    def _states(self, shape: tuple[int, ...], recurrent: list[Tensor], memory: list[Tensor]) -> States:
        return States(shape[0], shape[1], (recurrent, [self._like(tensor) for tensor in recurrent]), memory)

    def _bind(self, states: States, attention: bool) -> Buffers:
        rows, size = states.rows, self._size
        feed = None
        if self._feed_name == "token":
            feed = Tensor.of(np.zeros(rows, np.int64))
        elif self._feed_name == "value":
            feed = Tensor.of(np.zeros((rows, size), np.float32))
        logits = Tensor.of(np.empty((rows, size), np.float32))
        weights = Tensor.of(np.empty((rows, states.time), np.float32)) if attention else None
        inputs = {name: tensor.value for name, tensor in zip(self._memory_names, states.memory, strict=True)}
        if feed is not None:
            inputs[str(self._feed_name)] = feed.value
        outputs = {self._output_name: logits.value} | ({} if weights is None else {"attention": weights.value})
        first, second = states.sets
        decoder = self._sessions["decoder"]
        directions = (
            self._binding(decoder, inputs, outputs, first, second),
            self._binding(decoder, inputs, outputs, second, first),
        )
        output = StepOutput(logits.host, None if weights is None else weights.host)
        return Buffers(feed, output, (logits, weights), directions)

    def _binding(
        self,
        session: Session,
        inputs: dict[str, OrtValue],
        outputs: dict[str, OrtValue],
        reads: Sequence[Tensor],
        writes: Sequence[Tensor],
    ) -> Any:
        """An I/O binding that reads one set of states and writes the other."""
        binding = session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        for name, read in zip(self._state_names, reads, strict=True):
            binding.bind_ortvalue_input(name, read.value)
        for name, written in zip(self._next_names, writes, strict=True):
            binding.bind_ortvalue_output(name, written.value)
        return binding

    def _gather_on_device(
        self,
        kind: str,
        tensors: Sequence[Tensor],
        rows: NDArray[np.int64],
        into: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        if not tensors:
            return []
        session = self._sessions[f"select_{kind}"]
        inputs = {"rows": Tensor.of(rows).value}
        inputs |= {f"{kind}.{i}": tensor.value for i, tensor in enumerate(tensors)}
        return self._run_on_device(session, inputs, [f"next_{kind}.{i}" for i in range(len(tensors))], into)

    def _run_on_device(
        self,
        session: Session,
        inputs: dict[str, OrtValue],
        outputs: Sequence[str],
        into: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        """Run a graph with its outputs left on the device, in given tensors or new ones."""
        binding = session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for i, name in enumerate(outputs):
            if into is None:
                binding.bind_output(name, *self._device)
            else:
                binding.bind_ortvalue_output(name, into[i].value)
        session.run_with_iobinding(binding)
        return [Tensor(value=value) for value in binding.get_outputs()]

    def _placed(self, array: NDArray[Any]) -> Tensor:
        """A tensor where the decoder keeps them, with the content of an array."""
        if not self._on_device:
            return Tensor.of(array)
        return Tensor(value=self._ort.OrtValue.ortvalue_from_numpy(array, *self._device))

    def _like(self, tensor: Tensor) -> Tensor:
        if tensor.on_host:
            return Tensor(np.empty_like(tensor.host))
        element = _DTYPES[tensor.value.data_type()]
        return Tensor(
            value=self._ort.OrtValue.ortvalue_from_shape_and_type(tensor.value.shape(), element, *self._device)
        )


_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
