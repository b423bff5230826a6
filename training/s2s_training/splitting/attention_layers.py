"""The attention layers that a decoder step may call: which they are, what keeps them from it, and their weights."""

from __future__ import annotations

from typing import Any

import keras

from s2s_training.splitting.graph import Call, Value, values_in

ATTENTION = (
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
)


@keras.saving.register_keras_serializable(package="s2s")
class WithAttentionWeights(keras.layers.Wrapper):
    """An attention layer that always returns its weights beside its output.

    The wrapped layer keeps its own calls: Keras takes the number of a layer's outputs from the first call it has
    seen, so one layer can't be called with weights and without them in models that are still to be built.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, *_: Any) -> None:
        """Build nothing: the wrapped layer has its weights."""
        self.built = True

    def compute_mask(self, *_: Any) -> None:
        """Return None: what comes out stands on the target's axis, where every step is real."""

    def call(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Return (output, weights) of the wrapped layer."""
        return self.layer(*args, return_attention_scores=True, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Return the specs of (output, weights)."""
        return self.layer.compute_output_spec(*args, return_attention_scores=True, **kwargs)


def attention_problems(call: Call, values: set[Value]) -> list[str]:
    """Say why an attention layer on the decoder's side can't be called one step at a time; `values` change by step."""
    layer = call.operation
    if values.intersection(_attention_memory(call)):
        return [f"layer {call.name} attends over target positions (self-attention), which have no fixed-size state"]
    # Both let a target position see what lies near its own number in the source; a step has no such number.
    if call.arguments().get("use_causal_mask"):
        return [f"layer {call.name} is called with use_causal_mask=True, which counts target positions"]
    if getattr(layer, "sliding_window", None) is not None:
        return [f"layer {call.name} has sliding_window={layer.sliding_window}, which counts target positions"]
    return []


def _attention_memory(call: Call) -> tuple[Value, ...]:
    """Return the values that an attention layer looks at: its value and key, not its query nor any mask."""
    arguments = call.arguments()
    if "inputs" in arguments:
        return values_in(list(arguments["inputs"])[1:])
    return values_in([arguments.get("value"), arguments.get("key")])
