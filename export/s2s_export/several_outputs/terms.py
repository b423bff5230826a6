"""The outputs beside the first, in the bundle's terms: each as it would be understood in a bundle of its own."""

from __future__ import annotations

from dataclasses import replace

from s2s_export.errors import ExportError
from s2s_export.one_pass.reading import of_output
from s2s_export.options import ExportOptions
from s2s_export.several_outputs.choice import Together
from s2s_export.understand.bundle_terms import FurtherTerms, Understanding, ends_of_one_pass, gives_probabilities
from s2s_export.understand.flat_steps import FlatSteps
from s2s_export.understand.target_terms import target_terms
from s2s_export.understand.unnamed_ids import widened
from s2s_runtime.spelling import option_by_name
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.splitting.splitter import SplitModel


def with_further(
    facts: Understanding,
    together: Together,
    taken_apart: tuple[FlatSteps, SplitModel],
    options: ExportOptions,
) -> Understanding:
    """Return the understanding of a model, of its first output, with that of all others.

    Args:
        facts: of the first output.
        together: the outputs.
        taken_apart: the model with these outputs, and as a whole graph.
        options: of the export; what says symbols, ends or lengths of a target is about the first output.

    Raises:
        ExportError: an output has another number of symbols than its vocabulary; the message names it.
    """
    flat, split = taken_apart
    first, *others = together.names
    further, notes = [], [*facts.notes, together.note]
    for place, name in enumerate(others, 1):
        own = of_output(split, place)
        vocabulary = options.target_vocabularies.get(name)
        if options.unnamed_ids:
            vocabulary = widened(vocabulary, own.encoder.outputs[0].shape[-1])
        told = _about(options, vocabulary, facts)
        probabilities = gives_probabilities(own)
        alone = FlatSteps(flat.model, flat.inputs)
        try:
            target, _ = target_terms(alone, own, vocabulary, told, probabilities=probabilities)
        except ExportError as error:
            raise ExportError(f"output {name!r}: {error}") from error
        target = replace(ends_of_one_pass(target, facts.padding), name=name)
        if target.feedback == "value":
            notes.append(
                f"{name!r} is taken for values, as nothing says that it is tokens "
                f"({option_by_name('target_vocab', {name: 'FILE'})} would)"
            )
        further.append(FurtherTerms(target, vocabulary, probabilities))
    return replace(facts, target=replace(facts.target, name=first), further=tuple(further), notes=tuple(notes))


def _about(options: ExportOptions, vocabulary: Vocabulary | None, facts: Understanding) -> ExportOptions:
    """Return the options as they are about an output beside the first."""
    return replace(
        options,
        vocabulary=VocabularyFile(facts.source_vocabulary, vocabulary, facts.padding),
        start_symbol=None,
        end_symbol=None,
        start_id=None,
        start_zeros=False,
        end_ids=(),
        max_length=None,
    )
