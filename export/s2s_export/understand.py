"""What a split model is, in the bundle's terms: what its source holds, what is fed back, how it pads, when it stops.

The graph tells shapes and dtypes, a vocabulary tells symbols; what neither tells is asked for, never guessed silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_runtime.bundle import SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.padding import PaddingPolicy
from s2s_runtime.vocabulary import Vocabulary, VocabularyFile
from s2s_training.attention_weights import noise_for
from s2s_training.split import SplitModel


@dataclass(frozen=True)
class Understanding:
    """A training model in the bundle's terms.

    Attributes:
        source, target, padding: as the manifest holds them.
        source_vocabulary, target_vocabulary: symbols, where known.
        one_hot_target: whether the decoder input takes one-hot rows for tokens.
        probabilities: whether the training model's output is probabilities rather than logits or values.
        notes: what a person should know, a sentence each.
    """

    source: SourceSpec
    target: TargetSpec
    padding: PaddingPolicy
    source_vocabulary: Vocabulary | None
    target_vocabulary: Vocabulary | None
    one_hot_target: bool
    probabilities: bool
    notes: tuple[str, ...]


def understand(model: keras.Model, split: SplitModel, options: ExportOptions) -> Understanding:
    """Puts graph, vocabulary and options together.

    Raises:
        ExportError: they contradict each other (sizes that don't fit show both numbers), or something only the caller
            can know is missing.
    """
    notes: list[str] = []
    vocabulary = options.vocabulary
    sides = (vocabulary.source, vocabulary.target) if vocabulary is not None else (None, None)
    if len(split.source_indices) != 1:
        names = ", ".join(model.inputs[i].name for i in split.source_indices) or "none"
        raise ExportError(f"expected one source input beside the decoder's, found {names}")
    probabilities = _gives_probabilities(split)
    target, one_hot_target = _target(model, split, sides[1], options, probabilities=probabilities)
    source = _source(model, split, sides[0], options, one_hot_target=one_hot_target)
    padding = _Padding(split, source, vocabulary, options, notes).policy(model.inputs[split.source_indices[0]].shape[1])
    if target.max_length is None:
        notes.append("the longest target is unknown: callers must give max_length (--max-length records it)")
    return Understanding(source, target, padding, *sides, one_hot_target, probabilities, tuple(notes))


def _gives_probabilities(split: SplitModel) -> bool:
    """Whether one step's output is a distribution, seen by running it on noise."""
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
    """The target side, and whether tokens are fed as one-hot rows."""
    size = int(split.decoder.outputs[0].shape[-1])
    fed_size = split.decoder.inputs[0].shape[-1] if split.fed == "value" else None
    start_id = options.first_token
    one_hot = split.fed == "value" and fed_size == size and (probabilities or start_id is not None)
    max_length = _max_length(model, split, options)
    if split.fed == "value" and not one_hot:
        if vocabulary is not None:
            raise ExportError(
                f"a target vocabulary was given, but the decoder reads {fed_size} features and gives {size} values: "
                "a continuous model has no tokens; leave the target vocabulary out"
            )
        return TargetSpec("value", size, max_length=max_length), False
    if vocabulary is not None and len(vocabulary) != size:
        raise ExportError(
            f"the target vocabulary has {len(vocabulary)} symbols but the model gives {size} probabilities; "
            "give the vocabulary the model was trained with (--vocab)"
        )
    end_ids = options.end_ids or (() if vocabulary is None or vocabulary.end_id is None else (vocabulary.end_id,))
    for token in [*end_ids, *([] if start_id is None else [start_id])]:
        if token >= size:
            raise ExportError(f"start and end ids: expected 0 to {size - 1} (the model's outputs), got {token}")
    feedback = split.fed if split.fed in ("none", "probabilities") else "token"
    if feedback == "token" and start_id is None:
        raise ExportError(
            "the first token fed to the decoder is unknown: put a vocab.json with target.start beside the model, give "
            "--vocab FILE, or --start-id N (and --end-id N) for a model that only knows numbers"
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


def _target_padding(split: SplitModel, vocabulary: Vocabulary | None) -> int | None:
    """The id that fills short targets and is never generated: what the decoder masks, or what the vocabulary says.

    A space that also pads is an ordinary character.
    """
    if any(_masks_zero(call.operation) for call in split.reading.decoder_calls):
        return 0
    if vocabulary is None or vocabulary.padding is None or vocabulary.padding == vocabulary.end:
        return None
    return vocabulary.padding_id if vocabulary.padding.strip() else None


def _masks_zero(operation: object) -> bool:
    return isinstance(operation, keras.layers.Embedding) and bool(operation.mask_zero)


def _max_length(model: keras.Model, split: SplitModel, options: ExportOptions) -> int | None:
    """Longest target: as asked for, as the vocabulary records it, or as the graph fixes it (its steps, if unrolled)."""
    recorded = options.vocabulary.max_length if options.vocabulary is not None else None
    fixed = split.steps or model.outputs[split.output_index].shape[1]
    chosen = options.max_length or recorded or fixed
    if fixed is not None and chosen is not None and chosen > fixed:
        raise ExportError(f"max_length: the model's graph is fixed to {fixed} target steps, got {chosen}")
    return None if chosen is None else int(chosen)


def _source(
    model: keras.Model,
    split: SplitModel,
    vocabulary: Vocabulary | None,
    options: ExportOptions,
    *,
    one_hot_target: bool,
) -> SourceSpec:
    tensor = split.encoder.inputs[0]
    if len(tensor.shape) == 2:
        size = _embedding_size(split) or (len(vocabulary) if vocabulary is not None else None)
        if size is None:
            raise ExportError("the number of source ids is unknown: no Embedding reads them; give --vocab FILE")
        _check_size(vocabulary, size, exact=False)
        known = len(vocabulary) if vocabulary is not None else size
        return SourceSpec("ids", known, (TensorSpec("source", "int64", (None, None)),))
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
            "a source vocabulary was given, but the source is values (--source-kind one-hot if it is not)"
        )
    return SourceSpec("values", size, (TensorSpec("source", "float32", (None, None, size)),))


def _check_size(vocabulary: Vocabulary | None, size: int, *, exact: bool) -> None:
    if vocabulary is not None and (len(vocabulary) > size or (exact and len(vocabulary) != size)):
        raise ExportError(
            f"the source vocabulary has {len(vocabulary)} symbols but the model reads {size}; "
            "give the vocabulary the model was trained with (--vocab)"
        )


def _embedding_size(split: SplitModel) -> int | None:
    """How many ids the encoder's embedding knows."""
    sizes = [
        int(call.operation.input_dim)
        for call in split.reading.encoder_calls
        if isinstance(call.operation, keras.layers.Embedding)
    ]
    return min(sizes, default=None)


@dataclass(frozen=True)
class _Padding:
    """Finds the padding policy; whether the model masks its padding is seen by running it with and without."""

    split: SplitModel
    source: SourceSpec
    vocabulary: VocabularyFile | None
    options: ExportOptions
    notes: list[str]

    @property
    def _recorded(self) -> PaddingPolicy | None:
        return None if self.vocabulary is None else self.vocabulary.padding

    def policy(self, fixed_length: int | None) -> PaddingPolicy:
        """The policy, for a source input whose time dimension is fixed to a length or free."""
        recorded, options = self._recorded, self.options
        side = options.padding_side or (recorded.side if recorded is not None else "right")
        length = options.source_length or (recorded.length if recorded is not None else None) or fixed_length
        if self.source.kind == "values":
            return PaddingPolicy(False, None, side, length)
        padding_id = self._id()
        said_masked = recorded is not None and recorded.masked
        if recorded is None or said_masked:
            if side == "right" and _ignores_padding(self.split, self.source, padding_id):
                return PaddingPolicy(True, padding_id, "right", options.source_length)
            if said_masked:
                raise ExportError(
                    f"the vocabulary says that id {padding_id} is masked, but padding changes what the model gives: "
                    "set padding.masked to false and padding.length to the padded length of training"
                )
        if length is None:
            raise ExportError(
                "this model reads its padding (it has no mask), so a sentence decodes the same only when padded to the "
                "length of training, which its free time dimension doesn't show: give --source-length N, and "
                "--padding SYMBOL or zeros"
            )
        self.notes.append(
            f"the model reads its padding: every source is padded to {length} with {_padding_name(padding_id)}"
        )
        return PaddingPolicy(False, padding_id, side, length)

    def _id(self) -> int:
        given, kind = self.options.padding, self.source.kind
        if given == "zeros":
            if kind != "one-hot":
                raise ExportError("--padding zeros: only one-hot sources have rows of zeros; give a symbol or an id")
            return -1
        if given is not None:
            return _named_padding(given, None if self.vocabulary is None else self.vocabulary.source, self.source.size)
        if self._recorded is not None and self._recorded.id is not None:
            return self._recorded.id
        assumed = -1 if kind == "one-hot" else 0
        self.notes.append(f"padding is assumed to be {_padding_name(assumed)} (--padding says otherwise)")
        return assumed


def _named_padding(given: str, vocabulary: Vocabulary | None, size: int) -> int:
    if vocabulary is not None and given in vocabulary.symbols:
        return vocabulary.symbols.index(given)
    if given.isdecimal() and int(given) < size:
        return int(given)
    raise ExportError(f"--padding: expected 'zeros', a source symbol, or an id from 0 to {size - 1}, got {given!r}")


def _padding_name(padding_id: int | None) -> str:
    return "rows of zeros" if padding_id == -1 else f"id {padding_id}"


def _ignores_padding(split: SplitModel, source: SourceSpec, padding_id: int | None) -> bool:
    """Whether one decoder step gives the same for a source with padding after it as without."""
    rng = np.random.default_rng(1)
    usable = [i for i in range(source.size) if i != padding_id]
    row = rng.choice(usable, size=5)
    padded = np.concatenate([row, np.full(4, padding_id)])
    outputs = []
    for ids in (row, padded):
        memory = tree.flatten(split.encoder([source_array(split, source, ids[None])], training=False))
        for tensor in memory:
            tensor._keras_mask = None  # masks are inputs of the step decoder, not riders
        fed = (
            [] if split.fed in ("none", "probabilities") else [keras.ops.ones((1, *split.decoder.inputs[0].shape[1:]))]
        )
        fed = [keras.ops.cast(tensor, split.decoder.inputs[0].dtype) for tensor in fed]
        outputs.append([np.asarray(t) for t in tree.flatten(split.decoder([*fed, *memory], training=False))])
    count = 1 + split.state_count
    return all(np.allclose(a, b, atol=1e-6) for a, b in zip(outputs[0][:count], outputs[1][:count], strict=True))


def source_array(split: SplitModel, source: SourceSpec, ids: np.ndarray) -> Any:
    """What the Keras encoder reads for ids (batch, time): the ids themselves, or their one-hot rows (-1 = zeros)."""
    tensor = split.encoder.inputs[0]
    if source.kind == "one-hot":
        ids = np.vstack([np.eye(source.size), np.zeros(source.size)])[ids]
    return keras.ops.convert_to_tensor(ids.astype(keras.backend.standardize_dtype(tensor.dtype)))
