"""What the encoder reads, where a model has more inputs than one for it: their order, and whose lengths go together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree

from s2s_runtime.spelling import option, shown
from s2s_training.errors import UnsaidError
from s2s_training.splitting.graph import Call, Graph, Value, ancestors, replay

_STEPS, _MORE_STEPS = 5, 7
_TARGET_STEPS = 11  # a number that few other axes have
_READ_IDS = ("Cast", "OneHot", "CategoryEncoding")  # ids are often declared as floats
_MOST_BESIDE = 5  # inputs tried together, which doubles the tries


def order_sources(
    graph: Graph,
    calls: Iterable[Call],
    decoder_inputs: Sequence[Value],
    first: str | None = None,
    *,
    states: Iterable[Value] = (),
) -> tuple[Value, ...]:
    """Return the inputs that are the source's, in order.

    The one that is named comes first, else the first that holds ids, else the first with a time axis; the others follow
    in the model's order. Inputs that nothing decoded depends on (those of a second head, say) are left out.

    Args:
        graph: the whole training model.
        calls: those of encoder and decoder.
        decoder_inputs: the inputs that aren't the source's.
        first: name of the input that comes first.
        states: what the first step reads as states, inputs among them.

    Raises:
        SplitError: no source input has that name.
    """
    read = {value for call in calls for value in call.inputs} | set(states)
    sources = [value for value in graph.inputs if value not in decoder_inputs and value in read]
    if first is not None and first not in [value.name for value in sources]:
        known = ", ".join(value.name for value in sources) or "none"
        raise UnsaidError(
            f"{option('source_input')}: no source input is called {shown(first)}; the model's source inputs are {known}"
        )
    ranked = sorted(sources, key=lambda value: (not holds_ids(graph, value), is_vector(graph, value)))
    chosen = next((value for value in sources if value.name == first), next(iter(ranked), None))
    return tuple(sorted(sources, key=lambda value: value is not chosen))


def holds_ids(graph: Graph, value: Value) -> bool:
    """Return whether an input holds ids: integers, or what an `Embedding` reads."""
    embedded = any(value in call.inputs and isinstance(call.operation, keras.layers.Embedding) for call in graph.calls)
    return len(value.shape) == 2 and (embedded or value.dtype.startswith(("int", "uint")))


def is_vector(graph: Graph, value: Value) -> bool:
    """Return whether an input holds a vector, or an array of fixed shape, for a whole sentence: no axis is time's."""
    if None in value.shape[1:] or holds_ids(graph, value) or not value.dtype.startswith("float"):
        return False
    if len(value.shape) != 2:
        return len(value.shape) > 3
    return not any(value in call.inputs and type(call.operation).__name__ in _READ_IDS for call in graph.calls)


def read_beside(graph: Graph, decoder_inputs: Sequence[Value]) -> tuple[Value, ...]:
    """Return the other inputs that must have as many steps as the decoder's, as calls with other lengths show.

    They are read step by step too. Where the decoder's inputs can't have another length, nothing shows.
    """
    calls = ancestors(graph.calls, graph.outputs)
    read = {value for call in calls for value in call.inputs}
    others = [value for value in graph.inputs if value not in decoder_inputs and value in read]
    timed = [value for value in others if len(value.shape) >= 3 or (len(value.shape) == 2 and holds_ids(graph, value))]
    if len(others) < 2 or not timed:
        return ()  # whatever a call showed
    for count in range(min(len(others), _MOST_BESIDE)):  # one other is left at least: the source
        for beside in combinations(timed, count):
            if _takes_longer(graph, calls, (*decoder_inputs, *beside)):
                return beside
    return ()


def _takes_longer(graph: Graph, calls: Sequence[Call], longer: Sequence[Value]) -> bool:
    """Return whether a model can be called on more steps in some inputs than in the others."""
    return _called_on_longer(graph, calls, longer) is not None


def sets_target_steps(graph: Graph, output: Value, decoder_inputs: Sequence[Value]) -> bool:
    """Return whether an output has as many steps as the decoder's inputs.

    A call with more steps there than elsewhere shows it; where none can be made, nothing says that it hasn't.
    """
    called = _called_on_longer(graph, ancestors(graph.calls, [output]), decoder_inputs)
    if called is None or len(called[output].shape) != len(output.shape):
        return True
    return int(called[output].shape[1]) == int(called[decoder_inputs[0]].shape[1])


def _called_on_longer(graph: Graph, calls: Sequence[Call], longer: Sequence[Value]) -> dict[Value, Any] | None:
    """Return what a model gives for more steps in some inputs than in the others; None where it can't be called so."""
    environment: dict[Value, Any] = {}
    for value in graph.inputs:
        shape = [1 if size is None else size for size in value.shape]
        if len(shape) > 1 and value in longer:
            shape[1] = _MORE_STEPS if value.shape[1] is None else shape[1] + 1
        elif len(shape) > 1 and value.shape[1] is None:
            shape[1] = _STEPS
        environment[value] = ops.ones(shape, dtype=value.dtype)
    try:
        replay(calls, environment)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None
    return environment


def noise(rng: np.random.Generator, graph: Graph, value: Value, steps: int) -> np.ndarray:
    """Return random content of an input for two sentences; ids are among those that its embeddings know."""
    shape = [2, *(steps if size is None else size for size in value.shape[1:])]
    if not holds_ids(graph, value):
        return rng.normal(size=shape).astype(np.float32)
    readers = [call.operation for call in graph.calls if value in call.inputs]
    sizes = [int(reader.input_dim) for reader in readers if isinstance(reader, keras.layers.Embedding)]
    return rng.integers(1, max(2, min(sizes, default=3)), size=shape)


def that_look_elsewhere(graph: Graph, calls: Sequence[Call], decoder_inputs: Sequence[Value]) -> set[Call]:
    """Return those of the decoder's calls that give something else for one step alone than among all steps.

    They read other steps, or count them. Only operations that nobody here knows are tried, layers of the user's own and
    functions between layers, on numbers that are made up; where the model can't be called on them, nothing shows.
    """
    unknown = [call for call in calls if _is_unknown(call.operation)]
    if not unknown or not decoder_inputs:
        return set()
    steps = decoder_inputs[0].shape[1] if len(decoder_inputs[0].shape) > 1 else None
    steps, rng = steps or _TARGET_STEPS, np.random.default_rng(0)
    environment: dict[Value, Any] = {
        value: ops.convert_to_tensor(
            noise(rng, graph, value, steps if value in decoder_inputs else _STEPS), dtype=value.dtype
        )
        for value in graph.inputs
    }
    try:
        replay(ancestors(graph.calls, [value for call in unknown for value in call.outputs]), environment)
    except (ValueError, TypeError, tf.errors.OpError):
        return set()
    values = graph.dependents(decoder_inputs)
    return {call for call in unknown if _looks_elsewhere(call, values, environment, steps)}


def _is_unknown(operation: Any) -> bool:
    if isinstance(operation, keras.layers.Lambda):
        return True
    is_layer = isinstance(operation, keras.Layer)
    return not type(operation).__module__.startswith(("keras.src.layers", "s2s_") if is_layer else "s2s_")


def _looks_elsewhere(call: Call, values: set[Value], environment: dict[Value, Any], steps: int) -> bool:
    step = steps - 2
    found = {value: _axes_of(environment[value], steps) for value in (*call.inputs, *call.outputs) if value in values}
    axes = {value: next(iter(of_value), None) for value, of_value in found.items()}
    if any(axes[value] is None for value in call.inputs if value in axes) or any(
        len(each) > 1 for each in found.values()
    ):
        return False  # which axis is the target's can't be told

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, Value):
            return leaf
        axis = axes.get(leaf)
        return environment[leaf] if axis is None else ops.take(environment[leaf], [step], axis=axis)

    args, kwargs = tree.map_structure(one, (call.args, call.kwargs))
    try:
        alone = tree.flatten(call.operation(*args, **kwargs))
    except (ValueError, TypeError, tf.errors.OpError):
        return False  # the step itself will say that it can't be called so
    for value, made in zip(call.outputs, alone, strict=True):
        expected = one(value)
        if tuple(made.shape) != tuple(expected.shape):
            return True
        if not np.allclose(np.asarray(made, np.float64), np.asarray(expected, np.float64), atol=1e-4):
            return True
    return False


def _axes_of(tensor: Any, steps: int) -> list[int]:
    """Return the axes behind the batch that have so many steps."""
    return [axis for axis, size in enumerate(tensor.shape) if axis and size == steps]


def aligned_with_first(sources: Sequence[Any], vectors: Sequence[bool], outputs: Sequence[Any]) -> tuple[bool, ...]:
    """Return which sources must have as many steps as the first, as a run with another number of steps shows.

    Args:
        sources: the encoder's inputs, the first one True in the result.
        vectors: which of them have no time axis.
        outputs: what the encoder makes of them.
    """
    if len(sources) == 1:
        return (True,)
    encoder = keras.Model(list(sources), list(outputs))
    aligned = [True]
    for i in range(1, len(sources)):
        free = not vectors[i] and sources[i].shape[1] is None
        aligned.append(free and not runs(encoder, vectors, {i: _MORE_STEPS}))
    return tuple(aligned)


def runs(encoder: keras.Model, vectors: Sequence[bool], steps: dict[int, int]) -> bool:
    """Return whether a model runs on made-up sources.

    Args:
        encoder: a model of all sources.
        vectors: which of them have no time axis.
        steps: how many steps some of those have whose time is free.
    """
    return runs_on(encoder, _made_up(encoder.inputs, vectors, steps))


def runs_on(model: keras.Model, inputs: Sequence[Any]) -> bool:
    """Return whether a model can be called on these tensors."""
    try:
        model(list(inputs), training=False)
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return True


def ones_for(inputs: Sequence[Any], steps: int = _STEPS) -> list[Any]:
    """Return a tensor of ones for each input, for two sentences; what is free has so many steps.

    Keras takes what is added to a single row for a bias, in some shapes.
    """
    return [ops.ones([2, *(size or steps for size in tensor.shape[1:])], dtype=tensor.dtype) for tensor in inputs]


def weights_over_first(
    encoder: tuple[Sequence[Any], Sequence[bool], Sequence[Any]], inputs: Sequence[Any], weights: Sequence[Any]
) -> list[Any]:
    """Return the attention weights that lie over the first source, as runs with sources of different lengths show.

    Args:
        encoder: its inputs, which of them have no time axis, and its outputs that the step reads as memory.
        inputs: the step's inputs, the memory last, in the order of the encoder's outputs.
        weights: tensors (batch, source time) made of `inputs`.
    """
    sources, vectors, memory = encoder
    if vectors[0]:
        return []  # a vector has no steps that weights could lie over
    if len(sources) < 2 or not weights:
        return list(weights)
    aligned = aligned_with_first(sources, vectors, memory)
    steps = {i: _MORE_STEPS + i for i in range(1, len(sources)) if not aligned[i]}
    memory_arrays = tree.flatten(
        keras.Model(list(sources), list(memory))(_made_up(sources, vectors, steps), training=False)
    )
    for tensor in memory_arrays:
        tensor._keras_mask = None  # masks are inputs of the step, not riders
    others = [
        np.ones([1 if size is None else size for size in t.shape]) for t in inputs[: len(inputs) - len(memory_arrays)]
    ]
    fed = [ops.cast(value, tensor.dtype) for value, tensor in zip(others, inputs, strict=False)]
    values = tree.flatten(keras.Model(list(inputs), list(weights))([*fed, *memory_arrays], training=False))
    first = sources[0].shape[1] or _STEPS
    return [weight for weight, value in zip(weights, values, strict=True) if value.shape[1] == first]


def _made_up(sources: Sequence[Any], vectors: Sequence[bool], steps: dict[int, int]) -> list[Any]:
    """Return one sentence of ones, with a number of steps for each source whose time is free."""
    made = []
    for i, (tensor, vector) in enumerate(zip(sources, vectors, strict=True)):
        shape = [1, *tensor.shape[1:]]
        if not vector and shape[1] is None:
            shape[1] = steps.get(i, _STEPS)
        made.append(ops.ones([size or _STEPS for size in shape], dtype=tensor.dtype))
    return made
