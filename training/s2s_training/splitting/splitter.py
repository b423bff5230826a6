"""Splits a training model into an encoder and a single-step decoder.

`split` takes any encoder-decoder of recurrent layers, whatever its layers are called and however they are wired, and
returns two Keras models that share its weights:

    encoder: source input(s)                     -> state.0 ... , memory.0 ...
    decoder: token | value, state.*, memory.*    -> output, next_state.* , attention

Tensors that cross from one to the other are of two kinds. Those that start a recurrent layer of the decoder are its
*states*: they change at every step. All others are *memory*: constant through the target, such as encoder outputs,
their mask, or a context vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import keras

from s2s_runtime.bundle.specs import Kind
from s2s_runtime.spelling import option
from s2s_training.errors import SplitError
from s2s_training.given import INTEGER, NONE, TEXT, TEXTS_BY_NAME, an, check_given, one_of
from s2s_training.layers.conditioned_rnn import ConditionedRNN
from s2s_training.splitting.assemble import (
    Assembled,
    Crossing,
    assemble,
    first_states,
    memory_values,
    run_step,
    with_lengths,
)
from s2s_training.splitting.feeding import FedInput, Feed, StepFeeder, read_feeds
from s2s_training.splitting.graph import (
    Call,
    Graph,
    Value,
    carries_window,
    distinct_names,
    flatten_model,
    reserve_names,
)
from s2s_training.splitting.partition import Partition, feeds_on_itself, no_source, partition
from s2s_training.splitting.prefix_step import Prefix, empty_prefixes, find_prefix, run_prefix
from s2s_training.splitting.source_inputs import aligned_with_first, holds_ids, is_vector, order_sources
from s2s_training.splitting.split_unrolled import split_unrolled, with_first_states
from s2s_training.splitting.step import EmptyWindow
from s2s_training.splitting.stepped_model import SteppedModel
from s2s_training.splitting.unrolled import Unrolled, roll_up, why_not_rolled_up

MODEL: Final = an(keras.Model, "a keras.Model")
"""What `split`, and whatever exports, takes as a model."""

Fed = Literal["token", "value", "none", "probabilities"]


@dataclass(frozen=True)
class SplitModel:
    """A training model taken apart.

    Attributes:
        encoder: from the source input(s), the one with the text first, to the states, then the memory.
        decoder: from what is fed (when something is), the states and the memory to the output of one step
            (batch, features), the next states in the same order, and attention weights (batch, source time) if
            `attention`.
        fed: what the decoder input takes: integer ids (batch,), vectors (batch, features), or nothing: either the
            decoder reads its states and memory alone ("none"), or its own last output is one of its states
            ("probabilities", models that were saved unrolled or run freely).
        state_count: how many states there are.
        memory_count: how many memories there are, masks among them.
        attention: whether the decoder's last output holds attention weights: those of attention layers, of softmaxes
            over the source, and of custom layers that return them. With several they are the mean of all, with
            several heads the mean over heads.
        source_indices: which of the training model's inputs are the source's, in the order of the encoder's inputs.
        sources: those inputs as values of its graph.
        vectors: which of them hold one vector, or array of fixed shape, for a sentence, without a time axis.
        aligned: which of them have as many steps as the first, itself among them.
        target_index: which is the decoder's; None where nothing is fed back.
        fed_inputs: those that are read step by step, with what each is given; empty for models that feed themselves.
        known: which of the sources hold what the decoder reads step by step, known in advance; they come last.
        output_index: which of the training model's outputs is decoded.
        steps: how many target steps the model was unrolled to; None where it was not.
        reading: which call of the training model went where.
        prefix: most steps that a decoder can take that is run on its whole prefix at every step; None for all others.
        kind: what the model is, by the manifest's word; "encoder-decoder" for all that `split` returns.
    """

    encoder: keras.Model
    decoder: keras.Model
    fed: Fed
    state_count: int
    memory_count: int
    attention: bool
    source_indices: tuple[int, ...]
    sources: tuple[Value, ...]
    vectors: tuple[bool, ...]
    aligned: tuple[bool, ...]
    target_index: int | None
    fed_inputs: tuple[FedInput, ...]
    known: tuple[bool, ...]
    output_index: int
    steps: int | None
    reading: Partition
    prefix: int | None = None
    kind: Kind = "encoder-decoder"

    @property
    def one_graph(self) -> bool:
        """Whether the whole model is one graph, to which nothing is fed back."""
        return self.kind in ("one-pass", "ctc")

    @property
    def models(self) -> tuple[keras.Model, ...]:
        """The Keras models that do the work: encoder and decoder, or the one of a model of one pass."""
        return (self.encoder,) if self.one_graph else (self.encoder, self.decoder)


def split(
    model: keras.Model,
    *,
    decoder_input: str | None = None,
    start: int | Literal["zeros"] | None = None,
    source_input: str | None = None,
    feeds: Mapping[str, str] | None = None,
    longest: int | None = None,
) -> SplitModel:
    """Split an encoder-decoder by what depends on the decoder input.

    Args:
        model: a Functional (or Sequential) model from the source and, unless its decoder repeats a context vector,
            the target fed in, to one output per target step; or one that was saved unrolled, with the same layers
            called once per step on their own output or on slices of the target; or one of models or functions that are
            a step already
            (`stepped_model`), which is taken apart as it was put together.
        decoder_input: name of the input that gets the target, for graphs with two readings.
        start: the token that an unrolled model's first step reads, or "zeros" for a row of zeros; needed for those
            only.
        source_input: name of the source input that comes first, where there are several; by default the first that
            holds ids.
        feeds: what inputs that are read step by step are given, by their names: "previous" (the output before, the
            default), "known" (in advance), "zeros", "constant" (the start token), or several such parts joined as
            `Feed.read` takes them.
        longest: most steps of the target; needed for decoders that are run on their whole prefix at every step.

    Raises:
        SplitError: the model has no graph, no valid reading or several, or a layer refuses a single step.
    """
    check_given(
        SplitError,
        model=(model, MODEL),
        decoder_input=(decoder_input, TEXT | NONE),
        start=(start, INTEGER | NONE | one_of("zeros")),
        source_input=(source_input, TEXT | NONE),
        feeds=(feeds, TEXTS_BY_NAME | NONE),
        longest=(longest, INTEGER | NONE),
    )
    if isinstance(model, SteppedModel):
        _refuse_feeds(feeds or {}, "a step that is given says itself what it reads")
        return model.take_apart(source_input)
    graph = _without_truth(flatten_model(model))
    with distinct_names(graph):
        reserve_names(graph)
        return _split(graph, decoder_input, start, source_input, (feeds or {}, longest))


def _without_truth(graph: Graph) -> Graph:
    """Return the graph without the target that teacher forcing reads in training; nothing reads it in inference."""
    calls = [
        Call(call.operation, call.args, {**call.kwargs, "truth": None}, call.outputs)
        if isinstance(call.operation, ConditionedRNN) and call.kwargs.get("truth") is not None
        else call
        for call in graph.calls
    ]
    return Graph(graph.inputs, tuple(calls), graph.outputs)


def _split(
    graph: Graph,
    decoder_input: str | None,
    start: int | Literal["zeros"] | None,
    source_input: str | None,
    told: tuple[Mapping[str, str], int | None],
) -> SplitModel:
    feeds, longest = told
    stepwise = with_first_states(graph)
    loop = roll_up(stepwise, decoder_input)
    if loop is not None:
        _refuse_feeds(feeds, "this model was saved unrolled: its steps say what they read")
        graph, fed = stepwise, () if loop.decoder_input is None else (loop.decoder_input,)
        first = [state.first for state in loop.carried]
        used = order_sources(graph, (*loop.encoder_calls, *loop.calls), fed, source_input, states=first)
        return described(graph, split_unrolled(loop, used, which_are_vectors(graph, used), start), used, loop)
    said = read_feeds(feeds, graph)
    found = _partition(graph, decoder_input, said, longest)
    prefix, reading = (found, found.reading) if isinstance(found, Prefix) else (None, found)
    if feeds_on_itself(reading):
        _refuse_feeds(feeds, "the decoder reads its own output, which never leaves it")
    token = start if isinstance(start, int) else None
    feeder = StepFeeder(_fed_inputs(graph, reading, said), reading.output.shape[-1], token)
    recurrent = [
        call for call in reading.decoder_calls if isinstance(call.operation, keras.layers.RNN) or carries_window(call)
    ]
    used = order_sources(graph, (*reading.encoder_calls, *reading.decoder_calls), reading.decoder_inputs, source_input)
    nothing = no_source(graph)
    if not used and nothing is not None:
        used = (nothing,)
    if not used:
        raise SplitError("every input is read step by step: there is no source left to encode")
    known = {fed.value: feeder.known_input(fed) for fed in feeder.known()}
    vectors = which_are_vectors(graph, used)

    def put_together(encoded: tuple[list[Any], dict[Value, Any]]) -> Assembled:
        sources, environment = [*encoded[0], *known.values()], encoded[1] | known
        timeless = (*vectors, *[False] * len(known))
        if prefix is not None:
            flat = [*empty_prefixes(prefix, feeder, sources[0]), EmptyWindow((1,), "int32")(sources[0])]
            crossing = Crossing.of(environment, [*reading.memory, *known], sources, timeless)
            return assemble(sources, flat, crossing, run_prefix(prefix, crossing, feeder))
        states = first_states(recurrent, sources, environment)
        flat = [state for call in recurrent for state in states[call]]
        flat += [EmptyWindow((1,), "int32")(sources[0])] if feeder.counts_steps else []
        crossing = Crossing.of(environment, [*memory_values(reading), *known], sources, timeless)
        return assemble(sources, flat, crossing, run_step(reading, states, crossing, feeder))

    parts = with_lengths(put_together, used, vectors, reading)
    inputs = () if feeds_on_itself(reading) else tuple(feeder.inputs)
    made = described(graph, (parts, reading), (*used, *known), fed_inputs=inputs)
    return made if prefix is None else replace(made, prefix=prefix.longest)


def _refuse_feeds(feeds: Mapping[str, str], reason: str) -> None:
    if feeds:
        raise SplitError(f"{option('feed')}: {reason}; leave it out")


def _partition(
    graph: Graph, decoder_input: str | None, said: Mapping[Value, Feed], longest: int | None
) -> Partition | Prefix:
    try:
        return partition(graph, decoder_input, tuple(said))
    except SplitError as error:
        prefix = find_prefix(graph, decoder_input, tuple(said), longest)
        if prefix is not None:
            return prefix
        reason = why_not_rolled_up(graph)
        if reason is None:
            raise
        raise SplitError(reason) from error


def _fed_inputs(graph: Graph, reading: Partition, said: Mapping[Value, Feed]) -> tuple[FedInput, ...]:
    """Return the decoder's inputs with what each is given, one that reads the output before first."""
    fed = [
        FedInput(graph.inputs.index(value), value, said.get(value, Feed()), value in said, holds_ids(graph, value))
        for value in reading.decoder_inputs
    ]
    return tuple(sorted(fed, key=lambda each: not each.feed.reads("previous")))


def which_are_vectors(graph: Graph, sources: Sequence[Value]) -> tuple[bool, ...]:
    """Return which source inputs hold one vector, or array of fixed shape, for a sentence."""
    return tuple(is_vector(graph, value) for value in sources)


def described(
    graph: Graph,
    made: tuple[Assembled, Partition],
    sources: tuple[Value, ...],
    loop: Unrolled | None = None,
    fed_inputs: tuple[FedInput, ...] = (),
) -> SplitModel:
    """Return what was made of a graph with what the graph says of it.

    Args:
        graph: the model's, or that of the two models of a pair.
        made: encoder and decoder, and how the graph was read.
        sources: its source inputs, the first one first.
        loop: where the model was saved unrolled.
        fed_inputs: the decoder's inputs, where it was said what they are fed.
    """
    parts, reading = made
    known = tuple(any(value is fed.value for fed in fed_inputs) for value in sources)
    vectors = tuple(
        vector and not is_known for vector, is_known in zip(which_are_vectors(graph, sources), known, strict=True)
    )
    fed_back = [fed.value for fed in fed_inputs if fed.feed.reads("previous")] if fed_inputs else reading.decoder_inputs
    return SplitModel(
        encoder=parts.encoder,
        decoder=parts.decoder,
        fed=what_is_fed(graph, reading, fed_back) if loop is None or loop.slices else "probabilities",
        state_count=parts.state_count,
        memory_count=parts.memory_count,
        attention=parts.attention,
        source_indices=tuple(graph.inputs.index(value) for value in sources),
        sources=sources,
        vectors=vectors,
        aligned=aligned_with_first(parts.encoder.inputs, vectors, parts.encoder.outputs),
        target_index=graph.inputs.index(fed_back[0]) if fed_back else None,
        fed_inputs=fed_inputs,
        known=known,
        output_index=graph.outputs.index(reading.output if loop is None else loop.decoded),
        steps=None if loop is None else loop.steps,
        reading=reading,
    )


def what_is_fed(graph: Graph, reading: Partition, fed_back: Sequence[Value] | None = None) -> Fed:
    """Return what the decoder input takes that reads the output before.

    Ids are integers, or whatever an `Embedding` reads: notebooks often leave the dtype of its input at float32.
    """
    if feeds_on_itself(reading):
        return "probabilities"
    value = next(iter(reading.decoder_inputs if fed_back is None else fed_back), None)
    if value is None:
        return "none"
    embedded = any(value in call.inputs and isinstance(call.operation, keras.layers.Embedding) for call in graph.calls)
    if embedded or value.dtype.startswith(("int", "uint")):
        if len(value.shape) != 2:
            raise SplitError(
                f"the decoder input {value.name!r} holds ids of shape {value.shape}; expected (batch, time)"
            )
        return "token"
    return "value"
