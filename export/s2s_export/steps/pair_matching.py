"""Which output of an encoder model starts which input of a decoder model, and which of its outputs comes back to it.

Scripts that follow the tutorials keep two inference models: an encoder, and a decoder that takes one token with the
states and gives the next distribution with the next states. Which tensor goes where stands in the script's loop alone;
here shapes, the order in both models and the place that a tensor has in a recurrent layer's states have to agree on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import keras

from s2s_runtime.spelling import option, option_by_name
from s2s_training.errors import SplitError
from s2s_training.splitting.decoded_output import output_name, widths_read
from s2s_training.splitting.graph import Call, Graph, Value, is_recurrent
from s2s_training.splitting.source_inputs import holds_ids
from s2s_training.splitting.step import initial_states

ZEROS: Final = "zeros"
CONSTANT: Final = "constant"
_MANY: Final = 3  # readings, of which a message shows no more


@dataclass(frozen=True)
class Handed:
    """What a decoder input other than the token gets.

    Attributes:
        value: the input.
        first: the number of the encoder output that it gets at the first step; None where it starts from zeros.
        following: the number of the decoder output that it gets at the next; None where it stays as it is.
    """

    value: Value
    first: int | None
    following: int | None

    def __str__(self) -> str:
        first = ZEROS if self.first is None else self.first
        return f"{self.value.name}={first}:{CONSTANT if self.following is None else self.following}"


@dataclass(frozen=True)
class Matched:
    """How a pair of models fits together.

    Attributes:
        fed: the decoder input that gets the token, or values.
        decoded: the number of the decoder output that is decoded.
        handed: what every other input gets, in their order.
    """

    fed: Value
    decoded: int
    handed: tuple[Handed, ...]


def match(
    encoder: Graph,
    decoder: Graph,
    *,
    decoder_input: str | None = None,
    decoder_output: str | None = None,
    states: Mapping[str, str] | None = None,
) -> Matched:
    """Find the one way in which a pair of models fits together.

    Args:
        encoder: from the sources to states and memory.
        decoder: from what is fed, states and memory to the output of a step and the next states.
        decoder_input: name of the decoder input that gets the token.
        decoder_output: name of the layer whose output is decoded.
        states: by name of a decoder input, `FIRST:NEXT`, the numbers of the encoder output and of the decoder output
            that it gets, counted from 0; "zeros" and "constant" stand for none.

    Raises:
        SplitError: there is no way, or there are several; the message shows them and the option that settles it.
    """
    given = {name: _read(name, said, encoder, decoder) for name, said in (states or {}).items()}
    names = [value.name for value in decoder.inputs]
    for name in given:
        if name not in names:
            raise SplitError(f"{option('state')}: the decoder has no input {name!r}; its inputs are {', '.join(names)}")
    fed = _fed(encoder, decoder, decoder_input, given)
    following = _following(decoder, [value for value in decoder.inputs if value is not fed], given)
    following = {value: following[value] for value in decoder.inputs if value is not fed}
    returned = set(following.values())
    decoded = _decoded(decoder, fed, decoder_output, {number for number in returned if number is not None})
    firsts = _first(encoder, decoder, following, given)
    handed = (Handed(value, firsts[value], following[value]) for value in decoder.inputs if value is not fed)
    return Matched(fed, decoded, tuple(handed))


def _read(name: str, said: str, encoder: Graph, decoder: Graph) -> tuple[int | None, int | None]:
    first, _, following = said.partition(":")
    numbers: list[int | None] = []
    for text, none, graph, what in ((first, ZEROS, encoder, "encoder"), (following, CONSTANT, decoder, "decoder")):
        if text != none and not (text.isdecimal() and int(text) < len(graph.outputs)):
            raise SplitError(
                f"{option('state')}: expected {option_by_name('state', {name: 'FIRST:NEXT'})}, the number of an "
                f"encoder output (or zeros) and that of a decoder output (or constant), from 0; got {said!r}, and "
                f"the {what}'s outputs are "
                f"{_listed(graph)}"
            )
        numbers.append(None if text == none else int(text))
    return numbers[0], numbers[1]


def _listed(graph: Graph) -> str:
    return ", ".join(f"{i} {output_name(graph, value)!r} {_shape(value)}" for i, value in enumerate(graph.outputs))


def _shape(value: Value) -> str:
    return f"({', '.join('-' if size is None else str(size) for size in value.shape)})"


def _fits(one: Value, other: Value) -> bool:
    """Return whether two tensors can have the same shape, batch and free axes aside."""
    pairs = zip(one.shape[1:], other.shape[1:], strict=False)
    alike = all(a is None or b is None or a == b for a, b in pairs)
    return len(one.shape) == len(other.shape) and alike and _is_float(one) == _is_float(other)


def _is_float(value: Value) -> bool:
    return value.dtype.startswith(("float", "bfloat"))


def _fed(encoder: Graph, decoder: Graph, name: str | None, given: Mapping[str, object]) -> Value:
    """Return the decoder input that gets what was decoded before: ids, else what no encoder output can be."""
    inputs = [value for value in decoder.inputs if value.name not in given]
    if name is not None:
        chosen = [value for value in inputs if value.name == name]
        if not chosen:
            raise SplitError(
                f"{option('decoder_input')}: the decoder has no input {name!r} that gets a token; its inputs are "
                f"{', '.join(value.name for value in decoder.inputs)}"
            )
        return chosen[0]
    states = {state for call in decoder.calls for state in _initial(call)}
    open_inputs = [value for value in inputs if value not in states]
    ids = [value for value in open_inputs if holds_ids(decoder, value)]
    steps = [value for value in open_inputs if len(value.shape) == 3 and value.shape[1] in (None, 1)]
    widths = {value.shape[-1] for value in decoder.outputs}
    one_hot = [value for value in steps if value.shape[-1] in widths]
    alone = [value for value in open_inputs if not any(_fits(value, made) for made in encoder.outputs)]
    for tier in (ids, [value for value in one_hot if value in alone], alone, one_hot, open_inputs):
        if len(tier) == 1:
            return tier[0]
    listed = ", ".join(f"{value.name} {_shape(value)}" for value in decoder.inputs)
    raise SplitError(
        f"which of the decoder's inputs gets the token can't be told: {listed}; say which with "
        f"{option('decoder_input', 'NAME')}"
    )


def _initial(call: Call) -> list[Value]:
    return (initial_states(call) or []) if isinstance(call.operation, keras.layers.RNN) else []


def _following(
    decoder: Graph, inputs: Sequence[Value], given: Mapping[str, tuple[int | None, int | None]]
) -> dict[Value, int | None]:
    """Return the decoder output that each input gets at the next step; None for what stays as it is.

    A state that a recurrent layer starts from is followed by the one that the layer ends with. What other layers make
    of an input is followed by the output of its shape, where there is one of each.
    """
    places = {value: i for i, value in enumerate(decoder.outputs)}
    known: dict[Value, int | None] = {value: given[value.name][1] for value in inputs if value.name in given}
    for call in decoder.calls:
        for state, made in zip(_initial(call), call.outputs[1:], strict=False):
            if state in inputs and state not in known and made in places:
                known[state] = places[made]
    _refuse_crossed(inputs, known, given)
    untold = [value for value in inputs if value not in known]
    free = [i for i in range(len(decoder.outputs)) if i not in known.values()]
    for value in untold:
        fitting = [i for i in free if _fits(value, decoder.outputs[i]) and len(value.shape) == 2]
        alike = [other for other in untold if _fits(value, other)]
        if fitting and len(fitting) != len(alike):
            raise SplitError(
                f"what the decoder's inputs {', '.join(repr(other.name) for other in alike)} get at the next step "
                f"can't be told: its outputs are {_listed(decoder)}; say it with "
                f"{option_by_name('state', {'NAME': 'FIRST:NEXT'})}, the numbers of the encoder's and of the decoder's "
                "output that an input gets (constant: it stays as it is)"
            )
        known[value] = fitting[alike.index(value)] if fitting else None
    return known


def _refuse_crossed(inputs: Sequence[Value], known: Mapping[Value, int | None], given: Mapping[str, object]) -> None:
    """Refuse states that come out in another order than they go in: a loop may hand them on either way."""
    for i, value in enumerate(inputs):
        for other in inputs[i + 1 :]:
            one, two = known.get(value), known.get(other)
            told = value.name in given or other.name in given
            if one is not None and two is not None and one > two and _fits(value, other) and not told:
                raise SplitError(
                    f"the decoder takes the states {value.name!r}, {other.name!r} and gives them back in the opposite "
                    f"order: by the layer they belong to, outputs {one} and {two}, by the order of both, {two} and "
                    f"{one}; say what your loop does with "
                    f"{option_by_name('state', {value.name: f'N:{one}', other.name: f'N:{two}'})} or "
                    f"{option_by_name('state', {value.name: f'N:{two}', other.name: f'N:{one}'})}, N being the number "
                    "of the encoder's output that it starts from"
                )


def _decoded(decoder: Graph, fed: Value, name: str | None, returned: set[int]) -> int:
    """Return the number of the output that is decoded: it is none of the next states."""
    left = [i for i in range(len(decoder.outputs)) if i not in returned]
    if name is not None:
        left = [i for i in left if output_name(decoder, decoder.outputs[i]) == name]
    if not left:
        asked = f" called {name!r}" if name is not None else ""
        raise SplitError(
            f"none of the decoder's outputs{asked} is left to be decoded, beside those that are its next states: "
            f"{_listed(decoder)}"
        )
    if len(left) == 1:
        return left[0]
    widths = widths_read(decoder, fed)
    for fitting in (
        [i for i in left if decoder.outputs[i].shape[-1] in widths],
        [i for i in left if _is_row(decoder.outputs[i])],
    ):
        if len(fitting) == 1:
            return fitting[0]
    raise SplitError(
        f"which of the decoder's outputs is decoded can't be told: {_listed(decoder)}; say which with "
        f"{option('decoder_output', 'NAME')}"
    )


def _is_row(value: Value) -> bool:
    """Return whether an output is one row a step: not weights over the source, nor a tensor of its own length."""
    steps = value.shape[1:-1]
    return value.shape[-1] not in (None, 1) and (not steps or steps in ((None,), (1,)))


def _first(
    encoder: Graph,
    decoder: Graph,
    following: Mapping[Value, int | None],
    given: Mapping[str, tuple[int | None, int | None]],
) -> dict[Value, int | None]:
    """Return the encoder output that each input starts from; `following` is what it gets at the next step."""
    inputs = list(following)
    known = {value: given[value.name][0] for value in inputs if value.name in given}
    asked = [value for value in inputs if value not in known]
    roles = _roles(decoder), _roles(encoder)
    free = [i for i in range(len(encoder.outputs)) if i not in known.values()]
    ordered = list(_readings(encoder, asked, free, roles, ordered=True))
    readings = ordered or list(_readings(encoder, asked, free, roles, ordered=False))
    if len(readings) == 1 and ordered:
        return known | readings[0]
    listed = f"the encoder gives {_listed(encoder)}; the decoder takes " + ", ".join(
        f"{value.name!r} {_shape(value)}" for value in inputs
    )
    if not readings:
        raise SplitError(
            f"the encoder's outputs don't start every input of the decoder: {listed}; where one starts from zeros, "
            f"say so with {option_by_name('state', {'NAME': 'zeros:NEXT'})}, NEXT being the number of the "
            f"decoder output that it gets at the next step (its outputs are {_listed(decoder)}); give "
            "the other inputs likewise"
        )
    lines = (
        option_by_name(
            "state",
            {
                value.name: f"{ZEROS if number is None else number}:"
                f"{CONSTANT if following[value] is None else following[value]}"
                for value, number in (known | reading).items()
            },
        )
        for reading in readings[:_MANY]
    )
    order = "" if ordered else ", though not in the order of both models"
    raise SplitError(
        f"which of the encoder's outputs starts which input of the decoder can't be told: {listed}; what your loop "
        f"does may be{order}: {'; or '.join(lines)}"
    )


def _roles(graph: Graph) -> dict[Value, int]:
    """Return the place that a tensor has among the states of a recurrent layer, where it has one.

    What is made of such tensors of one place alone, such as both directions' joined, has their place. A layer's last
    output is another name of its first state.
    """
    roles: dict[Value, int] = {}
    for call in graph.calls:
        if isinstance(call.operation, keras.layers.RNN):
            roles |= {state: i for i, state in enumerate(call.outputs[1:])}
        elif isinstance(call.operation, keras.layers.Bidirectional):
            states = call.outputs[2 if call.operation.merge_mode is None else 1 :]  # both directions', one by one
            roles |= {state: i % (len(states) // 2) for i, state in enumerate(states)}
        else:
            above = {roles.get(value) for value in call.inputs}
            if len(above) == 1 and (role := above.pop()) is not None:
                roles |= dict.fromkeys(call.outputs, role)
    for call in graph.calls:
        roles |= {state: i for i, state in enumerate(_initial(call)) if state in graph.inputs}
    return roles


def _readings(
    encoder: Graph,
    inputs: Sequence[Value],
    free: Sequence[int],
    roles: tuple[Mapping[Value, int], Mapping[Value, int]],
    *,
    ordered: bool,
) -> Iterator[dict[Value, int | None]]:
    """Yield the ways to start each input from an encoder output of its shape and place among a layer's states.

    In order: of two inputs of one shape, the first gets the first output. Outputs that are the same tensor count once.
    """
    same, seen = _same_tensors(encoder), set()

    def place(left: Sequence[Value], taken: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if not left:
            yield taken
            return
        value = left[0]
        for i in free:
            made = encoder.outputs[i]
            wanted, has = roles[0].get(value), roles[1].get(made)
            agree = wanted is None or has is None or wanted == has
            after = not ordered or all(j < i for other, j in zip(inputs, taken, strict=False) if _fits(other, value))
            if i not in taken and _fits(value, made) and agree and after:
                yield from place(left[1:], (*taken, i))

    for numbers in place(inputs, ()):
        key = tuple(same[encoder.outputs[i]] for i in numbers)
        if key not in seen:
            seen.add(key)
            yield dict(zip(inputs, numbers, strict=True))


def _same_tensors(encoder: Graph) -> dict[Value, Value]:
    """Return for each output the tensor it is: a layer's last output is its first state."""
    same = {value: value for value in encoder.outputs}
    for call in encoder.calls:
        plain = isinstance(call.operation, keras.layers.LSTM | keras.layers.GRU | keras.layers.SimpleRNN)
        if plain and not call.operation.return_sequences and len(call.outputs) > 1:
            same[call.outputs[0]] = call.outputs[1]
    return same


def inputs_that_change(matched: Matched) -> list[Handed]:
    """Return the inputs that are states, in their order."""
    return [handed for handed in matched.handed if handed.following is not None]


def memory_inputs(matched: Matched) -> list[Handed]:
    """Return the inputs that stay as they are, in their order."""
    return [handed for handed in matched.handed if handed.following is None]


def half_of_a_pair(graph: Graph) -> str | None:
    """Return which half of a pair a model looks to be, "encoder" or "decoder"; None where it looks to be none.

    A decoder is given the states of a recurrent layer and gives those that the layer ends with; what an encoder gives
    is nothing but what recurrent layers end with, states among it.
    """
    recurrent = [call for call in graph.calls if isinstance(call.operation, keras.layers.RNN)]
    outputs = set(graph.outputs)
    if any(set(_initial(call)) & set(graph.inputs) and outputs & set(call.outputs[1:]) for call in recurrent):
        return "decoder"
    roles = _roles(graph)
    made = {value for call in graph.calls if is_recurrent(call.operation) for value in call.outputs}
    return "encoder" if any(value in roles for value in outputs) and outputs <= made | set(roles) else None
