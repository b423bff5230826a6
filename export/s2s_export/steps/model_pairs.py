"""Takes an encoder model and a decoder model that were kept for inference as what they are: encoder and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops, tree

from s2s_export.steps.pair_matching import Matched, inputs_that_change, match, memory_inputs
from s2s_training.errors import SplitError
from s2s_training.splitting.assemble import Crossing, Step, assemble, run_encoder, step_outputs
from s2s_training.splitting.graph import Graph, Value, distinct_names, flatten_model, replay, reserve_names
from s2s_training.splitting.partition import Partition
from s2s_training.splitting.source_inputs import order_sources
from s2s_training.splitting.splitter import SplitModel, described, what_is_fed, which_are_vectors
from s2s_training.splitting.step import EmptyWindow, StepTracer
from s2s_training.splitting.stepped_model import AuthorsLoop, SteppedModel, unmasked


class WithoutMask(keras.layers.Layer):
    """Gives its input without the mask that rides on it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x: Any) -> Any:
        """Return x, as another tensor: masks ride on tensors."""
        return tf.identity(x)

    def compute_mask(self, *_: Any) -> None:
        """Return None."""


def pair_models(
    encoder: keras.Model,
    decoder: keras.Model,
    *,
    decoder_input: str | None = None,
    decoder_output: str | None = None,
    states: Mapping[str, str] | None = None,
) -> keras.Model:
    """Return one model of a pair that was kept for inference.

    Args:
        encoder: from the source(s) to the first states, and to what the decoder reads at every step.
        decoder: from a token (or a row of values), states and memory to the output of a step and the next states.
        decoder_input: name of the decoder's input that gets the token, where it can't be told.
        decoder_output: name of the decoder's layer whose output is decoded, where it can't be told.
        states: by name of a decoder input, `FIRST:NEXT`, where that can't be told; see `pair_matching.match`.

    Returns:
        A model from the sources and a whole target to the output of each step. Where the decoder gives no states back
        it can only be fed a whole target, and the result is the ordinary training model that the two make.

    Raises:
        SplitError: they don't fit together, or could in several ways.
    """
    graphs = flatten_model(encoder), flatten_model(decoder)
    with distinct_names(graphs[0]), distinct_names(graphs[1]):
        for graph in graphs:
            reserve_names(graph)
        matched = match(*graphs, decoder_input=decoder_input, decoder_output=decoder_output, states=states)
    if not inputs_that_change(matched):
        return _fed_whole_targets(encoder, decoder, graphs[1], matched)
    width = graphs[1].outputs[matched.decoded].shape[-1]
    if width is None:
        raise SplitError("what the decoder gives has no fixed number of symbols or values in its last axis")
    sources = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in encoder.inputs]
    fed = matched.fed
    shape = (None,) if len(fed.shape) == 2 and _is_ids(graphs[1], matched) else (None, fed.shape[-1])
    target = keras.Input(shape, dtype=fed.dtype, name=fed.name)
    name = decoder_output or graphs[1].producers()[graphs[1].outputs[matched.decoded]].operation.name
    loop = _authors_loop(encoder, decoder, graphs[1], matched, name)
    return SteppedModel(sources, target, loop, lambda first: _take_apart(*graphs, matched, first))


def _is_ids(graph: Graph, matched: Matched) -> bool:
    return what_is_fed(graph, _reading(graph, graph, matched)) == "token"


def _authors_loop(encoder: keras.Model, decoder: keras.Model, graph: Graph, matched: Matched, name: str) -> AuthorsLoop:
    """Return the loop that steps the two models as they are."""
    states, memories = inputs_that_change(matched), memory_inputs(matched)
    order = [graph.inputs.index(handed.value) for handed in (*states, *memories)]
    flat = len(matched.fed.shape) == 2 and not _is_ids(graph, matched)  # a row of values without a time axis

    def first(handed: Any, made: Sequence[Any]) -> Any:
        rows = ops.shape(made[0])[0]
        return made[handed.first] if handed.first is not None else ops.zeros((rows, *handed.value.shape[1:]))

    def encode(sources: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        made = unmasked(_called(encoder, sources))
        return [first(handed, made) for handed in states], [first(handed, made) for handed in memories]

    def step(fed: Any, state: list[Any], memory: list[Any]) -> tuple[Any, list[Any]]:
        arguments: list[Any] = [fed[:, 0] if flat else fed] * len(graph.inputs)
        for place, tensor in zip(order, (*state, *memory), strict=True):
            arguments[place] = tensor
        made = unmasked(_called(decoder, arguments))
        output = made[matched.decoded]
        following = [made[handed.following] for handed in states if handed.following is not None]
        return (output[:, -1] if len(output.shape) > 2 else output), following

    width = graph.outputs[matched.decoded].shape[-1] or 0
    return AuthorsLoop(encode, step, width, [encoder, decoder], name=name)


def _called(model: keras.Model, tensors: Sequence[Any]) -> Any:
    structure = tree.pack_sequence_as(model.input, list(tensors)) if tree.is_nested(model.input) else tensors[0]
    return model(structure, training=False)


def _fed_whole_targets(encoder: keras.Model, decoder: keras.Model, graph: Graph, matched: Matched) -> keras.Model:
    """Return the training model of a pair whose decoder is fed a growing target, and gives no states back."""
    fed = matched.fed
    target = keras.Input(fed.shape[1:], dtype=fed.dtype, name=fed.name)
    made = [WithoutMask()(tensor) for tensor in tree.flatten(encoder.outputs)]
    arguments: list[Any] = [target] * len(graph.inputs)
    for handed in matched.handed:
        place = graph.inputs.index(handed.value)
        zeros = handed.first is None
        arguments[place] = EmptyWindow(handed.value.shape[1:])(made[0]) if zeros else made[handed.first or 0]
    output = tree.flatten(_called(decoder, arguments))[matched.decoded]
    return keras.Model([*encoder.inputs, target], output, name=decoder.name)


def _reading(encoder: Graph, decoder: Graph, matched: Matched) -> Partition:
    changing = [matched.fed, *(handed.value for handed in inputs_that_change(matched))]
    output = decoder.outputs[matched.decoded]
    values = frozenset(decoder.dependents(changing))
    return Partition((matched.fed,), encoder.calls, decoder.calls, values, output, ())


def _take_apart(encoder: Graph, decoder: Graph, matched: Matched, source_input: str | None) -> SplitModel:
    reading = _reading(encoder, decoder, matched)
    both = Graph((*encoder.inputs, matched.fed), (*encoder.calls, *decoder.calls), (reading.output,))
    with distinct_names(both):
        reserve_names(both)
        used = order_sources(encoder, encoder.calls, (), source_input)
        vectors = which_are_vectors(encoder, used)
        sources, environment = run_encoder(used, vectors, reading)
        firsts = {
            handed.value: EmptyWindow(handed.value.shape[1:])(sources[0])
            if handed.first is None
            else environment[encoder.outputs[handed.first]]
            for handed in matched.handed
        }
        memory = {handed.value: firsts[handed.value] for handed in memory_inputs(matched)}
        crossing = Crossing(memory, {}, sources, vectors)  # what `predict` gave had no mask
        states = [firsts[handed.value] for handed in inputs_that_change(matched)]
        parts = assemble(sources, states, crossing, _step(decoder, matched, reading, crossing))
        return described(both, (parts, reading), used)


def _step(decoder: Graph, matched: Matched, reading: Partition, crossing: Crossing) -> Step:
    """Replay the decoder's calls on fresh inputs, its recurrent layers by their cells."""
    memory, _ = crossing.inputs()
    states = inputs_that_change(matched)
    inputs = [
        keras.Input(handed.value.shape[1:], dtype=handed.value.dtype, name=f"s2s.state_{i}")
        for i, handed in enumerate(states)
    ]
    environment: dict[Value, Any] = dict(memory)
    environment.update(zip((handed.value for handed in states), inputs, strict=True))
    fed = matched.fed
    without_time = len(fed.shape) == 2 and what_is_fed(decoder, reading) != "token"
    token = keras.Input(fed.shape[1:] if without_time else fed.shape[2:], dtype=fed.dtype, name="s2s.fed")
    environment[fed] = token if without_time else ops.expand_dims(token, axis=1)
    tracer = StepTracer(reading, {}, {}, crossing.lengths())
    replay(decoder.calls, environment, tracer)
    following = [environment[decoder.outputs[handed.following]] for handed in states if handed.following is not None]
    everything = [token, *inputs, *memory.values()]
    outputs = step_outputs(environment[reading.output], following, tracer, (everything, crossing))
    return Step([token], inputs, list(memory.values()), outputs, len(outputs) > 1 + len(following))
