"""Which part of a training graph is the encoder's and which runs once per target step.

Every tensor either depends on the decoder input or it doesn't. What doesn't is computed once per sentence; what does
is computed once per token. A reading of the graph is valid when nothing on the decoder's side looks at another target
position than its own, except through the states of forward recurrent layers and the last inputs of causal convolutions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import keras

from s2s_runtime.spelling import option, option_by_name, shown
from s2s_training.errors import SplitError, UnsaidError
from s2s_training.layers.cells import feeds_itself
from s2s_training.layers.conditioned_rnn import ConditionedRNN
from s2s_training.splitting.attention_layers import ATTENTION, attention_problems
from s2s_training.splitting.decoded_output import JOINT, decoded_output, output_name
from s2s_training.splitting.graph import Call, Graph, Value, ancestors, is_recurrent, reads_last_inputs, values_in
from s2s_training.splitting.source_inputs import is_vector, read_beside, sets_target_steps, that_look_elsewhere

NO_SOURCE: Final = "no_source"  # an input of this name that nothing reads: all is decoder, as in a language model

NO_ENCODER: Final = "everything depends on it, so there is no encoder"

_ACROSS_TIME = (
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.SeparableConv1D,
    keras.layers.DepthwiseConv1D,
    keras.layers.AveragePooling1D,
    keras.layers.MaxPooling1D,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.ZeroPadding1D,
    keras.layers.Cropping1D,
    keras.layers.UpSampling1D,
    keras.layers.Flatten,
)


@dataclass(frozen=True, eq=False)
class Partition:
    """One reading of the graph.

    Attributes:
        decoder_inputs: the model inputs that are read step by step, those with the target's tokens or values first;
            none where the decoder is fed nothing (a `RepeatVector` stands where its sequence begins).
        encoder_calls: what runs once per sentence, in program order.
        decoder_calls: what runs once per target step, in program order.
        decoder_values: every value that changes from step to step.
        output: the model output that is decoded.
        problems: why this reading can't be stepped, a sentence each; empty when it can.
        unclear: why another output may be meant, a sentence; empty where it can't.
    """

    decoder_inputs: tuple[Value, ...]
    encoder_calls: tuple[Call, ...]
    decoder_calls: tuple[Call, ...]
    decoder_values: frozenset[Value]
    output: Value
    problems: tuple[str, ...]
    unclear: str = ""

    @property
    def decoder_input(self) -> Value | None:
        """The first of the decoder's inputs; None where it has none."""
        return next(iter(self.decoder_inputs), None)

    @property
    def memory(self) -> list[Value]:
        """The encoder's values that the decoder's calls read, each once, initial states among them."""
        read = (value for call in self.decoder_calls for value in call.inputs)
        return list(dict.fromkeys(value for value in read if value not in self.decoder_values))


def partition(graph: Graph, decoder_input: str | None = None, fed: Sequence[Value] = ()) -> Partition:
    """Find the one valid reading of a graph.

    Args:
        graph: the whole training model.
        decoder_input: name of the input that gets target tokens or values, where the graph alone does not tell.
        fed: inputs that are known to be read step by step.

    Raises:
        SplitError: no reading is valid (the message names the layers that stand in the way), or several are; or
            several outputs could be the one that is decoded.
    """
    readings = fed_readings(graph, decoder_input, fed)
    if decoder_input is None and not fed:
        repeated = [_repeat_reading(graph, call) for call in _repeats(graph)]
        readings += [reading for reading in repeated if reading is not None]
    valid = [reading for reading in readings if not reading.problems]
    unsaid = {reading: read_beside(graph, reading.decoder_inputs) for reading in valid if reading.decoder_inputs}
    named = [reading for reading, beside in unsaid.items() if not beside]
    if unsaid and not named:
        raise SplitError(_what_is_unsaid(graph, *next(iter(unsaid.items()))))
    valid = [reading for reading in valid if not unsaid.get(reading)]
    if len(named) > 1:
        named = [r for r in named if not is_vector(graph, r.decoder_inputs[0])] or named
    if len(named) > 1:
        named = [r for r in named if sets_target_steps(graph, r.output, r.decoder_inputs)] or named
    if len(named) > 1:
        names = ", ".join(str(reading.decoder_inputs[0].name) for reading in named)
        raise SplitError(
            f"encoder and decoder can't be told apart: the inputs {names} could each be the decoder's; "
            f"say which with {option('decoder_input', 'NAME')}"
        )
    if valid:
        reading = (named or valid[-1:])[0]
        if reading.unclear:
            raise SplitError(reading.unclear)
        return reading
    raise SplitError(_why_not(graph, readings))


def fed_readings(graph: Graph, decoder_input: str | None = None, fed: Sequence[Value] = ()) -> list[Partition]:
    """Return the readings of a graph in which the decoder is fed something, those that can't be stepped too.

    Args:
        graph: as `partition`.
        decoder_input: likewise.
        fed: likewise.
    """
    first = [value for value in named_inputs(graph, decoder_input) if decoder_input is not None or value not in fed]
    chosen = [(value, *(other for other in fed if other is not value)) for value in first]
    chosen += [tuple(fed)] if decoder_input is None and fed else []
    return [reading for reading in (_reading(graph, inputs) for inputs in chosen) if reading is not None]


def named_inputs(graph: Graph, name: str | None) -> list[Value]:
    """Return the model inputs of that name; all of them where no name is given.

    Raises:
        SplitError: there is none of that name.
    """
    if name is None:
        return list(graph.inputs)
    chosen = [value for value in graph.inputs if value.name == name]
    if not chosen:
        known = ", ".join(value.name for value in graph.inputs)
        raise UnsaidError(
            f"{option('decoder_input')}: no input is called {shown(name)}; the model's inputs are {known}"
        )
    return chosen


def no_source(graph: Graph) -> Value | None:
    """Return the input of a graph that stands for a source where there is none (`NO_SOURCE`); None for all others."""
    read = {value for call in graph.calls for value in call.inputs}
    return next((value for value in graph.inputs if value.name == NO_SOURCE and value not in read), None)


def _repeats(graph: Graph) -> list[Call]:
    return [call for call in graph.calls if isinstance(call.operation, keras.layers.RepeatVector)]


def _reading(graph: Graph, decoder_inputs: tuple[Value, ...]) -> Partition | None:
    """Return the reading in which some inputs are the decoder's; None when nothing decoded depends on them."""
    values = graph.dependents(decoder_inputs)
    values |= graph.dependents(_broadcast_over_steps(graph, values))
    return _build(graph, decoder_inputs, values)


def _what_is_unsaid(graph: Graph, reading: Partition, beside: Sequence[Value]) -> str:
    """Return one sentence on inputs that are read step by step, of which nobody said what they are fed."""
    names = " and ".join(repr(value.name) for value in beside)
    feeds = option_by_name("feed", {value.name: "known" for value in beside})
    stepwise = [value for value in graph.outputs if value in reading.decoder_values and len(value.shape) == 3]
    others = [output_name(graph, value) for value in stepwise if value is not reading.output]
    joined = JOINT.join([output_name(graph, reading.output), *others])
    several = (
        f"; where it is what the output {' or '.join(map(repr, others))} gave a step before, the model writes several "
        f"tokens a step: give {option('decoder_output', joined)}, and one token stands for all of them"
    )
    return (
        f"the decoder reads {names} step by step beside {reading.decoder_inputs[0].name!r}, and the model doesn't show "
        f"what is fed there: give {feeds} for what is known in advance, or zeros or constant in place of known"
        + (several if others else "")
    )


def _repeat_reading(graph: Graph, repeat: Call) -> Partition | None:
    """Return the reading in which the decoder begins at a `RepeatVector` and is fed nothing but its context."""
    return _build(graph, (), graph.dependents(repeat.outputs))


def _broadcast_over_steps(graph: Graph, decoder_values: set[Value]) -> list[Value]:
    """Return the outputs of those `RepeatVector` calls that copy a context to every *decoder* step.

    They don't depend on the decoder input, but their time axis is the decoder's, so they belong to the step: there
    the copy is made once. A repeated vector that a recurrent layer of the encoder reads is the encoder's own.
    """
    copies: list[Value] = []
    for repeat in _repeats(graph):
        reached = graph.dependents(repeat.outputs)
        encoder_readers = [
            call
            for call in graph.calls
            if is_recurrent(call.operation)
            and not decoder_values.intersection(call.outputs)
            and reached.intersection(call.inputs)
        ]
        if not decoder_values.intersection(repeat.outputs) and decoder_values & reached and not encoder_readers:
            copies.extend(repeat.outputs)
    return copies


def _build(graph: Graph, decoder_inputs: tuple[Value, ...], values: set[Value]) -> Partition | None:
    output, unclear = decoded_output(graph, next(iter(decoder_inputs), None), values)
    if output is None:
        return None
    needed = ancestors(graph.calls, [output])
    decoder_calls = tuple(call for call in needed if values.intersection(call.outputs))
    encoder_calls = tuple(call for call in needed if not values.intersection(call.outputs))
    problems = [problem for call in decoder_calls for problem in _problems(call, decoder_calls, values, output)]
    elsewhere = set() if problems else that_look_elsewhere(graph, decoder_calls, decoder_inputs)
    problems += [
        f"layer {call.name} gives something else for one target step than among all: it reads others, or counts them"
        for call in elsewhere
    ]
    if not any(is_recurrent(call.operation) or reads_last_inputs(call.operation) for call in decoder_calls):
        problems.append("no recurrent layer depends on it, so there is no state to carry from step to step")
    if not encoder_calls and no_source(graph) is None:
        problems.append(NO_ENCODER)
    return Partition(decoder_inputs, encoder_calls, decoder_calls, frozenset(values), output, tuple(problems), unclear)


def _problems(call: Call, calls: Iterable[Call], values: set[Value], output: Value) -> list[str]:
    """Return why one call on the decoder's side can't be made one step at a time, a sentence for each reason."""
    if is_recurrent(call.operation):
        return _recurrent_problems(call, calls, values, output)
    if isinstance(call.operation, ATTENTION):
        return attention_problems(call, values)
    if isinstance(call.operation, _ACROSS_TIME) and not reads_last_inputs(call.operation):
        return [f"layer {call.name} reads other target positions than its own"]
    return []


def _recurrent_problems(call: Call, calls: Iterable[Call], values: set[Value], output: Value) -> list[str]:
    layer, arguments = call.operation, call.arguments()
    if isinstance(layer, keras.layers.Bidirectional):
        return [f"layer {call.name} reads the target from both ends, so later tokens would be needed first"]
    problems = []
    if layer.go_backwards:
        problems.append(f"layer {call.name} has go_backwards=True: it reads the target from its end")
    if not layer.return_sequences:
        problems.append(f"layer {call.name} has return_sequences=False: it gives one vector for the whole target")
    if values.intersection(values_in(arguments.get("initial_state"))):
        problems.append(f"layer {call.name} starts from a state that itself depends on the target")
    states = set(call.outputs[1:])
    if any(states.intersection(other.inputs) for other in calls) or output in states:
        problems.append(f"the final state of layer {call.name} is read: it is known only when the target has ended")
    return problems


def _why_not(graph: Graph, readings: list[Partition]) -> str:
    """Return one sentence for a graph without a valid reading, built on the reading that is likeliest meant."""
    if not readings:
        return (
            "no decoder found: no model input and no RepeatVector leads to the output through a recurrent layer; "
            "an encoder-decoder has an input for target tokens, or repeats a context vector over the target's length"
        )
    vectors = {
        reading for reading in readings if reading.decoder_inputs and is_vector(graph, reading.decoder_inputs[0])
    }
    likeliest = min(
        readings,
        key=lambda reading: (reading in vectors, not _is_started_by_states(reading), len(reading.problems)),
    )
    if likeliest.unclear:
        return likeliest.unclear
    start = likeliest.decoder_input.name if likeliest.decoder_input is not None else "a RepeatVector"
    return (
        f"the decoder (taken to begin at {start!r}) can't be run one step at a time: "
        + "; ".join(likeliest.problems)
        + ". Only decoders made of forward recurrent layers and per-step layers can be split"
        + (f" ({option('decoder_input', 'NAME')} chooses another input)" if len(graph.inputs) > 1 else "")
    )


def _is_started_by_states(reading: Partition) -> bool:
    """Return whether some decoder layer starts from a state that the encoder made.

    This is the surest sign of a decoder.
    """
    return any(
        is_recurrent(call.operation)
        and values_in(call.arguments().get("initial_state"))
        and not reading.decoder_values.intersection(values_in(call.arguments().get("initial_state")))
        for call in reading.decoder_calls
    )


def feeds_on_itself(reading: Partition) -> bool:
    """Return whether the decoder takes from its input no more than how many steps there are."""
    first = [call for call in reading.decoder_calls if isinstance(call.operation, ConditionedRNN)][:1]
    return any(feeds_itself(call.operation.cell) and reading.decoder_input in call.inputs for call in first)
