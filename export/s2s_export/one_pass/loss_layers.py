"""Models that compute their loss in a layer of their own, as the published readers trained with CTC do.

Such a layer reads the labels of training beside what the model predicts. In inference there are none, and the model
ends at what that layer read.
"""

from __future__ import annotations

from typing import Any

import keras

from s2s_runtime.spelling import option
from s2s_training.errors import SplitError
from s2s_training.splitting.graph import Call, Graph, Value, ancestors, flatten_model, replay

_AXES = 3  # batch, frames, classes


def without_loss(model: keras.Model) -> keras.Model:
    """Return a model up to what it predicts, without a layer that computes the loss; as it is where it has none.

    Raises:
        SplitError: the layer reads several tensors that could be what is predicted, or none.
    """
    graph = flatten_model(model)
    last = next((call for call in reversed(graph.calls) if set(call.outputs).intersection(graph.outputs)), None)
    if last is None or len(model.outputs) != 1:
        return model
    labels = [value for value in graph.inputs if _is_read_by(graph, value, last)]
    if not labels:
        return model
    predicted = [value for value in dict.fromkeys(last.inputs) if value not in labels and len(value.shape) == _AXES]
    if len(predicted) != 1:
        raise SplitError(
            f"layer {last.name} reads {', '.join(value.name for value in labels)} beside {len(predicted)} tensors of "
            f"(batch, frames, classes); {option('ctc')} expects one, which the model predicts: export "
            "keras.Model(inputs, predictions)"
        )
    inputs = [value for value in graph.inputs if value not in labels]
    environment: dict[Value, Any] = {
        value: keras.Input(value.shape[1:], dtype=value.dtype, name=value.name) for value in inputs
    }
    fresh = [environment[value] for value in inputs]
    replay(ancestors(graph.calls, predicted), environment)
    return keras.Model(fresh if len(fresh) > 1 else fresh[0], environment[predicted[0]], name=model.name)


def _is_read_by(graph: Graph, value: Value, last: Call) -> bool:
    """Return whether an input leads to nothing but one call: labels of training, or lengths."""
    readers = [call for call in graph.calls if value in call.inputs]
    return value in last.inputs and readers == [last] and len(last.inputs) > 1
