"""What a model's optimizer remembers of its last batches, held against the gradients that set-ups give.

RMSprop, Adam and their like keep a running mean of each weight's squared gradient, and `model.save` keeps it too. What
the encoder read at its first steps, where there is no state yet, and at its last, where gradients are largest, stands
in the weights that its symbols go through: each set-up predicts another pattern there, and what is remembered lies near
the pattern of the one that the model was trained with.

Patterns are compared in logarithms, weight by weight. Sums over the weights of a symbol are no sign: a few batches, and
which symbols happened to stand in these, outweigh there what the set-up does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from s2s_export.evidence.setups import SetUp
from s2s_export.evidence.teacher_forcing import source_rows
from s2s_export.understand.bundle_terms import Understanding
from s2s_training.splitting.splitter import SplitModel

_BATCHES: Final = 16
_BATCH: Final = 64
_PER_BATCH: Final = 6.0  # a symbol is frequent where so many of a batch's sources hold it: rarer ones are noise
_LEAST_SYMBOLS: Final = 8
_FLOOR: Final = 1e-7  # of the median: squared gradients below are as good as none


@dataclass(frozen=True)
class Predicted:
    """The squared gradients that a set-up gives.

    Attributes:
        squares: mean over batches for each kernel, (source symbols, columns).
        frequent: which symbols stand in enough sources of a batch, (source symbols,).
    """

    squares: Sequence[np.ndarray]
    frequent: np.ndarray


@dataclass(frozen=True)
class Leaning:
    """Where what is remembered lies between the predictions of two set-ups: 0 = at the first one's, 1 = at the other's.

    Attributes:
        whole: over all weights, one common factor left out.
        pattern: the same, with what all weights of a symbol have in common left out, and all of a column.
    """

    whole: float
    pattern: float


@dataclass(frozen=True)
class TrainingMemory:
    """The encoder's first kernels, with what the optimizer remembers of their gradients.

    Attributes:
        model: the training model.
        split: it taken apart.
        facts: how it was understood.
        kernels: variables (source symbols, columns).
        remembered: mean squared gradients of each kernel, (source symbols, columns).
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
        return cls(model, split, facts, kernels, squares)

    def predicted(self, setup: SetUp, pairs: Sequence[tuple[str, str]], padded: int | None) -> Predicted:
        """Return the squared gradients that batches of a set-up give at the model's weights.

        Args:
            setup: the set-up to try.
            pairs: that the model was trained on.
            padded: the target id that fills short targets and counts in the loss; None = rows of zeros, or none counts.
        """
        rng = np.random.default_rng(2)
        rows = source_rows(setup, [source for source, _ in pairs])
        ordered = np.sort(rows, axis=1)
        firsts = ordered[(np.diff(ordered, axis=1, prepend=-2) != 0) & (ordered >= 0)]  # each symbol of a row once
        held = np.bincount(firsts, minlength=self._size) / len(rows)
        fed, wanted = self._targets(setup, [target for _, target in pairs], padded)
        totals = [np.zeros(kernel.shape) for kernel in self.kernels]
        for _ in range(_BATCHES):
            batch = rng.choice(len(pairs), min(_BATCH, len(pairs)), replace=False)
            squares = self._gradients(*self._arrays(rows, fed, wanted, batch))
            totals = [total + np.asarray(square) / _BATCHES for total, square in zip(totals, squares, strict=True)]
        return Predicted(totals, held * _BATCH >= _PER_BATCH)

    def leaning(self, one: Predicted, other: Predicted) -> Leaning | None:
        """Return between which of two predictions what is remembered lies; None where too few symbols are frequent."""
        frequent = one.frequent & other.frequent
        if frequent.sum() < _LEAST_SYMBOLS:
            return None
        logs = [
            [_logarithms(squares[frequent]) for squares in kernel]
            for kernel in zip(self.remembered, one.squares, other.squares, strict=True)
        ]
        centred = [[_centred(log) for log in kernel] for kernel in logs]
        return Leaning(_share([[log - log.mean() for log in kernel] for kernel in logs]), _share(centred))

    @property
    def _size(self) -> int:
        return self.facts.source.size

    @property
    def _one_hot_target(self) -> bool:
        """Whether targets were rows in training, of a decoder too that reads its own probabilities."""
        return len(self.model.inputs[self.split.target_index].shape) == 3  # type: ignore[index]

    def _targets(self, setup: SetUp, texts: Sequence[str], padded: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return what the decoder read and should have written, (pairs, time) each; -1 = a row of zeros.

        A decoder that reads its own output was fed the start alone.
        """
        vocabulary, ends = setup.ends.vocabulary, setup.ends
        if vocabulary is None:
            raise ValueError("expected a target vocabulary")
        rows = [[ends.start_id, *vocabulary.encode(text), *ends.end_ids[:1]] for text in texts]
        read = self.model.inputs[self.split.target_index].shape[1] or max(map(len, rows))  # type: ignore[index]
        written = keras.tree.flatten(self.model.output)[self.split.output_index].shape[1] or read
        return _filled(rows, read, padded), _filled([row[1:] for row in rows], written, padded)

    def _arrays(self, rows: np.ndarray, fed: np.ndarray, wanted: np.ndarray, batch: np.ndarray) -> list[Any]:
        one_hot = (self.facts.source.kind == "one-hot", self._one_hot_target)
        given = [
            _rows(array[batch], size, hot=hot)
            for array, size, hot in zip((rows, fed), (self._size, self.facts.target.size), one_hot, strict=True)
        ]
        counted = np.ones_like(wanted[batch]) if self._one_hot_target else wanted[batch] >= 0
        hot = _rows(wanted[batch], self.facts.target.size, hot=True)
        return [*map(tf.constant, given), tf.constant(hot), tf.constant(counted.astype(np.float32))]

    @cached_property
    def _gradients(self) -> Any:
        return tf.function(self._squares, reduce_retracing=True)

    def _squares(self, sources: Any, fed: Any, wanted: Any, counted: Any) -> list[Any]:
        """Return the squared gradients of the training loss for each kernel.

        The loss is Keras's own function. On TensorFlow it moves weights at steps whose target is a row of zeros too:
        the gradient of the softmax is taken as if such a row were a distribution.
        """
        inputs: list[Any] = [None] * len(self.model.inputs)
        inputs[self.split.source_indices[0]], inputs[self.split.target_index] = sources, fed  # type: ignore[index]
        kernels = [kernel.value if hasattr(kernel, "value") else kernel for kernel in self.kernels]
        with tf.GradientTape() as tape:
            output = keras.tree.flatten(self.model(keras.tree.pack_sequence_as(self.model.input, inputs)))
            scores = output[self.split.output_index]
            logits = not self.facts.probabilities
            losses = keras.losses.categorical_crossentropy(wanted, scores, from_logits=logits) * counted
            mask = getattr(scores, "_keras_mask", None)
            loss = tf.reduce_mean(losses if mask is None else losses * tf.cast(mask, losses.dtype))
        return [tf.convert_to_tensor(gradient) ** 2 for gradient in tape.gradient(loss, kernels)]


def _logarithms(squares: np.ndarray) -> np.ndarray:
    some = squares[squares > 0]
    return np.asarray(np.log(squares + (_FLOOR * np.median(some) if some.size else 1.0)))


def _centred(values: np.ndarray) -> np.ndarray:
    """Return (rows, columns) without what a row has in common, and without what a column has."""
    values = values - values.mean(axis=1, keepdims=True)
    return np.asarray(values - values.mean(axis=0, keepdims=True))


def _share(kernels: Sequence[Sequence[np.ndarray]]) -> float:
    """Return how far along the line from one prediction to the other the point nearest to what is remembered lies.

    Args:
        kernels: of each what is remembered, one prediction and the other, as logarithms.
    """
    along = sum(float(((there - here) * (remembered - here)).sum()) for remembered, here, there in kernels)
    line = sum(float(((there - here) ** 2).sum()) for _, here, there in kernels)
    return 0.5 if line == 0 else along / line


def _filled(rows: Sequence[Sequence[int]], width: int, padded: int | None) -> np.ndarray:
    """Return rows of ids as one array, (rows, width): cut, or filled with an id, -1 where none is given."""
    filled = np.full((len(rows), width), -1 if padded is None else padded, np.int64)
    for ids, row in zip(filled, rows, strict=True):
        ids[: len(row)] = row[:width]
    return filled


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
