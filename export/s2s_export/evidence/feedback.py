"""Whether a model of one pass could be a language model: a graph doesn't show whether its output is read next."""

from __future__ import annotations

from typing import Final

import keras

from s2s_export.evidence.expected_outputs import read_expected
from s2s_export.evidence.training_pairs import TrainingPairs
from s2s_export.options import ExportOptions
from s2s_export.steps.language_models import may_be_language_model
from s2s_runtime.spelling import option
from s2s_training.errors import SplitError

_EACH: Final = ("each output", "each position")


def refuse_unclear_feedback(model: keras.Model, options: ExportOptions) -> None:
    """Ask what is fed back, where a model could be a language model and nothing tells that it is none.

    Different symbols on both sides tell it, and so do pairs, or outputs that are expected, in which the second text
    doesn't go on with the first.

    Raises:
        SplitError: the model may be either.
    """
    if options.feedback is not None or not may_be_language_model(model):
        return
    vocabulary, told = options.vocabulary, ""
    sides = [] if vocabulary is None else [side for side in (vocabulary.source, vocabulary.target) if side is not None]
    if len({frozenset(side.symbols) for side in sides}) > 1:
        return
    seen = _goes_on(options)
    if seen is False:
        return
    if seen:
        name = "pairs" if options.pairs is not None else "expect"
        told = f"; in {option(name)} the second texts go on with the first"
    given, whole = ("what it gives", "the whole source") if len(model.outputs[0].shape) == 2 else _EACH
    raise SplitError(
        f"the model gives as many symbols as it reads, and its graph doesn't show what for{told}: say "
        f"{option('feedback', 'token')} for a language model ({given} is what comes next, and is read next), or "
        f"{option('feedback', 'none')} where nothing is fed back (a tagger, an output for {whole})"
    )


def _goes_on(options: ExportOptions) -> bool | None:
    """Return whether each second text goes on with the first, or is it one symbol later; None without texts."""
    if options.pairs is not None:
        texts = TrainingPairs.of(options.pairs, options.unit or "char", options.encoding).pairs
    elif options.expect is not None:
        texts = [(each.source, each.output) for each in read_expected(options.expect, options.encoding)]
    else:
        return None
    return all(
        target.startswith(source) or _is_later(list(source), list(target)) or _is_later(source.split(), target.split())
        for source, target in texts
    )


def _is_later(source: list[str], target: list[str]) -> bool:
    """Return whether a target is its source one symbol later."""
    return len(source) > 1 and target[:-1] == source[1:]
