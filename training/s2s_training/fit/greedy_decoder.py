"""Greedy decoding with the training model itself, to count errors while nothing is exported yet.

The whole model is called again with its own prefix at every step. That is slow and simple: nothing but the training
graph is involved, so the result is what any faster decoder has to reproduce.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.data.arrays import Ids, Layout, pad
from s2s_training.data.tf_datasets import source_inputs, source_spec
from s2s_training.data.vocabulary_builder import BLANK_ID
from s2s_training.source_factors import encode_units

BATCH_SIZE = 256


class GreedyDecoder:
    """Decodes texts with a training model, the most probable token at every step.

    Padding, start and unknown symbol are never written, as the runtime never does: figures counted here are those of
    `s2s-evaluate`, greedily.

    Args:
        model: a model built for `layout`, with or without decoder input.
        layout: one-hot or ids, padding, fixed lengths.
        vocabulary: both sides, and the longest target.
    """

    def __init__(self, model: keras.Model, layout: Layout, vocabulary: VocabularyFile) -> None:
        self._layout = layout
        self._vocabulary = vocabulary
        specs = (source_spec(layout), tf.TensorSpec((None, None), tf.int32))
        allowed = _allowed(vocabulary.target)

        def best(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
            """Return the most probable allowed token after every prefix: (batch, target time)."""
            targets = tf.one_hot(target, layout.target_size) if layout.one_hot else target
            inputs = (*source_inputs(source, layout), *((targets,) if layout.fed else ()))
            probabilities = model(inputs if len(inputs) > 1 else inputs[0], training=False)
            return tf.argmax(tf.cast(probabilities, tf.float32) + allowed, axis=-1, output_type=tf.int32)

        self._best = tf.function(best, input_signature=specs)  # one trace for all shapes

    def decode(self, sources: Sequence[str]) -> list[str]:
        """Return the target text of each source, in order."""
        encoded = [encode_units(self._vocabulary.source, source) for source in sources]
        by_length = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
        texts = [""] * len(encoded)
        for start in range(0, len(by_length), BATCH_SIZE):
            rows = by_length[start : start + BATCH_SIZE]
            layout = self._layout
            sizes = (layout.source_padding, layout.source_length, layout.source_side, layout.unit_shape)
            source = pad([encoded[i] for i in rows], *sizes)
            for i, ids in zip(rows, self._decode_ids(source), strict=True):
                texts[i] = self._vocabulary.target.decode(self._read(ids, len(encoded[i])))
        return texts

    def _read(self, ids: list[int], read: int) -> list[int]:
        """Return what is written by the ids of all positions, given how many symbols the source has."""
        if self._layout.frames is not None:  # equal neighbours are one, then blanks go
            return [symbol for symbol, _ in groupby(ids[: read * self._layout.frames]) if symbol != BLANK_ID]
        if self._layout.fed:
            return ids
        end = self._vocabulary.target.end_id
        return list(takewhile(lambda symbol: symbol != end, ids[:read] if self._layout.aligned else ids))

    def _decode_ids(self, source: Ids) -> Iterator[list[int]]:
        """Yield the target ids of each row of sources (batch, source time), up to the end token.

        With factors sources are (batch, source time, 1 + factors).
        """
        end = self._vocabulary.target.end_id
        if not self._layout.fed:
            yield from self._best(source, np.zeros((len(source), 0), np.int32)).numpy().tolist()
            return
        prefix = np.full((len(source), 1), self._vocabulary.target.start_id, np.int32)
        ended = np.zeros(len(source), bool)
        while not ended.all() and prefix.shape[1] <= self._vocabulary.max_length:
            token = self._best(source, prefix).numpy()[:, -1]
            ended |= token == end
            prefix = np.concatenate([prefix, token[:, None]], axis=1)
        for ids in prefix[:, 1:].tolist():
            yield ids[: ids.index(end)] if end in ids else ids


def _allowed(target: Vocabulary) -> NDArray[np.float32]:
    """Return (symbols,) float32: 0 for every symbol that may be written, minus infinity for the others.

    A space that also pads is a character of the texts.
    """
    padding = target.padding_id if target.padding and target.padding.strip() else None
    never = {target.start_id, padding, target.unknown_id} - {target.end_id}
    allowed = np.zeros(len(target), np.float32)
    allowed[[token for token in never if token is not None]] = -np.inf
    return allowed
