"""Refuses what a bundle can't compute in, or with: it knows float32 alone, and finite numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from s2s_export.errors import IN_CODE, ExportError


@contextmanager
def in_float32() -> Iterator[None]:
    """Let what is built while the block runs compute in float32, whatever `keras.json` or the program has set."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def refuse_other_dtypes(model: keras.Model) -> None:
    """Check that every layer computes in float32.

    Raises:
        ExportError: names the first layer that doesn't, and its dtype policy.
    """
    for layer in model._flatten_layers():
        policy = layer.dtype_policy
        quantized = getattr(policy, "quantization_mode", None)
        if layer.compute_dtype in ("float16", "bfloat16", "float64") or quantized:
            raise ExportError(
                f'layer "{layer.name}" ({type(layer).__name__}) has the dtype policy {policy.name!r}, and bundles '
                "compute in float32, which would give other numbers: build the model again under "
                "keras.config.set_dtype_policy('float32') and load the same weights "
                f"({IN_CODE})"
            )


def refuse_infinite_weights(model: keras.Model) -> None:
    """Check that every weight is a finite number: a training that has diverged leaves others.

    Raises:
        ExportError: names the first weight that isn't, and how many of its numbers.
    """
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight)
        wrong = np.argwhere(~np.isfinite(values)) if values.dtype.kind == "f" else []
        if len(wrong):
            first = tuple(wrong[0].tolist())
            raise ExportError(
                f'weight "{weight.path}": expected finite numbers, got {values[first]} at {list(first)} and '
                f"{len(wrong)} in all of {values.size}; such a model decodes nothing that can be trusted: train it "
                "again with a lower learning rate or with clipnorm, or export a checkpoint from before that"
            )
