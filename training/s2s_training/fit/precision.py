"""Mixed precision: a twin of a model that computes in float16, with float32 variables (Micikevicius et al. 2018)."""

from __future__ import annotations

import logging
from typing import Any

import keras
import tensorflow as tf

from s2s_training.config.fit import FitConfig

logger = logging.getLogger(__name__)
POLICY = "mixed_float16"


def training_twin(model: keras.Model, config: FitConfig) -> keras.Model:
    """Return the model to train: the model itself, or its twin where mixed precision is asked for and a GPU is found.

    `compile` scales the loss of the twin by itself. Weights are in the same order, so `set_weights` brings them back.
    """
    if not config.mixed_precision:
        return model
    if not tf.config.list_physical_devices("GPU"):
        logger.info("mixed precision: no GPU found, training goes on in float32")
        return model
    return mixed_twin(model)


def mixed_twin(model: keras.Model) -> keras.Model:
    """Return a copy of a Functional model that computes in float16, except for the layers that make its outputs."""
    last = {id(tensor._keras_history.operation) for tensor in model.outputs}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if id(layer) not in last and not isinstance(layer, keras.layers.InputLayer):
            config = _with_policy(config)
        return type(layer).from_config(config)

    twin = keras.models.clone_model(model, clone_function=clone)
    twin.dtype_policy = keras.DTypePolicy(POLICY)  # what `compile` looks at to scale the loss
    twin.set_weights(model.get_weights())
    return twin


def _with_policy(config: dict[str, Any]) -> dict[str, Any]:
    """Return a layer's configuration with another policy, also for the layers inside it."""
    changed = {}
    for name, value in config.items():
        if name == "dtype":
            changed[name] = POLICY
        elif name in ("layer", "backward_layer", "cell") and isinstance(value, dict):
            changed[name] = value | {"config": _with_policy(value["config"])}
        else:
            changed[name] = value
    return changed
