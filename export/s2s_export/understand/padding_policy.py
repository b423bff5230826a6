"""How a model wants its sources padded: seen by running it, or asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import keras
import numpy as np
from keras import tree

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.source_terms import factors_of
from s2s_runtime.bundle.manifest_file import OtherSource
from s2s_runtime.spelling import option, shown
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary
from s2s_training.splitting.splitter import SplitModel

_ROWS: Final = 2  # of a batch that is tried: Keras takes what is added to a single row for a bias, in some shapes


@dataclass(frozen=True)
class PaddingFinder:
    """Finds out how sources are padded; running the model with and without padding shows whether it masks it.

    Args:
        split: the model taken apart.
        sources: what the encoder reads, in order; their `padding` is not looked at.
        options: of the export.
        notes: gets what a person should know, a sentence each.
    """

    split: SplitModel
    sources: Sequence[OtherSource]
    options: ExportOptions
    notes: list[str]

    @property
    def _recorded(self) -> PaddingPolicy | None:
        """What the vocabulary says about padding; None where it says nothing."""
        policy = None if self.options.vocabulary is None else self.options.vocabulary.padding
        says_nothing = policy is None or (not policy.masked and policy.id is None and policy.length is None)
        return None if says_nothing else policy

    @property
    def source(self) -> OtherSource:
        """The first source, which is the one that options and vocabulary speak of."""
        return self.sources[0]

    def policy(self) -> PaddingPolicy:
        """Return the policy of the first source, which is also that of all sources with as many steps."""
        if self.source.kind == "vector":
            return self._of_a_vector()
        recorded, options = self._recorded, self.options
        fixed_length = self.split.sources[0].shape[1]
        side = options.padding_side or (recorded.side if recorded is not None else "right")
        recorded_length = recorded.length if recorded is not None else None
        length = options.source_length or recorded_length or fixed_length or options.longest_source
        width = self.split.encoder.inputs[0].shape[1]
        if width is not None and length != width:
            told = option("source_length") if options.source_length else "padding.length of the vocabulary"
            raise ExportError(f"{told}: the model takes sources of {width} steps only, got {length}; leave it out")
        self._note_odd_masks()
        padding_id = self._filler(0)
        said_masked = recorded is not None and recorded.masked
        unmasked = self.split.kind == "one-pass" and not said_masked and not has_masks(self.split)
        if unmasked and length is None and self._ignores(self._together(), before=False):
            # What follows isn't looked at, or is like nothing at all: id 0 and values of zero are readings like others.
            return PaddingPolicy(masked=False)
        if width is None and (recorded is None or said_masked) and not unmasked:
            if self._ignores(self._together(), before=False):
                self._refuse_left(side)
                return PaddingPolicy(True, padding_id, "right", options.source_length)
            if said_masked:
                raise ExportError(
                    f"the vocabulary says that id {padding_id} is masked, but padding changes what the model gives: "
                    "set padding.masked to false and padding.length to the padded length of training"
                )
        if self.source.kind == "values":
            if self.options.padding not in (None, "zeros"):
                raise ExportError(
                    f"{option('padding', str(self.options.padding))}: sources are values, padded with "
                    "zeros; leave it out"
                )
            return PaddingPolicy(False, None, side, length)
        if length is None:
            raise ExportError(
                "this model reads its padding (it has no mask), so a sentence decodes the same only when padded to the "
                "length of training, which its free time dimension doesn't show: give "
                f"{option('source_length', 'N')}, and {option('padding', 'SYMBOL')} or zeros"
            )
        policy = PaddingPolicy(False, padding_id, side, length)
        self.notes.append(padding_note(policy))
        return policy

    def _of_a_vector(self) -> PaddingPolicy:
        """Return the policy of a source without a time axis: nothing pads it."""
        given = {"padding": self.options.padding, "source_length": self.options.source_length}
        if unfit := next((name for name, value in given.items() if value is not None), None):
            raise ExportError(
                f"{option(unfit)}: the source has no time axis ({self.split.sources[0].name!r}, "
                f"{self.split.sources[0].shape}), so nothing pads it; leave it out"
            )
        return PaddingPolicy(masked=False)

    def _refuse_left(self, side: str) -> None:
        """Refuse padding on the left, or note what it does, for a model that masks its padding.

        A model that masks it on the left too does as well with padding on the right, where ONNX wants it.
        """
        ignored = self._ignores(self._together(), before=True)
        if side == "right":
            if not ignored:
                self.notes.append(
                    "padding on the left changes what the model gives: decode unpadded sources, or pad right"
                )
            return
        if not ignored:
            raise ExportError(
                f"{option('padding_side', 'left')}: the model masks padding on the right, but padding on the left "
                "changes what it gives, and ONNX's recurrent layers can't skip leading steps; "
                "leave it out and decode unpadded sources"
            )
        self.notes.append("the model masks its padding wherever it stands: sources are padded on the right")

    def beside(self, index: int, first: PaddingPolicy) -> PaddingPolicy:
        """Return the policy of another source.

        Args:
            index: of the source, from 1.
            first: the first source's policy.
        """
        source, value = self.sources[index], self.split.sources[index]
        if source.kind == "vector":
            return PaddingPolicy(masked=False)
        padding_id = self._filler(index)
        free = self.split.encoder.inputs[index].shape[1] is None
        masked = free and self._ignores({index}, before=False)
        if source.aligned:  # the first source's mask, or its length, counts here too
            return PaddingPolicy(masked, padding_id, first.side, first.length)
        if masked:
            return PaddingPolicy(True, padding_id, "right", None)
        length = value.shape[1]
        self.notes.append(
            f"the model reads the padding of {source.name!r}: "
            + (f"it is padded to {length}" if length else "give it as long as in training, padded as it was there")
        )
        return PaddingPolicy(False, padding_id, "right", length)

    def _together(self) -> set[int]:
        return {i for i, source in enumerate(self.sources) if source.aligned}

    def _ignores(self, places: set[int], *, before: bool) -> bool:
        """Return whether one decoder step gives the same with padding after (or before) some sources as without it.

        Sources that must be as long get more steps too: padding where they are among `places`, else ordinary ones.
        """
        rng = np.random.default_rng(1)
        together = self._together()
        longer = places | together if places & together else places
        short, long = [], []
        for i, source in enumerate(self.sources):
            if source.kind == "vector":
                array = rng.normal(size=(1, *self.split.encoder.inputs[i].shape[1:]))
                short.append(array)
                long.append(array)
                continue
            row, more = _row(rng, source, 5, self._filler(i)), _row(rng, source, 4, self._filler(i))
            filler = np.full_like(more, self._filler(i) or 0) if i in places else more
            short.append(row[None])
            long.append((np.concatenate([filler, row] if before else [row, filler]) if i in longer else row)[None])
        batches = ([np.repeat(array, _ROWS, axis=0) for array in batch] for batch in (short, long))
        arrays = [for_encoder(self.split, self.sources, batch) for batch in batches]
        if self.split.one_graph:
            made = [tree.flatten(self.split.encoder(one, training=False)) for one in arrays]
            steps = short[0].shape[1], long[0].shape[1]
            return all(
                self._same_positions(np.asarray(one), np.asarray(other), steps, before=before)
                for one, other in zip(*made, strict=True)
            )
        outputs = [_one_step(self.split, batch) for batch in arrays]
        return all(np.allclose(one, other, atol=1e-6) for one, other in zip(*outputs, strict=True))

    def _same_positions(self, one: np.ndarray, other: np.ndarray, steps: tuple[int, int], *, before: bool) -> bool:
        """Return whether a pass over so many steps gives what one over more gives at the same positions."""
        each = max(1, one.shape[1] // steps[0]) if self.split.kind == "ctc" else 1  # frames of a step
        if (one.shape[1], other.shape[1]) == (each * steps[0], each * steps[1]):
            other = other[:, -one.shape[1] :] if before else other[:, : one.shape[1]]
        return one.shape == other.shape and np.allclose(one, other, atol=1e-6)

    def _filler(self, index: int) -> int | None:
        """Return the id that pads a source; None where it holds values."""
        if self.sources[index].kind in ("values", "vector"):
            return None
        known = None if self.options.vocabulary is None else self.options.vocabulary.source
        factor = factors_of(known).get(self.sources[index].name)
        if factor is not None and factor.padding_id is not None:
            return factor.padding_id
        return self._id if index == 0 else _assumed_id(self.sources[index])

    def _note_odd_masks(self) -> None:
        for call in self.split.reading.encoder_calls:
            value = getattr(call.operation, "mask_value", 0) if isinstance(call.operation, keras.layers.Masking) else 0
            if value != 0:
                self.notes.append(f"layer {call.name} masks rows of {value}: leave such rows out of sources")

    @cached_property
    def _id(self) -> int:
        given, kind = self.options.padding, self.source.kind
        if given == "zeros":
            if kind != "one-hot":
                raise ExportError(
                    f"{option('padding', 'zeros')}: only one-hot sources have rows of zeros; give a symbol or an id"
                )
            return -1
        if given is not None:
            known = self.options.vocabulary
            return _named_padding(given, None if known is None else known.source, self.source.size)
        if self._recorded is not None and self._recorded.id is not None:
            return self._recorded.id
        known = self.options.vocabulary
        if kind == "ids" and known is not None and known.source is not None and known.source.padding_id is not None:
            return known.source.padding_id
        assumed = _assumed_id(self.source)
        self.notes.append(assumed_note(assumed))
        return assumed


def has_masks(split: SplitModel) -> bool:
    """Return whether something in the part that reads the sources makes a mask, or is given one."""
    return any(
        isinstance(call.operation, keras.layers.Masking)
        or getattr(call.operation, "mask_zero", False)
        or call.arguments().get("mask") is not None
        for call in split.reading.encoder_calls
    )


def padding_note(policy: PaddingPolicy) -> str:
    """Return the sentence that says how every source is padded."""
    return f"the model reads its padding: every source is padded to {policy.length} with {_padding_name(policy.id)}"


def assumed_note(padding_id: int | None) -> str:
    """Return the sentence that says that nobody told what pads sources."""
    return f"padding is assumed to be {_padding_name(padding_id)} ({option('padding')} says otherwise)"


def _assumed_id(source: OtherSource) -> int:
    return -1 if source.kind == "one-hot" else 0


def _named_padding(given: str | int, vocabulary: Vocabulary | None, size: int) -> int:
    if vocabulary is not None and isinstance(given, str) and given in vocabulary.symbols:
        return vocabulary.symbols.index(given)
    if isinstance(given, int) and 0 <= given < size:
        return given
    if isinstance(given, str) and given.isdecimal() and int(given) < size:
        return int(given)
    raise ExportError(
        f"{option('padding')}: expected 'zeros', a source symbol, or an id from 0 to {size - 1}, got {shown(given)}"
    )


def _padding_name(padding_id: int | None) -> str:
    return "rows of zeros" if padding_id == -1 else f"id {padding_id}"


def _one_step(split: SplitModel, sources: Sequence[Any]) -> list[np.ndarray]:
    """Return output and next states of the first decoder step."""
    crossing = tree.flatten(split.encoder(list(sources), training=False))
    for tensor in crossing:
        tensor._keras_mask = None  # masks are inputs of the step decoder, not riders
    has_feed = split.fed not in ("none", "probabilities")
    fed = [keras.ops.ones((_ROWS, *split.decoder.inputs[0].shape[1:]))] if has_feed else []
    fed = [keras.ops.cast(tensor, split.decoder.inputs[0].dtype) for tensor in fed]
    outputs = [np.asarray(tensor) for tensor in tree.flatten(split.decoder([*fed, *crossing], training=False))]
    return outputs[: 1 + split.state_count]


def _row(rng: np.random.Generator, source: OtherSource, steps: int, padding_id: int | None) -> np.ndarray:
    """Return random content for some steps, none of it padding."""
    if source.kind == "values":
        return rng.normal(size=(steps, source.size))
    return rng.choice(ordinary_ids(source.size, {padding_id}), size=steps)


def ordinary_ids(size: int, special: Collection[int | None]) -> list[int]:
    """Return the ids below a size that have no special meaning; all, where none is left."""
    return [i for i in range(size) if i not in special] or list(range(size))


def for_encoder(split: SplitModel, sources: Sequence[OtherSource], batch: Sequence[np.ndarray]) -> list[Any]:
    """Return what the Keras encoder reads for graph inputs: ids, or their one-hot rows (-1 = zeros)."""
    made = []
    for tensor, source, array in zip(split.encoder.inputs, sources, batch, strict=True):
        rows = np.vstack([np.eye(source.size), np.zeros(source.size)])[array] if source.kind == "one-hot" else array
        made.append(keras.ops.convert_to_tensor(rows.astype(keras.backend.standardize_dtype(tensor.dtype))))
    return made
