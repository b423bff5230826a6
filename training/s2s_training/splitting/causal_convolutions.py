"""Causal convolutions of a decoder: what they read of the past is finite, so their last inputs are their state."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from s2s_training.splitting.graph import Call


def reads_last_inputs(operation: Any) -> bool:
    """Return whether an operation is a convolution over steps that reads its own and those before, none after."""
    return (
        isinstance(operation, keras.layers.Conv1D)
        and operation.data_format == "channels_last"
        and tuple(operation.strides) == (1,)
        and (operation.padding == "causal" or tuple(operation.kernel_size) == (1,))
    )


def window_length(operation: Any) -> int:
    """Return how many inputs before its own a causal convolution reads."""
    return int((operation.kernel_size[0] - 1) * operation.dilation_rate[0])


def carries_window(call: Call) -> bool:
    """Return whether a call has to carry inputs from step to step."""
    return reads_last_inputs(call.operation) and window_length(call.operation) > 0


@keras.saving.register_keras_serializable(package="s2s")
class EmptyWindow(keras.layers.Layer):
    """Gives what stands before a causal convolution's first input, zeros, for as many rows as its input has.

    Args:
        length: how many steps.
        features: of each.
    """

    def __init__(self, length: int, features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length, self.features = length, features

    def call(self, x: Any) -> Any:
        """Return zeros (batch, length, features) for an `x` of (batch, ...)."""
        return ops.zeros((ops.shape(x)[0], self.length, self.features))

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the spec of the window."""
        return keras.KerasTensor((x.shape[0], self.length, self.features), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "length": self.length, "features": self.features}


@keras.saving.register_keras_serializable(package="s2s")
class OneConvolution(keras.layers.Wrapper):
    """One step of a causal convolution: its input and those before it to its output and the window of the next step."""

    def build(self, *_: Any) -> None:
        """Build nothing: the layer has its weights."""
        self.built = True

    def call(self, step: Any, window: Any) -> tuple[Any, Any]:
        """Return (batch, 1, filters) and the next window, for (batch, 1, features) and (batch, length, features)."""
        layer, read = self.layer, ops.concatenate([window, step], axis=1)
        made = ops.conv(read, layer.kernel, strides=1, padding="valid", dilation_rate=layer.dilation_rate)
        made = made + layer.bias if layer.use_bias else made
        return (made if layer.activation is None else layer.activation(made)), read[:, 1:]

    def compute_output_spec(self, step: Any, window: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Return the specs of the output and the next window."""
        made = keras.KerasTensor((step.shape[0], 1, self.layer.filters), self.compute_dtype)
        return made, keras.KerasTensor(window.shape, window.dtype)
