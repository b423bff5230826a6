"""Exporting: load, split, understand, convert, verify, write. The command line is this function."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from s2s_export.arguments import OPTIONS, Words
from s2s_export.convert.conversion_errors import call_errors
from s2s_export.errors import ExportError
from s2s_export.evidence.expected_outputs import with_expected
from s2s_export.evidence.settle import Bundle, settle
from s2s_export.evidence.training_pairs import Widths, with_pairs
from s2s_export.graphs.bundle_graphs import Graphs, build_graphs, with_searches
from s2s_export.keras_files.dtypes import in_float32, refuse_infinite_weights, refuse_other_dtypes
from s2s_export.model_kinds import split_by_kind
from s2s_export.notebook import Progress, in_cell
from s2s_export.one_pass.loss_layers import without_loss
from s2s_export.one_pass.reading import read_one_pass
from s2s_export.options import ExportOptions
from s2s_export.pass_names import named
from s2s_export.passes.registry import Passes
from s2s_export.reduce.reduce_bundle import reduce_bundle
from s2s_export.report import Exported
from s2s_export.several_outputs.choice import Outputs
from s2s_export.several_outputs.terms import with_further
from s2s_export.steps.joined_outputs import with_joined_outputs
from s2s_export.steps.language_models import language_model
from s2s_export.understand.bundle_terms import Understanding, understand
from s2s_export.understand.decoded_output_choice import ChosenOutput
from s2s_export.understand.flat_steps import FlatSteps
from s2s_export.understand.sampling_layers import at_their_mean
from s2s_export.understand.source_terms import embedding_size
from s2s_export.understand.text_layers import TextModel, without_text_layers
from s2s_export.verify.longest_read import longest_read
from s2s_export.verify.verify import Subject, refuse_failed, verify
from s2s_export.write import refuse_existing, replacing_bundle, write_graphs
from s2s_runtime.bundle.further_outputs import FurtherOutput
from s2s_runtime.bundle.manifest_file import Manifest, write_manifest
from s2s_runtime.declared_options import takes_options
from s2s_runtime.vocabulary.vocabulary_file import Unit
from s2s_training.given import FUNCTION, NONE, PATH, check_given
from s2s_training.quiet_import import native_messages_held
from s2s_training.splitting.graph import distinct_names, flatten_model
from s2s_training.splitting.splitter import MODEL, SplitModel

logger = logging.getLogger(__name__)


@takes_options(ExportOptions)
def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    source: object = None,
    target: object = None,
    start: str | int | None = None,
    end: str | int | Iterable[str | int] | None = None,
    unit: Unit | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Exported:
    """Export a training model as a verified bundle.

    Symbols are given as they lie in a notebook: a dictionary of symbols to ids (or of ids to symbols), a Keras
    `Tokenizer`, a `TextVectorization` or `StringLookup` layer, a list of symbols in the order of their ids, or the path
    of a file that holds one of these. Without them the bundle takes ids and gives ids.

    Args:
        model: Functional or Sequential encoder-decoder of recurrent layers.
        path: folder to write, or a zip file where it ends in .zip; it appears whole, or not at all.
        options: what the graph can't tell, as one object; what is given by itself overrides it.
        source: the source's symbols.
        target: the target's symbols; of a model of several outputs a dictionary of their names to these.
        start: symbol or id that the decoder reads first.
        end: symbol or id that ends a target, or several.
        unit: how text is cut, "char", "word" or "symbol" (at white space), where the symbols don't tell it; None =
            characters where all symbols are single characters, else at white space.
        progress: called with a few words as each stage begins; None = in a notebook the cell shows them.
        fields: fields of `ExportOptions`, such as `padding`, `source_length`, `max_length` or `force`.

    Raises:
        ExportError: the options contradict the model, or something is missing; nothing was written.
        SplitError: the model can't be split; names the layer and why.
        UnknownOptionError: an argument has no such name; the message says which was meant.
        VerificationError: the graphs don't give what Keras gives; nothing was written.
    """
    check_given(
        ExportError,
        model=(model, MODEL),
        path=(path, PATH),
        options=(options, OPTIONS),
        progress=(progress, FUNCTION | NONE),
    )
    options = Words(source, target, start, end, unit).added_to(replace(options or ExportOptions(), **fields))
    options = options if unit is None else replace(options, unit=unit)
    path = Path(path)
    refuse_existing(path, force=options.force)
    began = time.perf_counter()
    with in_float32(), stateless(model), distinct_names(flatten_model(model)), in_cell(progress) as tell:

        def stage(words: str) -> None:
            logger.debug("%6.2f s: %s", time.perf_counter() - began, words)
            tell(words)

        return _export(model, path, options, stage)


def _export(model: keras.Model, path: Path, options: ExportOptions, progress: Progress) -> Exported:
    progress("splitting")
    _refuse_unsound(model)
    told, rows = with_pairs(options, partial(widths, model, options))
    model, parts, facts = _take_apart(model, told)
    progress("converting")
    with native_messages_held():
        plain = build_graphs(parts, facts, options.opset, Passes(named(options.optimize)))
    graphs = with_searches(plain, facts)
    with replacing_bundle(path) as folder:
        manifest = write_unverified(folder, parts, facts, graphs)
        manifest = replace(manifest, producers={**_versions(), "opset": str(options.opset)})
        if options.pairs is not None or options.expect is not None:
            progress("weighing the evidence of how it was fed")
        settled = settle(Bundle(folder, manifest, model, parts, facts), told, rows)
        facts, manifest = settled.facts, settled.in_manifest(manifest)
        write_manifest(folder, manifest)
        progress("verifying")
        facts = facts if options.verify_with else replace(facts, most_read=longest_read(parts, facts))
        report = verify(folder, Subject(model, parts, facts, manifest), options)
        refuse_failed(report)
        report = replace(report, facts=_facts(parts, facts, graphs))
        manifest = replace(manifest, verification=report.to_dict())
        if options.precision != "float32":
            progress(f"converting to {options.precision}")
            graphs, manifest = reduce_bundle(folder, plain, manifest, facts, options)
        write_manifest(folder, manifest)
    return Exported(path, parts, facts, manifest, report, graphs.node_types())


def write_unverified(folder: Path, parts: SplitModel, facts: Understanding, graphs: Graphs) -> Manifest:
    """Write graphs into a folder as a bundle that nobody has compared with Keras yet; return its manifest."""
    files, weights = write_graphs(folder, graphs.models)
    manifest = Manifest(
        graphs=files,
        weights=weights,
        source=facts.source,
        target=facts.target,
        states=graphs.states,
        memory=graphs.memory,
        attention=parts.attention,
        padding=facts.padding,
        source_vocabulary=facts.source_vocabulary,
        target_vocabulary=facts.target_vocabulary,
        passes=graphs.passes.applied,
        kind=parts.kind,
        outputs=tuple(FurtherOutput(each.target, each.vocabulary) for each in facts.further),
    )
    write_manifest(folder, manifest)
    return manifest


def _facts(parts: SplitModel, facts: Understanding, graphs: Graphs) -> dict[str, object]:
    """Return what the report says of the model beside what was compared; sizes stand with the manifest's graphs."""
    types = graphs.node_types()
    return {
        "source_inputs": len(parts.source_indices),
        "states": len(graphs.states),
        "memories": len(graphs.memory),
        "parameters": {part.name: part.count_params() for part in parts.models},
        "nodes": {
            name: ", ".join(f"{count} {kind}" for kind, count in counts.items()) for name, counts in types.items()
        },
        "notes": list(facts.notes),
    }


def take_apart(model: keras.Model, options: ExportOptions) -> tuple[keras.Model, SplitModel, Understanding]:
    """Read a model without writing anything.

    Returns:
        The model from ids on to what is decoded, its split, and how it was understood.

    Raises:
        ExportError, SplitError: as `export`.
    """
    _refuse_unsound(model)
    return _take_apart(model, with_pairs(options, partial(widths, model, options))[0])


def _refuse_unsound(model: keras.Model) -> None:
    refuse_other_dtypes(model)
    refuse_infinite_weights(model)


@call_errors()
def _take_apart(model: keras.Model, options: ExportOptions) -> tuple[keras.Model, SplitModel, Understanding]:
    """Read a model whose options have told already what its pairs tell."""
    options = with_expected(options)
    model, drawn = at_their_mean(model)
    text = without_text_layers(model)
    joined, options, said = with_joined_outputs(text.model, options)
    outputs, options = Outputs.of(joined, options).with_first(options)
    options = options if text.layers else options.with_vocabulary(options.vocabulary)
    chosen = ChosenOutput.of(joined, options, outputs.first)
    read_model = chosen.model if options.ctc is None else without_loss(chosen.model)
    read_model = language_model(read_model, options) if options.feedback == "token" else read_model
    parts, options, notes = _split(read_model, text, options)
    together = outputs.together(parts.kind, chosen.name(parts), options)
    split_again = partial(split_by_kind, options=options)
    if together is not None:
        read_model, split_again = together.model, partial(read_one_pass, every=True)
        parts = split_again(read_model, source_input=parts.sources[0].name)
    flat = FlatSteps.of(read_model, parts)
    if flat.model is not read_model:
        parts = split_again(flat.model, source_input=parts.sources[0].name)
    facts = understand(flat, parts, options)
    if together is not None:
        facts = with_further(facts, together, (flat, parts), options)
    notes = [*([] if together else chosen.notes(parts)), *said, *options.notes, *drawn, *notes, *facts.notes]
    return flat.model, parts, replace(facts, notes=tuple(notes))


def _split(
    model: keras.Model, text: TextModel, options: ExportOptions
) -> tuple[SplitModel, ExportOptions, Sequence[str]]:
    """Split a model, and take the symbols that its layers of text have, where nobody gave others.

    Returns:
        The split, options that have these symbols, and a sentence on each thing that a bundle reads otherwise.
    """
    parts = split_by_kind(model, options, options.source_input)
    if not text.layers:
        return parts, options, ()
    read = [source.name for source in parts.sources if source.name in text.layers]
    if options.source_input is None and read and read[0] != parts.sources[0].name:
        parts = split_by_kind(model, options, read[0])  # the text goes to the input that reads text
    target = None if parts.target_index is None else model.inputs[parts.target_index].name
    vocabulary, notes = text.merged(options.vocabulary, parts.sources[0].name, target, texts=options.verify_with)
    options = replace(options.with_vocabulary(vocabulary), unnamed_ids=True)  # layers of max_tokens, not of words
    return parts, options, notes


def widths(model: keras.Model, options: ExportOptions) -> Widths | None:
    """Return how many symbols a model reads and writes; None where it cuts texts itself.

    Raises:
        SplitError: as `export`.
    """
    text = without_text_layers(model)
    if text.layers:
        return None
    joined, options, _ = with_joined_outputs(text.model, options)
    if options.first_token is None and not options.start_zeros:
        options = replace(options, start_id=0)  # any: the pairs have yet to tell, and a model saved unrolled asks
    parts = split_by_kind(ChosenOutput.of(joined, options).model, options, options.source_input)
    source, size = parts.sources[0], parts.decoder.outputs[0].shape[-1]
    if size is None:
        return None
    exact = len(source.shape) == 3
    return Widths(source.shape[-1] if exact else embedding_size(parts, source), int(size), exact)


@contextmanager
def stateless(model: keras.Model) -> Iterator[None]:
    """Let stateful layers start from their initial state at every call while the block runs.

    A bundle hands states in and out instead.
    """
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "stateful", False)]
    for layer in layers:
        layer.stateful = False
    try:
        yield
    finally:
        for layer in layers:
            layer.stateful = True


def _versions() -> dict[str, str]:
    names = ("s2s-export", "s2s-training", "keras", "tensorflow", "tf2onnx", "onnx")
    return {name.replace("-", "_"): version(name) for name in names}
