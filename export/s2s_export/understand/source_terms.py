"""What a split model reads, in the bundle's terms: kind, size and graph input of each source."""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_runtime.bundle.manifest_file import OtherSource, SourceKind, SourceSpec, TensorSpec
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.factors import Factor, FactoredVocabulary
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary
from s2s_training.splitting.graph import Graph, Value
from s2s_training.splitting.splitter import SplitModel


def source_terms(
    split: SplitModel,
    vocabulary: Vocabulary | None,
    options: ExportOptions,
    steps: Mapping[str, tuple[int, ...]],
    *,
    one_hot_target: bool,
) -> SourceSpec:
    """Return the first source, of which one-hot rows are expected where the target has them.

    Args:
        split: the model taken apart.
        vocabulary: the source's symbols.
        options: of the export.
        steps: the shape of a step, by the name of the input, where it has several axes.
        one_hot_target: whether the target's tokens are fed as one-hot rows.

    Raises:
        ExportError: vocabulary or options contradict the input's shape, or the number of ids is unknown.
    """
    tensor = split.encoder.inputs[0]
    if split.kind == "decoder-only":
        if vocabulary is not None:
            raise ExportError(
                f"{option('source_vocab')}: a language model has no source; leave it out, and give its symbols as "
                f"those of the target ({option('target_vocab', 'FILE')})"
            )
        return SourceSpec("ids", 1, (TensorSpec("source", "int64", (None, None)),))
    if split.vectors[0]:
        if vocabulary is not None or options.source_kind != "auto":
            raise ExportError(
                f"{option('source_vocab' if vocabulary is not None else 'source_kind')}: the source input has shape "
                f"{tensor.shape}, numbers of a whole sentence, which are no symbols; leave it out"
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
    if len(tensor.shape) != 3 or tensor.shape[-1] is None:
        raise ExportError(
            f"the source input has shape {tensor.shape}; expected (batch, time) or (batch, time, features)"
        )
    size, step = int(tensor.shape[-1]), steps.get(split.sources[0].name, ())
    if step and (vocabulary is not None or options.source_kind == "one-hot"):
        raise ExportError(
            f"{option('source_vocab' if vocabulary is not None else 'source_kind')}: the source has steps of shape "
            f"{step}, which are values and no symbols; leave it out"
        )
    one_hot = options.source_kind == "one-hot" or (
        options.source_kind == "auto" and (vocabulary is not None or one_hot_target) and size > 1 and not step
    )
    if one_hot:
        _check_size(vocabulary, size, exact=True)
        return SourceSpec("one-hot", size, (TensorSpec("source", "int64", (None, None)),))
    if vocabulary is not None:
        raise ExportError(
            f"{option('source_vocab')}: the source has rows of {size} values, and symbols are for ids and one-hot "
            f"rows; leave it out, or give {option('source_kind', 'one-hot')} where they are such rows"
        )
    return SourceSpec("values", size, (TensorSpec("source", "float32", (None, None, size)),), step=step)


def further_sources(
    split: SplitModel, vocabulary: Vocabulary | None, options: ExportOptions, steps: Mapping[str, tuple[int, ...]]
) -> tuple[OtherSource, ...]:
    """Return what the encoder reads beside its first source; the padding of these is still to be found.

    Args:
        split: the model taken apart.
        vocabulary: the source's symbols, and its factors.
        options: of the export.
        steps: the shape of a step, by the name of the input, where it has several axes.
    """
    known = [value.name for value in split.sources[1:] if len(value.shape) == 3]
    for name in options.one_hot_inputs:
        if name not in known:
            names = ", ".join(known) or "none"
            raise ExportError(
                f"{option('one_hot_input')}: expected a further source input of vectors ({names}), got {name!r}"
            )
    others, tensors, factors = [], split.encoder.inputs, factors_of(vocabulary)
    _check_factors(factors, split)
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
        if value.name in factors:
            size = _size_of_factor(factors[value.name], split, i, size)
        nothing, step = PaddingPolicy(masked=False), steps.get(value.name, ())
        sizes = (value.name, kind, int(size or 0))
        others.append(OtherSource(*sizes, aligned=split.aligned[i], padding=nothing, known=split.known[i], step=step))
    return tuple(others)


def factors_of(vocabulary: Vocabulary | None) -> dict[str, Factor]:
    """Return the factors of a source's symbols by the names of the inputs that read them; none where it has none."""
    return {factor.name: factor for factor in vocabulary.factors} if isinstance(vocabulary, FactoredVocabulary) else {}


def _check_factors(factors: Mapping[str, Factor], split: SplitModel) -> None:
    """Refuse factors that no input of the model reads."""
    inputs = [value.name for value in split.sources[1:]]
    for name in factors:
        if name not in inputs:
            read = ", ".join(map(repr, inputs)) or "nothing"
            raise ExportError(
                f"the vocabulary has a factor {name!r}, but beside {split.sources[0].name!r} the model reads {read}: "
                "name the factor as the model's input"
            )


def _size_of_factor(factor: Factor, split: SplitModel, place: int, size: int | None) -> int:
    """Return how many symbols a factor has, read by the source input at a place."""
    if len(split.sources[place].shape) != 2 or split.vectors[place] or not split.aligned[place] or split.known[place]:
        raise ExportError(
            f"factor {factor.name!r}: expected an input of ids (batch, time) with as many steps as the source, got "
            f"shape {split.sources[place].shape}"
        )
    if len(factor) > (size or 0):
        raise ExportError(
            f"factor {factor.name!r}: the vocabulary has {len(factor)} symbols but the model reads {size}; give those "
            "that the model was trained with"
        )
    return len(factor)


def graph_input(index: int, source: OtherSource, shape: tuple[int | None, ...]) -> TensorSpec:
    """Return the encoder graph's input for a further source, whose tensor has this shape behind its batch axis."""
    if source.kind in ("ids", "one-hot"):
        return TensorSpec(f"source.{index}", "int64", (None, None))
    own = shape if source.kind == "vector" else (None, source.size)
    return TensorSpec(f"source.{index}", "float32", (None, *own))


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


def _check_size(vocabulary: Vocabulary | None, size: int, *, exact: bool) -> None:
    if vocabulary is not None and (len(vocabulary) > size or (exact and len(vocabulary) != size)):
        raise ExportError(
            f"the source vocabulary has {len(vocabulary)} symbols but the model reads {size}; "
            "give the symbols the model was trained with"
        )
