"""How a model wants its sources padded: seen by running it, or asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_runtime.bundle import SourceSpec
from s2s_runtime.padding import PaddingPolicy
from s2s_runtime.vocabulary import Vocabulary
from s2s_training.split import SplitModel


@dataclass(frozen=True)
class PaddingFinder:
    """Finds the padding policy; whether the model masks its padding is seen by running it with and without."""

    split: SplitModel
    source: SourceSpec
    options: ExportOptions
    notes: list[str]

    @property
    def _recorded(self) -> PaddingPolicy | None:
        """What the vocabulary says of padding; None where it says nothing."""
        policy = None if self.options.vocabulary is None else self.options.vocabulary.padding
        says_nothing = policy is None or (not policy.masked and policy.id is None and policy.length is None)
        return None if says_nothing else policy

    def policy(self, fixed_length: int | None) -> PaddingPolicy:
        """The policy, for a source input whose time dimension is fixed to a length or free."""
        recorded, options = self._recorded, self.options
        side = options.padding_side or (recorded.side if recorded is not None else "right")
        recorded_length = recorded.length if recorded is not None else None
        length = options.source_length or recorded_length or fixed_length or options.longest_source
        self._note_odd_masks()
        padding_id = None if self.source.kind == "values" else self._id()
        said_masked = recorded is not None and recorded.masked
        if recorded is None or said_masked:
            if self._ignores(padding_id, before=False):
                self._refuse_left(side, padding_id)
                return PaddingPolicy(True, padding_id, "right", options.source_length)
            if said_masked:
                raise ExportError(
                    f"the vocabulary says that id {padding_id} is masked, but padding changes what the model gives: "
                    "set padding.masked to false and padding.length to the padded length of training"
                )
        if self.source.kind == "values":
            return PaddingPolicy(False, None, side, length)
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

    def _refuse_left(self, side: str, padding_id: int | None) -> None:
        """A model that masks its padding on the left too does as well with it on the right, where ONNX wants it."""
        if side == "right":
            return
        if not self._ignores(padding_id, before=True):
            raise ExportError(
                "--padding-side left: the model masks padding on the right, but padding on the left changes what it "
                "gives, and ONNX's recurrent layers can't skip leading steps: leave --padding-side out and decode "
                "unpadded sources"
            )
        self.notes.append("the model masks its padding wherever it stands: sources are padded on the right")

    def _ignores(self, padding_id: int | None, *, before: bool) -> bool:
        """Whether one decoder step gives the same for a source with padding after (or before) it as without."""
        rng = np.random.default_rng(1)
        if self.source.kind == "values":
            row = rng.normal(size=(5, self.source.size))
            filler = np.zeros((4, self.source.size))
        else:
            row = rng.choice([i for i in range(self.source.size) if i != padding_id], size=5)
            filler = np.full(4, padding_id)
        padded = np.concatenate([filler, row] if before else [row, filler])
        outputs = [_one_step(self.split, source_array(self.split, self.source, array[None])) for array in (row, padded)]
        return all(np.allclose(one, other, atol=1e-6) for one, other in zip(*outputs, strict=True))

    def _note_odd_masks(self) -> None:
        for call in self.split.reading.encoder_calls:
            value = getattr(call.operation, "mask_value", 0) if isinstance(call.operation, keras.layers.Masking) else 0
            if value != 0:
                self.notes.append(f"layer {call.name} masks rows of {value}: leave such rows out of sources")

    def _id(self) -> int:
        given, kind = self.options.padding, self.source.kind
        if given == "zeros":
            if kind != "one-hot":
                raise ExportError("--padding zeros: only one-hot sources have rows of zeros; give a symbol or an id")
            return -1
        if given is not None:
            known = self.options.vocabulary
            return _named_padding(given, None if known is None else known.source, self.source.size)
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


def _one_step(split: SplitModel, source: Any) -> list[np.ndarray]:
    """Output and next states of the first decoder step."""
    crossing = tree.flatten(split.encoder([source], training=False))
    for tensor in crossing:
        tensor._keras_mask = None  # masks are inputs of the step decoder, not riders
    has_feed = split.fed not in ("none", "probabilities")
    fed = [keras.ops.ones((1, *split.decoder.inputs[0].shape[1:]))] if has_feed else []
    fed = [keras.ops.cast(tensor, split.decoder.inputs[0].dtype) for tensor in fed]
    outputs = [np.asarray(tensor) for tensor in tree.flatten(split.decoder([*fed, *crossing], training=False))]
    return outputs[: 1 + split.state_count]


def source_array(split: SplitModel, source: SourceSpec, ids: np.ndarray) -> Any:
    """What the Keras encoder reads for ids (batch, time): the ids themselves, or their one-hot rows (-1 = zeros)."""
    tensor = split.encoder.inputs[0]
    if source.kind == "one-hot":
        ids = np.vstack([np.eye(source.size), np.zeros(source.size)])[ids]
    return keras.ops.convert_to_tensor(ids.astype(keras.backend.standardize_dtype(tensor.dtype)))
