"""Several devices that train one model together, each on its part of every batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import tensorflow as tf

from s2s_training.errors import ConfigError


def training_together(count: int) -> AbstractContextManager[Any]:
    """Return the scope in which a model is built and trained on so many devices: GPUs, or parts of the CPU without any.

    Raises:
        ConfigError: there are fewer.
    """
    if count == 1:
        return nullcontext()
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    found = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(found) < count:
        what = "GPUs that are here" if kind == "GPU" else "parts of the CPU; before TensorFlow is used, "
        what += "" if kind == "GPU" else f"`import_quietly({count})` of s2s_training.quiet_import makes more"
        raise ConfigError(f"devices: expected at most {len(found)}, the {what}; got {count}")
    scope: AbstractContextManager[Any] = tf.distribute.MirroredStrategy(found[:count]).scope()
    return scope
