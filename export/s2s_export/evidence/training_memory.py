"""What a model's optimizer remembers of its last batches, held against the gradients that a set-up gives.

RMSprop, Adam and their like keep a running mean of each weight's squared gradient, and `model.save` keeps it too. Which
symbols the encoder read close to its end, where gradients are largest, stands in the rows of its first kernel: under
the set-up of training each frequent symbol's row is remembered as large as the gradients make it, up to one common
factor; under another side or order it isn't.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from s2s_export.evidence.setups import SetUp
from s2s_export.evidence.teacher_forcing import source_rows
from s2s_export.understand.bundle_terms import Understanding
from s2s_training.splitting.splitter import SplitModel

_BATCHES: Final = 24
_BATCH: Final = 64
_PER_BATCH: Final = 6.0  # a symbol is frequent where so many of a batch's sources hold it: rarer ones are noise
_LEAST_SYMBOLS: Final = 8


@dataclass(frozen=True)
class TrainingMemory:
    """The encoder's first kernels, with what the optimizer remembers of their gradients.

    Attributes:
        model: the training model.
        split: it taken apart.
        facts: how it was understood.
        kernels: variables (source symbols, ...).
        remembered: mean squared gradient of each kernel's rows, (source symbols,).
    """

    model: keras.Model
    split: SplitModel
    facts: Understanding
    kernels: Sequence[Any]
    remembered: Sequence[np.ndarray]

    @classmethod
    def of(cls, model: keras.Model, split: SplitModel, facts: Understanding) -> TrainingMemory | None:
        """Return what the model's optimizer remembers; None where there is none, or it keeps no squared gradients."""
        optimizer = getattr(model, "optimizer", None)
        if optimizer is None or not optimizer.built or len(split.source_indices) != 1 or split.target_index is None:
            return None
        own = {
            id(v) for call in split.reading.encoder_calls for v in getattr(call.operation, "trainable_variables", ())
        }
        kernels = [
            variable
            for variable in model.trainable_variables
            if id(variable) in own and len(variable.shape) == 2 and variable.shape[0] == facts.source.size
        ]
        squares = _second_moments(optimizer, model.trainable_variables, kernels)
        if not kernels or squares is None or not any(square.any() for square in squares):
            return None
        return cls(model, split, facts, kernels, [square.sum(axis=1) for square in squares])

    def spread(self, setup: SetUp, pairs: Sequence[tuple[str, str]], padded: int | None) -> float | None:
        """Return the standard deviation of log(remembered / expected) over frequent symbols; small = it fits.

        Args:
            setup: the set-up to try.
            pairs: that the model was trained on.
            padded: the target id that fills short targets and counts in the loss; None = none counts.
        """
        rng = np.random.default_rng(2)
        batches = [rng.choice(len(pairs), min(_BATCH, len(pairs)), replace=False) for _ in range(_BATCHES)]
        rows = source_rows(setup, [source for source, _ in pairs])
        frequent = np.flatnonzero([(rows == i).any(axis=1).mean() * _BATCH >= _PER_BATCH for i in range(self._size)])
        frequent = frequent[frequent != setup.padding.id]
        if len(frequent) < _LEAST_SYMBOLS:
            return None
        fed, wanted = self._targets(setup, [target for _, target in pairs], padded)
        gradients = tf.function(self._squares, reduce_retracing=True)
        expected = [np.zeros(self._size) for _ in self.kernels]
        for batch in batches:
            squares = gradients(*self._arrays(rows, fed, wanted, batch))
            expected = [total + np.asarray(square) for total, square in zip(expected, squares, strict=True)]
        ratios = [
            np.log((remembered[frequent] + 1e-30) / (total[frequent] + 1e-30))
            for remembered, total in zip(self.remembered, expected, strict=True)
        ]
        return float(np.mean([ratio.std() for ratio in ratios]))

    @property
    def _size(self) -> int:
        return self.facts.source.size

    def _targets(self, setup: SetUp, texts: Sequence[str], padded: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return what the decoder read and should have written, (pairs, time); -1 = a row of zeros, and no loss."""
        vocabulary, ends = setup.ends.vocabulary, setup.ends
        if vocabulary is None:
            raise ValueError("expected a target vocabulary")
        rows = [[ends.start_id, *vocabulary.encode(text), *ends.end_ids[:1]] for text in texts]
        width = self.model.inputs[self.split.target_index].shape[1] or max(map(len, rows))  # type: ignore[index]
        fed = np.full((len(rows), width), -1 if padded is None else padded, np.int64)
        wanted = fed.copy()
        for i, row in enumerate(rows):
            fed[i, : len(row)] = row
            wanted[i, : len(row) - 1] = row[1:]
        return fed, wanted

    def _arrays(self, rows: np.ndarray, fed: np.ndarray, wanted: np.ndarray, batch: np.ndarray) -> list[Any]:
        one_hot = (self.facts.source.kind == "one-hot", self.facts.one_hot_target)
        given = [
            _rows(array[batch], size, hot=hot)
            for array, size, hot in zip((rows, fed), (self._size, self.facts.target.size), one_hot, strict=True)
        ]
        return [*map(tf.constant, given), tf.constant(_rows(wanted[batch], self.facts.target.size, hot=True))]

    def _squares(self, sources: Any, fed: Any, wanted: Any) -> list[Any]:
        """Return the squared gradients of the training loss, summed over each row of the kernels."""
        inputs: list[Any] = [None] * len(self.model.inputs)
        inputs[self.split.source_indices[0]], inputs[self.split.target_index] = sources, fed  # type: ignore[index]
        kernels = [kernel.value if hasattr(kernel, "value") else kernel for kernel in self.kernels]
        with tf.GradientTape() as tape:
            output = keras.tree.flatten(self.model(keras.tree.pack_sequence_as(self.model.input, inputs)))
            scores = output[self.split.output_index]
            logs = tf.math.log(scores + 1e-7) if self.facts.probabilities else tf.nn.log_softmax(scores)
            loss = -tf.reduce_mean(tf.reduce_sum(wanted * logs, axis=-1))
        return [tf.reduce_sum(tf.convert_to_tensor(g) ** 2, axis=1) for g in tape.gradient(loss, kernels)]


def _rows(ids: np.ndarray, size: int, *, hot: bool) -> np.ndarray:
    return (ids[..., None] == np.arange(size)).astype(np.float32) if hot else np.maximum(ids, 0)


def _second_moments(optimizer: Any, trained: Sequence[Any], kernels: Sequence[Any]) -> list[np.ndarray] | None:
    """Return the running means of squared gradients that an optimizer keeps of some variables.

    None is returned where it keeps none.
    """
    kept = [v for v in optimizer.variables if v.path.rpartition("_")[2] in ("velocity", "accumulator")]
    if [tuple(v.shape) for v in kept] != [tuple(v.shape) for v in trained]:
        return None
    places = {id(variable): i for i, variable in enumerate(trained)}
    return [np.asarray(kept[places[id(kernel)]]) for kernel in kernels]
