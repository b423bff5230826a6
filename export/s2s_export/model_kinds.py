"""Takes a model apart as the kind it is: an encoder-decoder, a language model, a model of one pass or one of CTC."""

from __future__ import annotations

from dataclasses import replace

import keras

from s2s_export.evidence.feedback import refuse_unclear_feedback
from s2s_export.one_pass.loss_layers import refuse_unsaid_loss
from s2s_export.one_pass.reading import read_one_pass, why_not_one_pass
from s2s_export.options import ExportOptions
from s2s_export.steps.pair_matching import half_of_a_pair
from s2s_runtime.spelling import option
from s2s_training.errors import SplitError, UnsaidError
from s2s_training.splitting.graph import flatten_model
from s2s_training.splitting.splitter import SplitModel, split


def split_by_kind(model: keras.Model, options: ExportOptions, source_input: str | None) -> SplitModel:
    """Return a model taken apart as what the options say it is, or its graph shows.

    Args:
        model: a language model with an input in the place of a source (`language_model`), or any other as it is.
        options: what the graph can't tell.
        source_input: name of the source input that comes first, where there are several.

    Raises:
        SplitError: it can't be taken apart, or may be one kind or another.
    """
    if options.ctc is not None:
        return replace(read_one_pass(model, source_input), kind="ctc")
    refuse_unsaid_loss(model)
    half = half_of_a_pair(flatten_model(model))
    told = (
        f"this looks to be the {half} of a pair of inference models: export both with --encoder FILE --decoder FILE "
        "(s2s_export.export_pair in Python)"
    )
    if half == "decoder":  # fed whole prefixes it could be run, from states that nobody makes
        raise SplitError(told)
    try:
        parts = split(
            model,
            decoder_input=options.decoder_input,
            start="zeros" if options.start_zeros else options.first_token,
            source_input=source_input,
            feeds=options.feeds,
            longest=options.longest_target,
        )
        if options.feedback == "none" and parts.target_index is not None:  # said to be no target
            return read_one_pass(model, source_input)
        return replace(parts, kind="decoder-only") if options.feedback == "token" else parts
    except SplitError as error:
        whole = options.feedback == "none" or bool(options.output_names)  # what is decoded is said to be here
        if half is not None and not whole:
            raise SplitError(
                f"{told}; where it is a model by itself, to which nothing is fed back, say so with "
                f"{option('feedback', 'none')}; taken for a training model, {error}"
            ) from error
        if options.feedback == "token":
            raise
        return _one_pass(model, options, source_input, error)


def _one_pass(model: keras.Model, options: ExportOptions, source_input: str | None, error: SplitError) -> SplitModel:
    """Read a model that can't be split as one of one pass, where it can be one or is said to be."""
    if options.decoder_input is not None or options.feeds:
        raise error
    asked = None if options.feedback == "none" else why_not_one_pass(model)
    if asked is not None and isinstance(error, UnsaidError):
        raise error
    if asked is not None:
        raise SplitError(f"{error}; {asked}") from error
    refuse_unclear_feedback(model, options)
    return read_one_pass(model, source_input)
