"""What a split model writes, in the bundle's terms: what is fed back, what starts and ends a target, its length."""

from __future__ import annotations

import keras

from s2s_export.errors import ExportError
from s2s_export.one_pass.reading import gives_one_for_each_step
from s2s_export.options import ExportOptions
from s2s_export.understand.flat_steps import FlatSteps
from s2s_export.understand.given_vocabularies import usual_padding
from s2s_runtime.bundle.manifest_file import TargetSpec
from s2s_runtime.spelling import counted, option, option_by_name
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary
from s2s_training.splitting.splitter import SplitModel


def target_terms(
    flat: FlatSteps,
    split: SplitModel,
    vocabulary: Vocabulary | None,
    options: ExportOptions,
    *,
    probabilities: bool,
) -> tuple[TargetSpec, bool]:
    """Return the target side, and whether tokens are fed as one-hot rows.

    Args:
        flat: the training model, each step of it a row.
        split: that model taken apart.
        vocabulary: the target's.
        options: of the export.
        probabilities: whether what is decoded is a distribution.

    Raises:
        ExportError: options contradict the model, or something is missing that only the caller knows.
    """
    width = split.decoder.outputs[0].shape[-1]
    if width is None:
        raise ExportError(
            "what is decoded has no fixed number of symbols or values in its last axis; expected an output "
            f"(batch, time, symbols): name another with {option('decoder_output', 'NAME')}, or fix the axis where the "
            "model is built"
        )
    size = int(width)
    fed_size = split.decoder.inputs[0].shape[-1] if split.fed == "value" else None
    start_id = options.first_token
    alone = split.kind == "decoder-only"
    one_hot = split.fed == "value" and fed_size == size and (probabilities or start_id is not None or alone)
    max_length = None if split.kind == "ctc" else _max_length(flat.model, split, options)  # as long as the frames say
    # Nothing says symbols: neither a softmax, nor a vocabulary, nor a token that ends or begins.
    blank = options.blank_of(size) if split.kind == "ctc" else None
    without_tokens = blank is None and not (probabilities or vocabulary or options.end_ids) and start_id is None
    aligned = split.one_graph and gives_one_for_each_step(split)
    if flat.output:
        _refuse_tokens(flat.output, vocabulary, options)
        _ask_for_feed(split, size)
        return TargetSpec("value", size, max_length=max_length, aligned=aligned, step=flat.output), False
    if split.fed == "none" and without_tokens:
        return TargetSpec("value", size, max_length=max_length, aligned=aligned), False
    if split.fed == "value" and not one_hot:
        _ask_for_feed(split, size)
        if vocabulary is not None:
            raise ExportError(
                f"{option('target_vocab')}: the decoder reads {fed_size} features and gives {size} values, and a "
                "continuous model has no tokens; leave it out"
            )
        return TargetSpec("value", size, max_length=max_length), False
    if vocabulary is not None and len(vocabulary) != size:
        raise ExportError(
            f"the target vocabulary has {len(vocabulary)} symbols but the model gives {size} probabilities; "
            "give the symbols the model was trained with"
        )
    end_ids = options.end_ids or (() if vocabulary is None or vocabulary.end_id is None else (vocabulary.end_id,))
    for token in [*end_ids, *([] if start_id is None else [start_id])]:
        if token >= size:
            raise ExportError(f"start and end ids: expected 0 to {size - 1} (the model's outputs), got {token}")
    feedback = split.fed if split.fed in ("none", "probabilities") else "token"
    if feedback == "token" and start_id is None and not alone:
        raise ExportError(
            f"the first token fed to the decoder is unknown: give the target's symbols with "
            f"{option('target_vocab', 'FILE')} and the start and end among them with {option('start', 'SYMBOL')} and "
            f"{option('end', 'SYMBOL')}; or {option('start_id', 'N')} and {option('end_id', 'N')} for a model that "
            "only knows numbers"
        )
    return (
        TargetSpec(
            feedback,
            size,
            start_id=None if feedback == "none" else start_id,
            end_ids=tuple(end_ids),
            padding_id=_target_padding(split, vocabulary),
            unknown_id=None if vocabulary is None else vocabulary.unknown_id,
            max_length=max_length,
            aligned=aligned,
            blank_id=blank,
        ),
        one_hot,
    )


def _refuse_tokens(step: tuple[int, ...], vocabulary: Vocabulary | None, options: ExportOptions) -> None:
    """Refuse whatever speaks of tokens where a step has several axes."""
    given = [("target_vocab", vocabulary is not None), ("start_id", options.first_token is not None)]
    given += [("start_zeros", options.start_zeros), ("end_id", bool(options.end_ids))]
    names = " and ".join(option(name) for name, is_given in given if is_given)
    if names:
        raise ExportError(
            f"{names}: what is decoded has steps of shape {step}, which are values and no tokens; leave it out"
        )


def _ask_for_feed(split: SplitModel, size: int) -> None:
    """Refuse a decoder that reads vectors of which nobody said what they are; its shape allows several answers."""
    unsaid = next((fed for fed in split.fed_inputs if not fed.asked), None)
    if unsaid is None:
        return
    name, width = unsaid.value.name, int(unsaid.value.shape[-1] or 0)
    joined = "previous+known" if width > size else "previous[0]"
    own = (
        f"{option_by_name('feed', {name: 'previous'})} for its own output of the step before, "
        if width == size
        else f"{option_by_name('feed', {name: joined})} or the like for features of its own output of the step before, "
    )
    raise ExportError(
        f"the decoder reads {counted(width, 'feature')} a step from its input {name!r} and gives {size}: the model "
        f"doesn't show what is fed there once it is trained. Give {own}{option_by_name('feed', {name: 'known'})} for "
        f"values that are known in advance (calendar, prices), or {option_by_name('feed', {name: 'zeros'})}"
    )


def _target_padding(split: SplitModel, vocabulary: Vocabulary | None) -> int | None:
    """Return the id that fills short targets and is never generated.

    It is what the decoder masks, or what the vocabulary says. A space that also pads is an ordinary character.
    """
    operations: list[object] = [call.operation for call in split.reading.decoder_calls]
    if split.kind == "decoder-only":  # one that is run on a window is called as a whole
        called = [layer for operation in operations for layer in getattr(operation, "called", ())]
        operations += [inner for layer in called for inner in layer._flatten_layers()]
    if any(map(_masks_zero, operations)):
        return 0
    if vocabulary is None:
        return None
    if split.kind == "one-pass" and vocabulary.padding is None and vocabulary.end is None:
        return vocabulary.id_of(usual_padding(vocabulary.symbols))
    if vocabulary.padding is None or vocabulary.padding == vocabulary.end:
        return None
    return vocabulary.padding_id if vocabulary.padding.strip() else None


def _masks_zero(operation: object) -> bool:
    return isinstance(operation, keras.layers.Embedding) and bool(operation.mask_zero)


def _max_length(model: keras.Model, split: SplitModel, options: ExportOptions) -> int | None:
    """Return the length of the longest target.

    It is as asked for, as the vocabulary records it, or as the graph fixes it (its steps, if unrolled).
    """
    recorded = options.vocabulary.max_length if options.vocabulary is not None else None
    shape = model.outputs[split.output_index].shape
    fixed = split.steps or (1 if len(shape) == 2 else shape[1])
    chosen = options.max_length or recorded or fixed
    if fixed is not None and chosen is not None and chosen > fixed:
        told = option("max_length") if options.max_length else "max_length of the vocabulary"
        raise ExportError(f"{told}: the model's graph is fixed to {fixed} target steps, got {chosen}; leave it out")
    return None if chosen is None else int(chosen)


def feed_notes(split: SplitModel) -> list[str]:
    """Return a sentence for each input of the decoder of which was said what it is fed."""
    notes = []
    for fed in split.fed_inputs:
        if not fed.asked:
            continue
        name, parts = fed.value.name, []
        for part in fed.feed.parts:
            columns = f", its features {', '.join(map(str, part.columns))}" if part.columns else ""
            parts.append(_FED[part.kind].format(name=name, columns=columns))
        notes.append(f"the decoder's input {name!r} is fed {', then '.join(parts)}")
    return notes


_FED = {
    "previous": "the output before{columns}",
    "known": "what is known in advance: give it with known={{{name!r}: ...}} when decoding",
    "zeros": "zeros",
    "constant": "the start token at every step",
}
