"""Reads a model of one pass: a tagger, a translator position by position, a forecast in one shot.

Nothing is fed back, so nothing has to be stepped, and the whole model is one graph from its sources to the outputs of
all positions. It stands as a `SplitModel` like any other, whose encoder does all the work: one memory, (batch,
positions, size), of which its decoder only reads a position.
"""

from __future__ import annotations

from typing import Final

import keras
import tensorflow as tf
from keras import ops, tree

from s2s_export.errors import IN_CODE
from s2s_runtime.spelling import option
from s2s_training.errors import SplitError
from s2s_training.splitting.assemble import run_encoder
from s2s_training.splitting.decoded_output import named_outputs, output_name, widths_read
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


def read_one_pass(model: keras.Model, source_input: str | None = None, output: str | None = None) -> SplitModel:
    """Read a model as one pass from its sources to what it gives at each position.

    Args:
        model: any model with a graph.
        source_input: name of the source that comes first, where there are several.
        output: name of the output that is decoded, where there are several.

    Raises:
        SplitError: the model has no graph, no output that could be decoded, or several of them.
    """
    graph = flatten_model(model)
    with distinct_names(graph):
        reserve_names(graph)
        decoded = _decoded(graph, output)
        calls = ancestors(graph.calls, [decoded])
        used = order_sources(graph, calls, (), source_input)
        if not used:
            raise SplitError("what is decoded depends on no input of the model")
        vectors = which_are_vectors(graph, used)
        reading = Partition((), tuple(calls), (), frozenset(), decoded, ())
        sources, environment = run_encoder(used, vectors, reading)
        made = environment[decoded]
        if len(made.shape) == 2:
            made = ops.expand_dims(made, axis=1)
        encoder = keras.Model(list(sources), made, name="model")
        positions = keras.Input(tuple(made.shape[1:]), dtype=keras.backend.standardize_dtype(made.dtype))
        return SplitModel(
            encoder=encoder,
            decoder=keras.Model(positions, positions[:, 0], name="position"),
            fed="none",
            state_count=0,
            memory_count=1,
            attention=False,
            source_indices=tuple(graph.inputs.index(value) for value in used),
            sources=used,
            vectors=vectors,
            aligned=aligned_with_first(encoder.inputs, vectors, encoder.outputs),
            target_index=None,
            fed_inputs=(),
            known=(False,) * len(used),
            output_index=graph.outputs.index(decoded),
            steps=None,
            reading=reading,
            kind="one-pass",
        )


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
            (made,) = tree.flatten(split.encoder(given, training=False))
        except (ValueError, tf.errors.InvalidArgumentError):  # fewer than a convolution without padding reads
            return False
        if made.shape[1] != steps:
            return False
    return True


def _decoded(graph: Graph, name: str | None) -> Value:
    """Return the output that is decoded: the one that is named, or else the only one with positions, or at all."""
    if name is not None:
        return next(value for value in graph.outputs if output_name(graph, value) == name)
    fitting = [value for value in dict.fromkeys(graph.outputs) if len(value.shape) in _AXES]
    chosen = [value for value in fitting if len(value.shape) == max(_AXES)] or fitting
    chosen = chosen or [value for value in dict.fromkeys(graph.outputs) if len(value.shape) > max(_AXES)]
    if len(chosen) == 1:
        return chosen[0]
    named = named_outputs(graph, graph.outputs)
    if not chosen:
        raise SplitError(f"no output has a time axis, (batch, time, ...), or is a vector, (batch, features): {named}")
    raise SplitError(
        f"which output is decoded can't be told: {named}; say which with {option('decoder_output', 'NAME')}"
    )
