"""Reads a model of one pass: a tagger, a translator position by position, a forecast in one shot.

Nothing is fed back, so nothing has to be stepped, and the whole model is one graph from its sources to the outputs of
all positions. It stands as a `SplitModel` like any other, whose encoder does all the work: one memory, (batch,
positions, size), of which its decoder only reads a position.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import keras
import tensorflow as tf
from keras import ops, tree

from s2s_export.errors import IN_CODE
from s2s_runtime.spelling import option
from s2s_training.errors import SplitError
from s2s_training.splitting.assemble import run_encoder
from s2s_training.splitting.decoded_output import named_outputs, widths_read
from s2s_training.splitting.graph import Graph, Value, ancestors, distinct_names, flatten_model, reserve_names
from s2s_training.splitting.partition import Partition
from s2s_training.splitting.source_inputs import aligned_with_first, holds_ids, is_vector, order_sources
from s2s_training.splitting.splitter import SplitModel, which_are_vectors

_STEPS: Final = (5, 7)
_AXES: Final = (2, 3)  # of an output: one for a whole sentence, or one for each position; frames have more


def why_not_one_pass(model: keras.Model) -> str | None:
    """Return why a model can't be taken for one of one pass unless somebody says so; None where it can.

    A second input of steps may be the target that a training script fed: a model that reads it is no model of one pass.
    """
    graph = flatten_model(model)
    timed = [value.name for value in graph.inputs if not is_vector(graph, value)]
    so_far = _words_so_far(graph)
    if so_far is not None:
        return (
            f"one word comes out for all of {so_far.name!r}, of as many words as that reads: where these are the words "
            "so far, build the model so that a word comes out for each of them (return_sequences=True; the weights "
            f"stay: {IN_CODE}); where nothing is fed back, say so with "
            f"{option('feedback', 'none')}"
        )
    if len(timed) < 2:
        return None
    return (
        f"if none of the inputs {', '.join(timed)} gets the target, and nothing is fed back (a tagger of several "
        f"features), say so with {option('feedback', 'none')}; {option('decoder_input', 'NAME')} names the "
        "input that gets it"
    )


def _words_so_far(graph: Graph) -> Value | None:
    """Return the input that may hold what was written so far, where the model gives the next word alone."""
    if len(graph.inputs) < 2 or any(len(value.shape) != min(_AXES) for value in graph.outputs):
        return None
    sizes = {value.shape[-1] for value in graph.outputs}
    return next(
        (value for value in graph.inputs if holds_ids(graph, value) and sizes & widths_read(graph, value)), None
    )


def read_one_pass(model: keras.Model, source_input: str | None = None, *, every: bool = False) -> SplitModel:
    """Read a model as one pass from its sources to what it gives at each position.

    Args:
        model: any model with a graph.
        source_input: name of the source that comes first, where there are several.
        every: whether all outputs are read, the first being the one that is decoded; else one alone: the first with
            positions, or the first at all.

    Raises:
        SplitError: the model has no graph, or no output that could be decoded.
    """
    graph = flatten_model(model)
    with distinct_names(graph):
        reserve_names(graph)
        outputs = list(graph.outputs) if every else [_decoded(graph)]
        calls = ancestors(graph.calls, outputs)
        used = order_sources(graph, calls, (), source_input)
        if not used:
            raise SplitError("what is decoded depends on no input of the model")
        vectors = which_are_vectors(graph, used)
        reading = Partition((), tuple(calls), (), frozenset(), outputs[0], ())
        sources, environment = run_encoder(used, vectors, reading)
        given = [environment[value] for value in outputs]
        made = [ops.expand_dims(one, axis=1) if len(one.shape) == 2 else one for one in given]
        encoder = keras.Model(list(sources), made if every else made[0], name="model")
        return SplitModel(
            encoder=encoder,
            decoder=_position(made[0]),
            fed="none",
            state_count=0,
            memory_count=len(made),
            attention=False,
            source_indices=tuple(graph.inputs.index(value) for value in used),
            sources=used,
            vectors=vectors,
            aligned=aligned_with_first(encoder.inputs, vectors, encoder.outputs),
            target_index=None,
            fed_inputs=(),
            known=(False,) * len(used),
            output_index=graph.outputs.index(outputs[0]),
            steps=None,
            reading=reading,
            kind="one-pass",
        )


def _position(made: Any) -> keras.Model:
    """Return a model that reads a position of an output."""
    positions = keras.Input(tuple(made.shape[1:]), dtype=keras.backend.standardize_dtype(made.dtype))
    return keras.Model(positions, positions[:, 0], name="position")


def of_output(split: SplitModel, place: int) -> SplitModel:
    """Return a model of one pass, of which every output was read, with one of them alone."""
    made = split.encoder.outputs[place]
    encoder = keras.Model(split.encoder.inputs, made, name="model")
    return replace(split, encoder=encoder, decoder=_position(made), memory_count=1, output_index=place)


def gives_one_for_each_step(split: SplitModel) -> bool:
    """Return whether a model of one pass gives as many outputs as its first source has steps, as two runs show."""
    inputs = split.encoder.inputs
    if split.vectors[0] or inputs[0].shape[1] is not None:
        return False
    for steps in _STEPS:
        given = []
        for tensor, vector, aligned in zip(inputs, split.vectors, split.aligned, strict=True):
            shape = [1, *(steps if size is None and not vector and aligned else size or 1 for size in tensor.shape[1:])]
            given.append(ops.ones(shape, dtype=tensor.dtype))
        try:
            made, *_ = tree.flatten(split.encoder(given, training=False))
        except (ValueError, tf.errors.InvalidArgumentError):  # fewer than a convolution without padding reads
            return False
        if made.shape[1] != steps:
            return False
    return True


def _decoded(graph: Graph) -> Value:
    """Return the output that is decoded where nothing says which: the first that has positions, or the first at all."""
    fitting = [value for value in dict.fromkeys(graph.outputs) if len(value.shape) in _AXES]
    chosen = [value for value in fitting if len(value.shape) == max(_AXES)] or fitting
    chosen = chosen or [value for value in dict.fromkeys(graph.outputs) if len(value.shape) > max(_AXES)]
    if not chosen:
        named = named_outputs(graph, graph.outputs)
        raise SplitError(f"no output has a time axis, (batch, time, ...), or is a vector, (batch, features): {named}")
    return chosen[0]
