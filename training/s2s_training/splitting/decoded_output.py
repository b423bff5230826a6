"""Which of a model's outputs is decoded, where several depend on what the decoder reads.

Auxiliary heads, attention weights and final states are outputs of training models too. What is decoded gives one
distribution (or one vector) per step that is as wide as what the decoder reads next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from s2s_runtime.spelling import option
from s2s_training.splitting.graph import Graph, Value

_WIDTHS = ("input_dim", "num_classes", "num_tokens")  # of Embedding, ops.one_hot and CategoryEncoding
JOINT: Final = "+"
"""Stands between the names of outputs that are decoded as one token."""

_STEPWISE = 3  # axes: batch, time, features


def decoded_output(graph: Graph, decoder_input: Value | None, values: set[Value]) -> tuple[Value | None, str]:
    """Choose the output that is decoded.

    Args:
        graph: the whole training model.
        decoder_input: what is fed; None where nothing is.
        values: what changes from step to step.

    Returns:
        the output, None where none changes from step to step; and why another could be meant as well, "" where none.
    """
    outputs = list(dict.fromkeys(value for value in graph.outputs if value in values))
    if len(outputs) <= 1:
        return (outputs[0] if outputs else None), ""
    stepwise = [value for value in outputs if len(value.shape) == _STEPWISE and value.shape[-1] is not None]
    widths = set() if decoder_input is None else widths_read(graph, decoder_input)
    fitting = [value for value in stepwise if value.shape[-1] in widths]
    chosen = stepwise if len(stepwise) == 1 else fitting
    if len(chosen) == 1:
        return chosen[0], ""
    return (chosen or stepwise or outputs)[0], _unclear(graph, outputs, widths)


def output_name(graph: Graph, value: Value) -> str:
    """Return the name by which messages call an output: that of the layer or operation that makes it."""
    call = graph.producers().get(value)
    return value.name if call is None else str(call.operation.name)


def named_outputs(graph: Graph, outputs: Sequence[Value]) -> str:
    """Return outputs as messages list them, each by its name and shape."""
    return ", ".join(f"{output_name(graph, value)!r} {_shape(value)}" for value in outputs)


def widths_read(graph: Graph, decoder_input: Value) -> set[int]:
    """Return how many ids, or features, the decoder reads.

    Both what is fed and the layers that look its ids up tell such a number.
    """
    if len(decoder_input.shape) >= _STEPWISE:
        return {size for size in decoder_input.shape[-1:] if size is not None}
    ids, widths = {decoder_input}, set()
    for call in graph.calls:
        if ids.intersection(call.inputs):
            widths |= _widths(call.operation)
            ids.update(value for value in call.outputs if len(value.shape) < _STEPWISE)
    return widths


def _widths(operation: Any) -> set[int]:
    sizes = [getattr(operation, name, None) for name in _WIDTHS]
    return {size for size in sizes if isinstance(size, int)}


def _unclear(graph: Graph, outputs: Sequence[Value], widths: set[int]) -> str:
    """Return one sentence that names the outputs, with their shapes, and says what to do."""
    read = f"; the decoder reads {' or '.join(map(str, sorted(widths)))} ids or features" if widths else ""
    return (
        "several outputs depend on the decoder input, and which is decoded can't be told: "
        f"{named_outputs(graph, outputs)}{read}; say which with {option('decoder_output', 'NAME')} (to split alone: "
        f"keras.Model(model.inputs, the_output)), or {option('decoder_output', JOINT.join('AB'))} where both "
        "are tokens that are fed back"
    )


def _shape(value: Value) -> str:
    return f"({', '.join('-' if size is None else str(size) for size in value.shape)})"
