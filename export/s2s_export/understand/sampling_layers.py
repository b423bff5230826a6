"""Layers that draw random numbers when they are called, as the sampling layer of a variational autoencoder does.

A bundle gives one answer for a source: such layers are taken at the mean of what they draw, normal noise of zero, which
is what their authors decode with where they decode for use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import keras
import tensorflow as tf
from tensorflow.python.ops import gen_random_ops, gen_stateless_random_ops, gen_stateless_random_ops_v2

from s2s_export.errors import IN_CODE, ExportError
from s2s_training.splitting.graph import Call, flatten_model, replay
from s2s_training.splitting.stepped_model import SteppedModel

_STEPS: Final = 5
_NORMAL: Final = (
    (gen_random_ops, "random_standard_normal"),
    (gen_random_ops, "truncated_normal"),
    (gen_stateless_random_ops, "stateless_random_normal"),
    (gen_stateless_random_ops, "stateless_truncated_normal"),
    (gen_stateless_random_ops_v2, "stateless_random_normal_v2"),
    (gen_stateless_random_ops_v2, "stateless_truncated_normal_v2"),
)
_OTHER: Final = (
    (gen_random_ops, "random_uniform"),
    (gen_random_ops, "multinomial"),
    (gen_stateless_random_ops, "stateless_random_uniform"),
    (gen_stateless_random_ops, "stateless_multinomial"),
    (gen_stateless_random_ops_v2, "stateless_random_uniform_v2"),
)


@keras.saving.register_keras_serializable(package="s2s")
class AtItsMean(keras.layers.Wrapper):
    """A layer whose normal noise is zero."""

    def build(self, *_: Any) -> None:
        """Build nothing: the layer has its weights."""
        self.built = True

    def compute_mask(self, *args: Any) -> Any:
        """Return what the layer says of masks."""
        return self.layer.compute_mask(*args)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer without noise."""
        with _drawing([]):
            return self.layer(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the layer says of its output."""
        return self.layer.compute_output_spec(*args, **kwargs)


def at_their_mean(model: keras.Model) -> tuple[keras.Model, list[str]]:
    """Return a model without noise, and a sentence for each layer that made some; the model itself where none did.

    Args:
        model: with a graph. Where no call of it can be made on numbers that are made up, nothing is found.

    Raises:
        ExportError: a layer draws from another distribution than the normal, whose mean says nothing.
    """
    own = not isinstance(model, SteppedModel) and any(_may_draw(c.operation) for c in flatten_model(model).calls)
    drawing = _that_draw(model) if own else {}
    if not drawing:
        return model, []
    for layer, drawn in drawing.items():
        if "other" in drawn:
            raise ExportError(
                f'layer "{layer.name}" ({type(layer).__name__}) draws random numbers that aren\'t normal whenever it '
                "is called, so that the model has no one answer; put a layer in its place that gives what is to be "
                f"decoded (the weights stay: {IN_CODE})"
            )
    graph = flatten_model(model)
    wrapped = {id(layer): AtItsMean(layer, name=f"{layer.name}_at_its_mean") for layer in drawing}
    environment: dict[Any, Any] = {
        value: keras.Input(value.shape[1:], dtype=value.dtype, name=value.name) for value in graph.inputs
    }
    inputs = list(environment.values())

    def run(call: Call, fill: Any) -> Any:
        return wrapped.get(id(call.operation), call.operation)(*fill(call.args), **fill(call.kwargs))

    replay(graph.calls, environment, run)
    outputs = [environment[value] for value in graph.outputs]
    notes = [f'layer "{layer.name}" draws random numbers: it is exported at their mean' for layer in drawing]
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=model.name), notes


def _may_draw(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Lambda) or not type(operation).__module__.startswith(("keras.", "s2s_"))


def _that_draw(model: keras.Model) -> dict[Any, list[str]]:
    """Return the layers that draw something while the model is called on ones, with what they draw."""
    graph, found = flatten_model(model), dict[Any, list[str]]()

    def run(call: Call, fill: Any) -> Any:
        drawn: list[str] = []
        with _drawing(drawn):
            made = call.operation(*fill(call.args), **fill(call.kwargs))
        if drawn and _may_draw(call.operation):
            found[call.operation] = drawn
        return made

    try:
        ones = [keras.ops.ones([1, *(size or _STEPS for size in v.shape[1:])], dtype=v.dtype) for v in graph.inputs]
        replay(graph.calls, dict(zip(graph.inputs, ones, strict=True)), run)
    except (ValueError, TypeError, tf.errors.OpError):
        return found  # texts, or lengths that don't go together: what was called until then was seen
    return found


@contextmanager
def _drawing(drawn: list[str]) -> Iterator[None]:
    """Let TensorFlow draw zeros where it draws normal numbers, and note what is drawn: "normal" or "other"."""
    kept = {place: getattr(*place) for place in (*_NORMAL, *_OTHER)}
    try:
        for (module, name), function in kept.items():
            setattr(module, name, _instead(function, drawn, is_normal=(module, name) in _NORMAL))
        yield
    finally:
        for (module, name), function in kept.items():
            setattr(module, name, function)


def _instead(function: Callable[..., Any], drawn: list[str], *, is_normal: bool) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def draw(*args: Any, **kwargs: Any) -> Any:
        drawn.append("normal" if is_normal else "other")
        if not is_normal:
            return function(*args, **kwargs)
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        return tf.zeros(given.arguments["shape"], given.arguments["dtype"])

    return draw
