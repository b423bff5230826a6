"""How many steps of a source a model reads at most, where its graph doesn't show it: a table of places has an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from s2s_export.understand.bundle_terms import Understanding
from s2s_export.verify.coverage import LONGEST_SOURCE
from s2s_runtime.bundle.manifest_file import OtherSource
from s2s_training.splitting.graph import Call
from s2s_training.splitting.splitter import SplitModel

_REFUSALS: Final = (tf.errors.InvalidArgumentError, ValueError)


def longest_read(split: SplitModel, facts: Understanding) -> int | None:
    """Return the most steps that a model reads, below `LONGEST_SOURCE`; None where it reads so many, or none are free.

    Only layers that aren't Keras's, and tables that look up something else than a source, can have an end that the
    graph doesn't show.

    Args:
        split: the model taken apart.
        facts: how it was understood.
    """
    sources = facts.sources
    free = [
        not vector and tensor.shape[1] is None and longest is None
        for (vector, tensor), longest in zip(_read(split), facts.longest, strict=True)
    ]
    if facts.without_source or not any(free) or not any(_may_end(call, split) for call in split.reading.encoder_calls):
        return None
    if _reads(split, sources, LONGEST_SOURCE):
        return None
    works, fails = 1, LONGEST_SOURCE
    while fails - works > 1:
        middle = (works + fails) // 2
        works, fails = (middle, fails) if _reads(split, sources, middle) else (works, middle)
    return works


def _read(split: SplitModel) -> list[tuple[bool, Any]]:
    return list(zip(split.vectors, split.encoder.inputs, strict=True))


def _may_end(call: Call, split: SplitModel) -> bool:
    layer = call.operation
    if isinstance(layer, keras.layers.Embedding):
        return not set(call.inputs) <= set(split.sources)
    return isinstance(layer, keras.layers.Layer) and not type(layer).__module__.startswith("keras.")


def _reads(split: SplitModel, sources: Sequence[OtherSource], steps: int) -> bool:
    """Return whether the encoder takes sources of so many steps."""
    made = []
    for (vector, tensor), source in zip(_read(split), sources, strict=True):
        shape = [2, *(size or (1 if vector else steps) for size in tensor.shape[1:])]
        array = np.zeros(shape) if source.kind in ("values", "vector", "one-hot") else np.full(shape, source.size - 1)
        made.append(keras.ops.convert_to_tensor(array, dtype=tensor.dtype))
    try:
        tree.flatten(split.encoder(made, training=False))
    except _REFUSALS:
        return False
    return True
