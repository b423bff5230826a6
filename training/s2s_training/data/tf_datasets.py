"""Batches as a `tf.data.Dataset` of `(inputs, labels, weights)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from s2s_training.data.arrays import Ids, Layout


class EpochOrder(keras.callbacks.Callback):
    """Makes random choices depend on seed and epoch alone: a resumed run sees what it would have seen.

    As a callback it keeps to the current epoch, and seeds dropout anew: Keras saves no random state with the weights.

    Args:
        seed: of the run.

    Attributes:
        epoch: the one to be drawn next, from 0.
        skip: batches of it that a run had seen before it was interrupted; 0 from the next epoch on.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self.epoch = 0
        self.skip = 0

    def generator(self) -> np.random.Generator:
        """Return a random generator for the order of the current epoch's batches."""
        return np.random.default_rng((self._seed, self.epoch, 0))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Move to this epoch, and give every dropout layer its seed for it."""
        self.epoch = epoch
        generator = np.random.default_rng((self._seed, epoch, 1))
        for state in random_states(self.model):
            state.assign(generator.integers(2**32, size=state.shape, dtype=np.uint32))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Leave out no batches any more."""
        self.skip = 0


def random_states(model: keras.Model) -> list[Any]:
    """Return the states of what draws at random, such as dropout: Keras saves none with the weights."""
    seeds = [getattr(layer, "seed_generator", None) for layer in model._flatten_layers()]  # also cells inside layers
    return [seed.state for seed in seeds if seed is not None]


class Batches(Protocol):
    """Pairs from which batches are drawn, such as `BucketedPairs`.

    Attributes:
        steps: batches in an epoch.
    """

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""

    def batches(self, generator: np.random.Generator | None = None) -> Iterator[tuple[Ids, Ids]]:
        """Yield the batches of an epoch, shuffled by the generator, as padded ids of sources and targets."""


def make_dataset(pairs: Batches, layout: Layout, order: EpochOrder | None = None) -> tf.data.Dataset:
    """Return the batches of one epoch as a dataset for `fit` or `evaluate`.

    An element is `(inputs, labels, weights)`: inputs `(source, target)`, or the source alone where nothing is fed, the
    factors of the source behind it as inputs of their own;
    ids (batch, time) int32 or one-hot (batch, time, symbols) float32; labels (batch, time) int32, the target one step
    later; weights (batch, time) float32, 0 at steps that don't count. Of CTC an element is `(inputs, labels)`: labels
    (batch, 1 + time) int32, the frames of each source before its target, which is filled with blanks.

    Args:
        pairs: padded pairs in buckets.
        layout: one-hot or ids, fed or not.
        order: shuffles, each iteration anew by its current epoch; None = the order given.
    """

    def batches() -> Iterator[tuple[Ids, Ids]]:
        return pairs.batches() if order is None else islice(pairs.batches(order.generator()), order.skip, None)

    source, target = source_spec(layout), tf.TensorSpec((None, None), tf.int32)
    steps = pairs.steps - (0 if order is None else order.skip)
    return generated(batches, (source, target), steps).map(features(layout)).prefetch(4)


def source_spec(layout: Layout) -> tf.TensorSpec:
    """Return the shape and type of padded sources: (batch, time) int32, with factors (batch, time, 1 + factors)."""
    return tf.TensorSpec((None, None, *layout.unit_shape), tf.int32)


def source_inputs(source: tf.Tensor, layout: Layout) -> tuple[tf.Tensor, ...]:
    """Return what a model reads of padded sources: ids or one-hot rows, then the ids of each factor."""
    if layout.factor_sizes:
        return tuple(tf.unstack(source, 1 + len(layout.factor_sizes), axis=-1))
    return (tf.one_hot(source, layout.source_size) if layout.one_hot else source,)


def generated(batches: Callable[[], Iterator[Any]], signature: Any, steps: int) -> tf.data.Dataset:
    """Return what a generator yields, so many elements of these shapes and types, as a dataset."""
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    # With autotuning on, the end of an epoch waits for a tuning thread that sleeps for doubling periods: an epoch of
    # 12 s was seen to last 20 s (TensorFlow 2.21). There is nothing here to tune.
    options.autotune.enabled = False
    return dataset.with_options(options)


def features(layout: Layout) -> Callable[[tf.Tensor, tf.Tensor], tuple[object, ...]]:
    """Return the function that turns padded ids `(source, target)` into the elements of `make_dataset`."""

    def apply(source: tf.Tensor, target: tf.Tensor) -> tuple[object, ...]:
        sources = source_inputs(source, layout)
        inputs: object = sources if len(sources) > 1 else sources[0]
        labels = target
        source = source[..., 0] if layout.factor_sizes else source
        if layout.frames is not None:
            read = tf.math.count_nonzero(source != layout.source_padding, axis=1, keepdims=True, dtype=tf.int32)
            return inputs, tf.concat([read * layout.frames, target], axis=1)
        if layout.aligned:
            behind = tf.shape(source)[1] - tf.shape(target)[1]
            labels = tf.pad(target, [[0, 0], [0, behind]], constant_values=layout.target_padding)
        if layout.fed:
            fed = target[:, :-1]
            inputs = (*sources, tf.one_hot(fed, layout.target_size) if layout.one_hot else fed)
            labels = target[:, 1:]
        counts = tf.ones_like(labels, tf.bool) if layout.padding_counts else labels != layout.target_padding
        return inputs, tf.maximum(labels, 0), tf.cast(counts, tf.float32)

    return apply
