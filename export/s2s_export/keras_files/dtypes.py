"""Refuses what a bundle can't compute in: it knows float32 alone."""

from __future__ import annotations

import keras

from s2s_export.errors import ExportError


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
                "keras.config.set_dtype_policy('float32') and load the same weights (--weights FILE --model-fn "
                "module:function)"
            )
