"""Exporting what its author steps by hand: a pair of inference models, or two functions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from s2s_export.arguments import OPTIONS
from s2s_export.errors import ExportError
from s2s_export.exporter import export
from s2s_export.keras_files.dtypes import in_float32
from s2s_export.options import ExportOptions
from s2s_export.report import Exported
from s2s_export.steps.function_steps import Encode, TakeStep, steps_model
from s2s_export.steps.model_pairs import pair_models
from s2s_training.given import FUNCTION, INTEGER, NONE, PATH, TEXTS_BY_NAME, an, check_given, list_of
from s2s_training.splitting.splitter import MODEL

_WORDS = ("source", "target", "start", "end", "unit", "progress")  # arguments of `export` that are no options


def export_pair(
    encoder: keras.Model,
    decoder: keras.Model,
    path: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    states: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Exported:
    """Export the two inference models of a tutorial's loop as one verified bundle.

    Which output starts or follows which input is told by shapes, by the order in both models, and by the place of a
    tensor in a recurrent layer's states. Where they leave it open, the error says what to add to `states`. The bundle
    is compared with the two models, stepped one after the other by Keras.

    Args:
        encoder: from the source(s) to the first states, and to what the decoder reads at every step.
        decoder: from a token (or a row of values), states and memory to the output of a step and the next states.
        path: folder to write, or a zip file where it ends in .zip; it appears whole, or not at all.
        options: as `export` takes them.
        states: by name of a decoder input, `"FIRST:NEXT"`: the numbers, from 0, of the encoder output that it gets
            first ("zeros": none) and of the decoder output that it gets at the next step ("constant": none).
        arguments: whatever else `export` takes, such as `source`, `start` or `max_length`.

    Raises:
        ExportError, SplitError, VerificationError: as `export`; or the two models don't fit together, or could in
            several ways.
    """
    check_given(
        ExportError,
        encoder=(encoder, MODEL),
        decoder=(decoder, MODEL),
        path=(path, PATH),
        options=(options, OPTIONS),
        states=(states, TEXTS_BY_NAME | NONE),
    )
    fields = {name: value for name, value in arguments.items() if name not in _WORDS}
    options = replace(options or ExportOptions(), **fields)
    words = {name: value for name, value in arguments.items() if name in _WORDS}
    return export(paired(encoder, decoder, options, states or {}), path, options, **words)


def export_steps(
    encode: Encode,
    step: TakeStep,
    path: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    inputs: Sequence[Any] | None = None,
    source_size: int | None = None,
    **arguments: Any,
) -> Exported:
    """Export two functions on tensors as a verified bundle: whatever model they call, of whatever class.

    The functions are traced for the graphs; the bundle is compared with the functions themselves, stepped one token
    after the other. They have to compute what they give of TensorFlow's or Keras's operations alone.

    Args:
        encode: takes the source (batch, time), or several sources; returns (states, memory), each a tensor, a list, a
            dictionary or whatever nests tensors. Masks that ride on the memory stay with it at every step.
        step: takes what is fed, (batch, 1) ids or (batch, 1, features) values, with states and memory; returns the
            output, (batch, features) with or without a time axis of 1, and the next states, nested as they came.
        path: folder to write, or a zip file where it ends in .zip; it appears whole, or not at all.
        options: as `export` takes them.
        inputs: `keras.Input`s of the source(s), and last of the whole target, as a training model would take them;
            None = ids on both sides.
        source_size: how many ids the source has, where neither `source` nor its values tell.
        arguments: whatever else `export` takes, such as `source`, `start` or `max_length`.

    Raises:
        ExportError, VerificationError: as `export`; or the functions don't give what is expected of them.
    """
    check_given(
        ExportError,
        encode=(encode, FUNCTION),
        step=(step, FUNCTION),
        path=(path, PATH),
        inputs=(inputs, list_of(an(keras.KerasTensor, ""), "keras.Inputs") | NONE),
        source_size=(source_size, INTEGER | NONE),
    )
    if inputs is None:
        inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("source", "target")]
    with in_float32():
        model = steps_model(encode, step, inputs, source_size)
    return export(model, path, options, **arguments)


@in_float32()
def paired(
    encoder: keras.Model, decoder: keras.Model, options: ExportOptions, states: Mapping[str, str]
) -> keras.Model:
    """Return the one model that a pair makes; `exporter.export` takes it.

    Raises:
        SplitError: as `export_pair`.
    """
    return pair_models(
        encoder,
        decoder,
        decoder_input=options.decoder_input,
        decoder_output=options.one_output,
        states=states,
    )
