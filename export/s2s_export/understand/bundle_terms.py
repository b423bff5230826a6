"""What a split model is, in the bundle's terms: what its source holds, what is fed back, how it pads, when it stops.

The graph tells shapes and dtypes, a vocabulary tells symbols; what neither tells is asked for, never guessed silently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import tree

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.padding_policy import PaddingFinder
from s2s_export.understand.unnamed_ids import widened
from s2s_runtime.bundle.manifest_file import OtherSource, SourceKind, SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.splitting.attention_weights import noise_for
from s2s_training.splitting.feeding import feed_option
from s2s_training.splitting.graph import Graph, Value
from s2s_training.splitting.splitter import SplitModel


@dataclass(frozen=True)
class Understanding:
    """A training model in the bundle's terms.

    Attributes:
        source, target, padding: as the manifest holds them.
        source_vocabulary, target_vocabulary: symbols, where known.
        one_hot_target: whether the decoder input takes one-hot rows for tokens.
        start_token: the token that is fed first, or all the time; None where there is none.
        probabilities: whether the training model's output is probabilities rather than logits or values.
        longest: how many steps the training model can read of each source, in their order; None where any number.
        notes: what a person should know, a sentence each.
    """

    source: SourceSpec
    target: TargetSpec
    padding: PaddingPolicy
    source_vocabulary: Vocabulary | None
    target_vocabulary: Vocabulary | None
    one_hot_target: bool
    start_token: int | None
    probabilities: bool
    longest: tuple[int | None, ...]
    notes: tuple[str, ...]

    @property
    def sources(self) -> tuple[OtherSource, ...]:
        """All source inputs, in the order of the encoder's, each described in the same way."""
        first = OtherSource(self.source.name, self.source.kind, self.source.size, aligned=True, padding=self.padding)
        return (first, *self.source.others)


def understand(model: keras.Model, split: SplitModel, options: ExportOptions) -> Understanding:
    """Put graph, vocabulary and options together.

    Raises:
        ExportError: they contradict each other (sizes that don't fit show both numbers), or something only the caller
            can know is missing.
    """
    notes: list[str] = []
    vocabulary = options.vocabulary
    sides = (None, None) if vocabulary is None else _sides(split, vocabulary, options, notes)
    probabilities = _gives_probabilities(split)
    target, one_hot_target = _target(model, split, sides[1], options, probabilities=probabilities)
    source = _source(split, sides[0], options, one_hot_target=one_hot_target)
    others = _others(split, options)
    tensors = (_graph_input(i, other, split.sources[i].shape[1:]) for i, other in enumerate(others, 1))
    source = replace(source, inputs=(*source.inputs, *tensors))
    finder = PaddingFinder(split, (_alone(source), *others), options, notes)
    padding = finder.policy()
    if others:
        padded = tuple(
            other if other.known else replace(other, padding=finder.beside(i, padding))
            for i, other in enumerate(others, 1)
        )
        source = replace(source, name=split.sources[0].name, others=padded)
        given = [name for name in source.names if name not in source.known]
        if len(given) > 1:
            notes.append(f"several sources: decode with a mapping from {', '.join(given)} to rows")
    notes += _feed_notes(split)
    if split.prefix is not None:
        target = replace(target, most=split.prefix)
        notes.append(
            f"the decoder is run on its whole prefix again at every step, as {'; '.join(split.reading.problems)}: what "
            f"it gives is exact, a step costs more the longer the target is, and it takes {split.prefix} steps at most"
        )
    if target.feedback == "value" and split.fed == "none" and not split.fed_inputs:
        notes.append(
            "the output is taken for values, as nothing says that it is tokens "
            f"({option('target_vocab')}, or {option('end_id')}, would); what the "
            "decoder reads is among its own states, a start value given to predict is not looked at"
        )
    if target.max_length is None:
        notes.append(unknown_length_note())
    longest = _longest(split, (padding, *(other.padding for other in source.others)))
    fed = one_hot_target, options.first_token
    return Understanding(source, target, padding, *sides, *fed, probabilities, longest, tuple(notes))


def _feed_notes(split: SplitModel) -> list[str]:
    """Return a sentence for each input of the decoder of which was said what it is fed."""
    size, notes = int(split.decoder.outputs[0].shape[-1] or 0), []
    for fed in split.fed_inputs:
        name, parts = fed.value.name, []
        if not fed.asked:
            continue
        width = 1 if fed.ids else int(fed.value.shape[-1] or 0)
        sizes = [width] if fed.ids or len(fed.feed.parts) == 1 else fed.feed.widths(name, width, size)
        for part, count in zip(fed.feed.parts, sizes, strict=True):
            columns = f", its features {', '.join(map(str, part.columns))}" if part.columns else ""
            parts.append(_FED[part.kind].format(name=name, count=count, columns=columns))
        notes.append(f"the decoder's input {name!r} is fed {', then '.join(parts)}")
    return notes


_FED = {
    "previous": "the output before{columns}",
    "known": "what is known in advance: give it with known={{{name!r}: ...}} when decoding",
    "zeros": "zeros",
    "constant": "the start token at every step",
}


def unknown_length_note() -> str:
    """Return the sentence that says that nobody told how long targets get."""
    return f"the longest target is unknown: callers must give max_length ({option('max_length')} records it here)"


def _sides(
    split: SplitModel, vocabulary: VocabularyFile, options: ExportOptions, notes: list[str]
) -> tuple[Vocabulary | None, Vocabulary | None]:
    """Return both sides' symbols; ids that have none get names where ids without symbols are allowed."""
    if not options.unnamed_ids:
        return vocabulary.source, vocabulary.target
    read = split.encoder.inputs[0].shape
    source = widened(vocabulary.source, read[2] if len(read) == 3 else None)
    target = widened(vocabulary.target, split.decoder.outputs[0].shape[-1])
    for name, given, made in (("source", vocabulary.source, source), ("target", vocabulary.target, target)):
        if given is not None and made is not None and len(made) > len(given):
            notes.append(
                f"the model has {len(made)} {name} ids, {len(given)} of them have symbols: the others are called "
                f"{made.symbols[len(given)]} to {made.symbols[-1]}"
            )
    return source, target


def _longest(split: SplitModel, policies: Sequence[PaddingPolicy]) -> tuple[int | None, ...]:
    """Return the padded length of each source, or the training model's own length.

    The encoder's graph may be free of that. Sources that have as many steps as the first share the smallest length.
    """
    fixed = [
        None if split.vectors[i] else policy.length or split.sources[i].shape[1] for i, policy in enumerate(policies)
    ]
    together = min((fixed[i] or 0 for i, aligned in enumerate(split.aligned) if aligned and fixed[i]), default=None)
    return tuple(together if split.aligned[i] else length for i, length in enumerate(fixed))


def _gives_probabilities(split: SplitModel) -> bool:
    """Return whether the output of one step is a distribution, as a run on noise shows."""
    inputs = noise_for(split.decoder.inputs)
    output = np.asarray(tree.flatten(split.decoder(inputs, training=False))[0], dtype=np.float64)
    return bool(output.shape[-1] > 1 and (output >= 0).all() and np.allclose(output.sum(axis=-1), 1, atol=1e-3))


def _target(
    model: keras.Model,
    split: SplitModel,
    vocabulary: Vocabulary | None,
    options: ExportOptions,
    *,
    probabilities: bool,
) -> tuple[TargetSpec, bool]:
    """Return the target side, and whether tokens are fed as one-hot rows."""
    step = tuple(split.decoder.outputs[0].shape[1:])
    if len(step) != 1:
        raise ExportError(_frames("what is decoded", step))
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
    one_hot = split.fed == "value" and fed_size == size and (probabilities or start_id is not None)
    max_length = _max_length(model, split, options)
    # Nothing says symbols: neither a softmax, nor a vocabulary, nor a token that ends or begins.
    without_tokens = not (probabilities or vocabulary or options.end_ids) and start_id is None
    if split.fed == "none" and without_tokens:
        return TargetSpec("value", size, max_length=max_length), False
    if split.fed == "value" and not one_hot:
        _ask_for_feed(split, size)
        if vocabulary is not None:
            raise ExportError(
                f"a target vocabulary was given, but the decoder reads {fed_size} features and gives {size} values: "
                "a continuous model has no tokens; leave the target vocabulary out"
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
    if feedback == "token" and start_id is None:
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
        ),
        one_hot,
    )


def _ask_for_feed(split: SplitModel, size: int) -> None:
    """Refuse a decoder that reads vectors of which nobody said what they are; its shape allows several answers."""
    unsaid = next((fed for fed in split.fed_inputs if not fed.asked), None)
    if unsaid is None:
        return
    name, width = unsaid.value.name, int(unsaid.value.shape[-1] or 0)
    joined = "previous+known" if width > size else "previous[0]"
    own = (
        f"{feed_option({name: 'previous'})} for its own output of the step before, "
        if width == size
        else f"{feed_option({name: joined})} or the like for features of its own output of the step before, "
    )
    raise ExportError(
        f"the decoder reads {_features(width)} a step from its input {name!r} and gives {size}: the model doesn't show "
        f"what is fed there once it is trained. Give {own}{feed_option({name: 'known'})} for values that are known in "
        f"advance (calendar, prices), or {feed_option({name: 'zeros'})}"
    )


def _features(count: int) -> str:
    return f"{count} feature" if count == 1 else f"{count} features"


def _target_padding(split: SplitModel, vocabulary: Vocabulary | None) -> int | None:
    """Return the id that fills short targets and is never generated.

    It is what the decoder masks, or what the vocabulary says. A space that also pads is an ordinary character.
    """
    if any(_masks_zero(call.operation) for call in split.reading.decoder_calls):
        return 0
    if vocabulary is None or vocabulary.padding is None or vocabulary.padding == vocabulary.end:
        return None
    return vocabulary.padding_id if vocabulary.padding.strip() else None


def _masks_zero(operation: object) -> bool:
    return isinstance(operation, keras.layers.Embedding) and bool(operation.mask_zero)


def _max_length(model: keras.Model, split: SplitModel, options: ExportOptions) -> int | None:
    """Return the length of the longest target.

    It is as asked for, as the vocabulary records it, or as the graph fixes it (its steps, if unrolled).
    """
    recorded = options.vocabulary.max_length if options.vocabulary is not None else None
    fixed = split.steps or model.outputs[split.output_index].shape[1]
    chosen = options.max_length or recorded or fixed
    if fixed is not None and chosen is not None and chosen > fixed:
        raise ExportError(f"max_length: the model's graph is fixed to {fixed} target steps, got {chosen}")
    return None if chosen is None else int(chosen)


def _source(
    split: SplitModel,
    vocabulary: Vocabulary | None,
    options: ExportOptions,
    *,
    one_hot_target: bool,
) -> SourceSpec:
    tensor = split.encoder.inputs[0]
    if split.vectors[0]:
        if vocabulary is not None or options.source_kind != "auto":
            raise ExportError(
                f"the source input has shape {tensor.shape}, numbers of a whole sentence: it takes neither "
                f"{option('source_vocab')} nor {option('source_kind')}; leave them out"
            )
        shape = tuple(int(size) for size in tensor.shape[1:])
        return SourceSpec("vector", math.prod(shape), (TensorSpec("source", "float32", (None, *shape)),))
    if len(tensor.shape) == 2:
        if options.source_kind != "auto":
            raise ExportError(
                f"{option('source_kind', options.source_kind)}: the source is ids, not vectors; leave it out"
            )
        size = embedding_size(split, split.sources[0]) or (len(vocabulary) if vocabulary is not None else None)
        if size is None:
            raise ExportError(
                "the number of source ids is unknown, as no Embedding reads them: give "
                f"{option('source_vocab', 'FILE')}"
            )
        _check_size(vocabulary, size, exact=False)
        known = len(vocabulary) if vocabulary is not None else size
        return SourceSpec("ids", known, (TensorSpec("source", "int64", (None, None)),))
    if len(tensor.shape) > 3:
        raise ExportError(_frames("the source", tuple(tensor.shape[2:])))
    if len(tensor.shape) != 3 or tensor.shape[-1] is None:
        raise ExportError(
            f"the source input has shape {tensor.shape}; expected (batch, time) or (batch, time, features)"
        )
    size = int(tensor.shape[-1])
    one_hot = options.source_kind == "one-hot" or (
        options.source_kind == "auto" and (vocabulary is not None or one_hot_target) and size > 1
    )
    if one_hot:
        _check_size(vocabulary, size, exact=True)
        return SourceSpec("one-hot", size, (TensorSpec("source", "int64", (None, None)),))
    if vocabulary is not None:
        raise ExportError(
            f"a source vocabulary was given, but the source is values ({option('source_kind', 'one-hot')} if it is not)"
        )
    return SourceSpec("values", size, (TensorSpec("source", "float32", (None, None, size)),))


def _frames(what: str, step: tuple[int | None, ...]) -> str:
    """Return why a sequence whose steps have several axes is refused, and how to build the model around that."""
    return (
        f"{what} has steps of shape {step}, and a bundle's have one axis: build the model from the same layers with "
        "inputs (batch, time, features), TimeDistributed(Reshape(...)) behind them and TimeDistributed(Flatten()) "
        "before its output; the weights stay as they are"
    )


def _alone(source: SourceSpec) -> OtherSource:
    return OtherSource(source.name, source.kind, source.size, aligned=True, padding=PaddingPolicy(masked=False))


def _others(split: SplitModel, options: ExportOptions) -> tuple[OtherSource, ...]:
    """Return what the encoder reads beside its first source; the padding of these is still to be found."""
    known = [value.name for value in split.sources[1:] if len(value.shape) == 3]
    for name in options.one_hot_inputs:
        if name not in known:
            names = ", ".join(known) or "none"
            raise ExportError(
                f"{option('one_hot_input')}: expected a further source input of vectors ({names}), got {name!r}"
            )
    others, tensors = [], split.encoder.inputs
    for i, value in list(enumerate(split.sources))[1:]:
        size = tensors[i].shape[-1] if len(value.shape) == 3 else embedding_size(split, value)
        size = math.prod(int(n or 0) for n in value.shape[1:]) if split.vectors[i] else size
        if not split.vectors[i] and (len(value.shape) not in (2, 3) or size is None):
            raise ExportError(
                f"the source input {value.name!r} has shape {value.shape}; expected ids (batch, time) that an "
                "Embedding reads, values (batch, time, features), or an array whose sizes are all fixed (batch, ...)"
            )
        vectors: SourceKind = "one-hot" if value.name in options.one_hot_inputs else "values"
        kind: SourceKind = "vector" if split.vectors[i] else (vectors if len(value.shape) == 3 else "ids")
        nothing = PaddingPolicy(masked=False)
        sizes = (value.name, kind, int(size or 0))
        others.append(OtherSource(*sizes, aligned=split.aligned[i], padding=nothing, known=split.known[i]))
    return tuple(others)


def _graph_input(index: int, source: OtherSource, shape: tuple[int | None, ...]) -> TensorSpec:
    if source.kind in ("ids", "one-hot"):
        return TensorSpec(f"source.{index}", "int64", (None, None))
    own = shape if source.kind == "vector" else (None, source.size)
    return TensorSpec(f"source.{index}", "float32", (None, *own))


def _check_size(vocabulary: Vocabulary | None, size: int, *, exact: bool) -> None:
    if vocabulary is not None and (len(vocabulary) > size or (exact and len(vocabulary) != size)):
        raise ExportError(
            f"the source vocabulary has {len(vocabulary)} symbols but the model reads {size}; "
            "give the symbols the model was trained with"
        )


def embedding_size(split: SplitModel, value: Value) -> int | None:
    """Return how many ids the embedding of an input knows."""
    calls = (*split.reading.encoder_calls, *split.reading.decoder_calls)
    behind = Graph((), calls, ()).dependents([value])
    sizes = [
        int(call.operation.input_dim)
        for call in calls
        if isinstance(call.operation, keras.layers.Embedding) and behind.intersection(call.inputs)
    ]
    # A function that encodes says of itself how many ids it reads.
    sizes += [size for call in calls if (size := getattr(call.operation, "source_size", None)) is not None]
    return min(sizes, default=None)
