"""Rolls up models that were saved unrolled: the same layers called once per target step, outputs joined in time.

Models trained without teacher forcing feed their own output distribution back, which a notebook writes as a Python
loop. Its graph holds every step's calls. Comparing the calls behind the first step's output with those behind the
second's tells what a step is: where both read the same value it is constant; where the same layer made both the
comparison goes on above it; where they differ, the first step's value starts what the loop carries from step to step,
and the second step's is what the first step hands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import tree

from s2s_runtime.spelling import option
from s2s_training.errors import SplitError
from s2s_training.splitting.graph import Call, Graph, Value, ancestors, is_recurrent, substitute, values_in
from s2s_training.splitting.partition import named_inputs

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
    """An unrolled model's loop.

    Attributes:
        decoder_input: the model input that the first step reads as if it had been fed back; None where there is none.
        encoder_calls: what the first values of the loop and the constants it reads need, in program order.
        calls: one step, in program order.
        carried: what goes from step to step.
        output: what a step gives.
        decoded: the model output that joins all steps.
        steps: how many there are.
    """

    decoder_input: Value | None
    encoder_calls: tuple[Call, ...]
    calls: tuple[Call, ...]
    carried: tuple[Carried, ...]
    output: Value
    decoded: Value
    steps: int

    @property
    def values(self) -> frozenset[Value]:
        """Every value that changes from step to step."""
        return frozenset(value for call in self.calls for value in call.outputs) | {c.current for c in self.carried}


def roll_up(graph: Graph, decoder_input: str | None = None) -> Unrolled | None:
    """Finds the loop of an unrolled model; None where there is none.

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
    """What keeps a model from being read as unrolled that looks like one; None where it doesn't look so.

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
                _Comparison(producers).stand_in(*joined[0][:2])
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
    """The outputs of all steps that a value joins, and the calls between the joint and the value."""
    after: list[Call] = []
    while (call := producers.get(value)) is not None:
        values = list(call.inputs)
        if len(values) >= _FEWEST_STEPS and len(set(values)) == len(values):
            made_by = [producers.get(each) for each in values]
            return (values, after[::-1]) if all(each is not None for each in made_by) else None
        if len(values) != 1:
            return None
        after.append(call)
        value = values[0]
    return None


class _NotPeriodicError(Exception):
    """Two steps differ in more than what they read; the call at which they do."""

    def __init__(self, call: Call) -> None:
        super().__init__(call.name)


@dataclass
class _Comparison:
    """Walks up from a pair of values of two steps.

    Attributes:
        carried: stand-ins of what the earlier step of each such pair reads, in order of discovery.
        calls: the earlier step's calls, rewritten to read the stand-ins.
    """

    producers: dict[Value, Call]
    carried: dict[tuple[Value, Value], Value] = field(default_factory=dict)
    calls: dict[Call, tuple[Call, Call]] = field(default_factory=dict)

    def stand_in(self, one: Value, other: Value) -> Value:
        """What stands for `one` in the step, given that the next step reads `other` there."""
        if one is other or (one, other) in self.carried:
            return self.carried.get((one, other), one)
        above, beside = self.producers.get(one), self.producers.get(other)
        if above is None or beside is None or not _same_operation(above, beside):
            self.carried[one, other] = Value(one.name, one.shape, one.dtype)
            return self.carried[one, other]
        if above.outputs.index(one) != beside.outputs.index(other):
            raise _NotPeriodicError(above)
        before = dict(self.carried), dict(self.calls)
        try:
            self._compare(above, beside)
        except _NotPeriodicError:
            if above in before[1] or not is_recurrent(above.operation):
                raise
            # The encoder's call of a layer that the decoder shares: there the loop starts.
            self.carried, self.calls = before
            self.carried[one, other] = Value(one.name, one.shape, one.dtype)
            return self.carried[one, other]
        return one

    def _compare(self, above: Call, beside: Call) -> None:
        if above in self.calls:
            if self.calls[above][0] is not beside:
                raise _NotPeriodicError(above)
            return
        ours, theirs = tree.flatten((above.args, above.kwargs)), tree.flatten((beside.args, beside.kwargs))
        if len(ours) != len(theirs):
            raise _NotPeriodicError(above)
        self.calls[above] = (beside, above)
        filled = [self._argument(above, one, other) for one, other in zip(ours, theirs, strict=True)]
        args, kwargs = tree.pack_sequence_as((above.args, above.kwargs), filled)
        self.calls[above] = (beside, Call(above.operation, args, kwargs, above.outputs))

    def _argument(self, call: Call, one: Any, other: Any) -> Any:
        if isinstance(one, Value) and isinstance(other, Value):
            return self.stand_in(one, other)
        if type(one) is not type(other) or repr(one) != repr(other):
            raise _NotPeriodicError(call)
        return one


def _same_operation(one: Call, other: Call) -> bool:
    """Whether two calls are of one layer, or of operations without weights that do the same."""
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


def _loop(graph: Graph, producers: dict[Value, Call], outputs: Sequence[Value]) -> _Loop | None:
    first, second, third = outputs[:3]
    comparison = _Comparison(producers)
    try:
        comparison.stand_in(first, second)
        handed_on = list(comparison.carried)
        for later in outputs[2:]:
            again = _Comparison(producers)
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
    changing = _dependent([rewritten for _, rewritten in comparison.calls.values()], graph, carried)
    known = {value for call in changing for value in call.outputs} | {c.current for c in carried}
    if not carried or len(comparison.carried) > len(handed_on) or first not in known:
        return None  # a loop carries something, and what it carries is made by its own step
    return _Loop(changing, carried, first, len(outputs))


def _dependent(calls: Sequence[Call], graph: Graph, carried: Sequence[Carried]) -> list[Call]:
    """Those calls of the step that change from step to step, in program order; the others are the encoder's."""
    order = {value: i for i, call in enumerate(graph.calls) for value in call.outputs}
    changing = {each.current for each in carried}
    kept = []
    for call in sorted(calls, key=lambda call: order[call.outputs[0]]):
        if changing.intersection(call.inputs):
            changing.update(call.outputs)
            kept.append(call)
    return kept


def _unrolled(graph: Graph, loop: _Loop, ending: tuple[Sequence[Call], Value], name: str | None) -> Unrolled:
    """The loop with what follows the joint, `ending`, made part of the step."""
    after, decoded = ending
    replaced = {after[0].inputs[0]: loop.output} if after else {}
    last = [Call(c.operation, substitute(c.args, replaced), substitute(c.kwargs, replaced), c.outputs) for c in after]
    calls = (*loop.calls, *last)
    made = {value for call in calls for value in call.outputs} | {each.current for each in loop.carried}
    needed = [value for call in calls for value in call.inputs if value not in made]
    needed += [each.first for each in loop.carried]
    needed += [each.following for each in loop.carried if each.following not in made]
    return Unrolled(
        decoder_input=_first_input(graph, decoded, name),
        encoder_calls=tuple(ancestors(graph.calls, needed)),
        calls=calls,
        carried=tuple(loop.carried),
        output=decoded if after else loop.output,
        decoded=decoded,
        steps=loop.steps,
    )


def _first_input(graph: Graph, decoded: Value, name: str | None) -> Value | None:
    """The model input that stands where later steps read what was fed back: one position, or one row of symbols."""
    if name is not None:
        found = named_inputs(graph, name)
    else:
        row = (decoded.shape[-1],)
        found = [value for value in graph.inputs if len(value.shape) > 1 and (value.shape[1] == 1)]
        found = found or [value for value in graph.inputs if value.shape[1:] == row]
    if len(found) > 1:
        names = ", ".join(value.name for value in found)
        raise SplitError(
            f"the model was saved unrolled, and each of the inputs {names} could be what its first step reads; "
            f"say which with {option('decoder_input', 'NAME')}"
        )
    return found[0] if found else None


def memory_values(unrolled: Unrolled) -> list[Value]:
    """Values that the step reads but nothing in it changes, each once, in order of first use."""
    changing = unrolled.values
    found: dict[Value, None] = {}
    for call in unrolled.calls:
        for value in values_in((call.args, call.kwargs)):
            if value not in changing:
                found.setdefault(value)
    return list(found)
