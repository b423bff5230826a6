"""Rolls up models that were saved unrolled: the same layers called once per target step, outputs joined in time.

Models trained without teacher forcing feed their own output distribution back, which a notebook writes as a Python
loop. Its graph holds every step's calls. Comparing the calls behind the first step's output with those behind the
second's tells what a step is: where both read the same value it is constant; where the same layer made both the
comparison goes on above it; where they differ, the first step's value starts what the loop carries from step to step,
and the second step's is what the first step hands on. Where every step reads its own position of one sequence, that
sequence is what is fed (teacher forcing written as a loop).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import tree

from s2s_runtime.spelling import option
from s2s_training.errors import SplitError
from s2s_training.splitting.graph import Call, Graph, Value, ancestors, is_recurrent, substitute
from s2s_training.splitting.partition import named_inputs
from s2s_training.splitting.step_slices import StepSlice, step_slices

_FEWEST_STEPS = 3  # two show what is carried, the third what becomes of it


@dataclass(frozen=True, eq=False)
class Carried:
    """What one step hands to the next.

    Attributes:
        first: the value that the first step reads.
        current: stands for it in the step's calls.
        following: the value of the step that the next one reads in its place.
    """

    first: Value
    current: Value
    following: Value


@dataclass(frozen=True)
class Unrolled:
    """The loop of an unrolled model.

    Attributes:
        decoder_input: the model input that the first step reads as if it had been fed back, or whose steps are read
            one by one; None where there is none.
        encoder_calls: what the first values of the loop and the constants it reads need, in program order.
        calls: one step, in program order.
        carried: what goes from step to step.
        output: what a step gives.
        decoded: the model output that joins all steps.
        steps: how many there are.
        slices: what stands for the slices of sequences of which each step reads its own position.
    """

    decoder_input: Value | None
    encoder_calls: tuple[Call, ...]
    calls: tuple[Call, ...]
    carried: tuple[Carried, ...]
    output: Value
    decoded: Value
    steps: int
    slices: Mapping[Value, StepSlice] = field(default_factory=dict)

    @property
    def values(self) -> frozenset[Value]:
        """Every value that changes from step to step."""
        made = {value for call in self.calls for value in call.outputs} | {c.current for c in self.carried}
        fed = set() if not self.slices or self.decoder_input is None else {self.decoder_input}
        return frozenset(made | fed | set(self.slices))


def roll_up(graph: Graph, decoder_input: str | None = None) -> Unrolled | None:
    """Find the loop of an unrolled model; return None where there is none.

    Args:
        graph: the whole training model.
        decoder_input: name of the input that the first step reads, where its shape does not tell.

    Raises:
        SplitError: several inputs could be the first step's, or none has the name given.
    """
    producers = graph.producers()
    for decoded in graph.outputs:
        joined = _joined(decoded, producers)
        if joined is None:
            continue
        outputs, after = joined
        loop = _loop(graph, producers, outputs)
        if loop is not None:
            return _unrolled(graph, loop, (after, decoded), decoder_input)
    return None


def why_not_rolled_up(graph: Graph) -> str | None:
    """Return what keeps a model that looks unrolled from being read as such; None where it doesn't look so.

    It does where three or more outputs of one kind of layer are joined.
    """
    producers = graph.producers()
    for decoded in graph.outputs:
        joined = _joined(decoded, producers)
        if joined is None:
            continue
        first, second = (producers[value] for value in joined[0][:2])
        if type(first.operation) is not type(second.operation):
            continue
        at = f"layer {first.name}"
        if first.operation is second.operation:
            try:
                _Comparison(producers, step_slices(graph)).stand_in(*joined[0][:2])
            except _NotPeriodicError as error:
                at = f"layer {error}"
        else:
            at = f"layers {first.name} and {second.name}, each with weights of its own"
        return (
            f"the model joins {len(joined[0])} steps as one saved unrolled does, but its first and second step differ "
            f"at {at}; call the same layers in the same way in every step (the first one's states given too)"
        )
    return None


def _joined(value: Value, producers: dict[Value, Call]) -> tuple[list[Value], list[Call]] | None:
    """Return the outputs of all steps that a value joins, and the calls between the joint and the value."""
    after: list[Call] = []
    while (call := producers.get(value)) is not None:
        values = list(call.inputs)
        if len(values) >= _FEWEST_STEPS and len(set(values)) == len(values):
            made_by = [producers.get(output) for output in values]
            return (values, after[::-1]) if all(maker is not None for maker in made_by) else None
        if len(values) != 1:
            return None
        after.append(call)
        value = values[0]
    return None


class _NotPeriodicError(Exception):
    """Two steps differ in more than what they read; the error holds the call at which they do."""

    def __init__(self, call: Call) -> None:
        super().__init__(call.name)


@dataclass
class _Comparison:
    """Walks upwards from a pair of values of two neighbouring steps, and collects what the steps have in common.

    Attributes:
        producers: the call that makes each value of the graph.
        slices: its values that are one step of a sequence.
        steps: the numbers of the two steps.
        fed: stand-ins of the slices that every step reads of a sequence at its own position.
        carried: stand-ins of what the earlier step of each such pair reads, in order of discovery.
        calls: the earlier step's calls, rewritten to read the stand-ins.
    """

    producers: dict[Value, Call]
    slices: Mapping[Value, StepSlice]
    steps: tuple[int, int] = (0, 1)
    fed: dict[tuple[Value, bool], Value] = field(default_factory=dict)
    carried: dict[tuple[Value, Value], Value] = field(default_factory=dict)
    calls: dict[Call, tuple[Call, Call]] = field(default_factory=dict)

    def stand_in(self, earlier: Value, later: Value) -> Value:
        """Return the value that stands for `earlier` in the step, given that the next step reads `later` there."""
        if earlier is later or (earlier, later) in self.carried:
            return self.carried.get((earlier, later), earlier)
        if (stream := self._stream(earlier, later)) is not None:
            return self.fed.setdefault(stream, Value(earlier.name, earlier.shape, earlier.dtype))
        call, next_call = self.producers.get(earlier), self.producers.get(later)
        if call is None or next_call is None or not _same_operation(call, next_call):
            self.carried[earlier, later] = Value(earlier.name, earlier.shape, earlier.dtype)
            return self.carried[earlier, later]
        if call.outputs.index(earlier) != next_call.outputs.index(later):
            raise _NotPeriodicError(call)
        saved = dict(self.carried), dict(self.calls)
        try:
            self._compare(call, next_call)
        except _NotPeriodicError:
            if call in saved[1] or not is_recurrent(call.operation):
                raise
            # The encoder's call of a layer that the decoder shares: there the loop starts.
            self.carried, self.calls = saved
            self.carried[earlier, later] = Value(earlier.name, earlier.shape, earlier.dtype)
            return self.carried[earlier, later]
        return earlier

    def _stream(self, earlier: Value, later: Value) -> tuple[Value, bool] | None:
        """Return the sequence of which both steps read their own position; None where that is not what they read."""
        one, other = self.slices.get(earlier), self.slices.get(later)
        if one is None or other is None or one.stream != other.stream or (one.index, other.index) != self.steps:
            return None
        return one.stream

    def _compare(self, call: Call, next_call: Call) -> None:
        if call in self.calls:
            if self.calls[call][0] is not next_call:
                raise _NotPeriodicError(call)
            return
        arguments, next_arguments = (
            tree.flatten((call.args, call.kwargs)),
            tree.flatten((next_call.args, next_call.kwargs)),
        )
        if len(arguments) != len(next_arguments):
            raise _NotPeriodicError(call)
        self.calls[call] = (next_call, call)
        filled = [
            self._argument(call, earlier, later) for earlier, later in zip(arguments, next_arguments, strict=True)
        ]
        args, kwargs = tree.pack_sequence_as((call.args, call.kwargs), filled)
        self.calls[call] = (next_call, Call(call.operation, args, kwargs, call.outputs))

    def _argument(self, call: Call, earlier: Any, later: Any) -> Any:
        if isinstance(earlier, Value) and isinstance(later, Value):
            return self.stand_in(earlier, later)
        if type(earlier) is not type(later) or repr(earlier) != repr(later):
            raise _NotPeriodicError(call)
        return earlier


def _same_operation(one: Call, other: Call) -> bool:
    """Return whether two calls are of one layer, or of operations without weights that do the same."""
    if one.operation is other.operation:
        return True
    if type(one.operation) is not type(other.operation) or _weights(one.operation) or _weights(other.operation):
        return False
    try:
        first, second = ({**call.operation.get_config(), "name": ""} for call in (one, other))
    except NotImplementedError:  # an operation that can't say what it does
        return False
    return repr(first) == repr(second)


def _weights(operation: Any) -> list[Any]:
    return list(operation.weights) if isinstance(operation, keras.Layer) else []


@dataclass(frozen=True)
class _Loop:
    calls: list[Call]
    carried: list[Carried]
    output: Value
    steps: int
    slices: dict[Value, StepSlice]


def _loop(graph: Graph, producers: dict[Value, Call], outputs: Sequence[Value]) -> _Loop | None:
    first, second, third = outputs[:3]
    slices = step_slices(graph)
    comparison = _Comparison(producers, slices)
    try:
        comparison.stand_in(first, second)
        handed_on = list(comparison.carried)
        for step, later in enumerate(outputs[2:], 2):
            again = _Comparison(producers, slices, (0, step))
            again.stand_in(first, later)
            if [one for one, _ in again.carried] != [one for one, _ in handed_on]:
                return None
            if later is third:
                followed = [other for _, other in again.carried]
        pairs = zip(handed_on, followed, strict=True)
        carried = [
            Carried(one, comparison.carried[one, other], comparison.stand_in(other, next_one))
            for (one, other), next_one in pairs
        ]
    except _NotPeriodicError:
        return None
    fed = {value: StepSlice(sequence, 0, keeps) for (sequence, keeps), value in comparison.fed.items()}
    given = {c.current for c in carried} | set(fed)
    changing = _dependent([rewritten for _, rewritten in comparison.calls.values()], graph, given)
    known = {value for call in changing for value in call.outputs} | given
    if not carried or len(comparison.carried) > len(handed_on) or first not in known:
        return None  # a loop carries something, and what it carries is made by its own step
    return _Loop(changing, carried, first, len(outputs), fed)


def _dependent(calls: Sequence[Call], graph: Graph, given: set[Value]) -> list[Call]:
    """Return the calls of the step that change with what is given to it, in program order; others are the encoder's."""
    order = {value: i for i, call in enumerate(graph.calls) for value in call.outputs}
    changing = set(given)
    kept = []
    for call in sorted(calls, key=lambda call: order[call.outputs[0]]):
        if changing.intersection(call.inputs):
            changing.update(call.outputs)
            kept.append(call)
    return kept


def _unrolled(graph: Graph, loop: _Loop, ending: tuple[Sequence[Call], Value], name: str | None) -> Unrolled:
    """Return the loop, with what follows the joint, `ending`, made part of the step."""
    after, decoded = ending
    replaced = {after[0].inputs[0]: loop.output} if after else {}
    last = [Call(c.operation, substitute(c.args, replaced), substitute(c.kwargs, replaced), c.outputs) for c in after]
    first = _sliced_input(graph, loop, name) if loop.slices else _first_input(graph, decoded, name)
    before = ancestors(graph.calls, [made.sequence for made in loop.slices.values()])
    changing = graph.dependents([first]) if loop.slices and first is not None else set()
    fed = [call for call in before if changing.intersection(call.outputs)]  # between what is fed and its slices
    calls = (*fed, *loop.calls, *last)
    made = {value for call in calls for value in call.outputs} | {state.current for state in loop.carried}
    made |= {*loop.slices, *([first] if loop.slices and first is not None else [])}
    needed = [value for call in calls for value in call.inputs if value not in made]
    needed += [state.first for state in loop.carried]
    needed += [state.following for state in loop.carried if state.following not in made]
    return Unrolled(
        decoder_input=first,
        encoder_calls=tuple(ancestors(graph.calls, needed)),
        calls=calls,
        carried=tuple(loop.carried),
        output=decoded if after else loop.output,
        decoded=decoded,
        steps=loop.steps,
        slices=loop.slices,
    )


def _sliced_input(graph: Graph, loop: _Loop, name: str | None) -> Value:
    """Return the model input whose steps the loop reads one by one."""
    sequences = [made.sequence for made in loop.slices.values()]
    read = {value for call in ancestors(graph.calls, sequences) for value in call.inputs} | set(sequences)
    inputs = [value for value in named_inputs(graph, name) if value in read]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none of the model's inputs"
        raise SplitError(
            f"each step of this unrolled model reads its own position of {', '.join(v.name for v in sequences)}, which "
            f"is made of {names}: expected one input, the target's; {option('decoder_input', 'NAME')} says which"
        )
    return inputs[0]


def _first_input(graph: Graph, decoded: Value, name: str | None) -> Value | None:
    """Return the model input that stands where later steps read what was fed back.

    It has one position, or is one row of symbols.
    """
    if name is not None:
        inputs = named_inputs(graph, name)
    else:
        row = (decoded.shape[-1],)
        inputs = [value for value in graph.inputs if len(value.shape) > 1 and (value.shape[1] == 1)]
        inputs = inputs or [value for value in graph.inputs if value.shape[1:] == row]
    if len(inputs) > 1:
        names = ", ".join(value.name for value in inputs)
        raise SplitError(
            f"the model was saved unrolled, and each of the inputs {names} could be what its first step reads; "
            f"say which with {option('decoder_input', 'NAME')}"
        )
    return inputs[0] if inputs else None
