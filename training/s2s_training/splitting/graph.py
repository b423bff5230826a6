"""A Keras model's graph as a flat list of calls, with nested models inlined.

Keras records one node per call of a layer or operation. Here those nodes become `Call`s over `Value`s: a plain,
topologically sorted program that can be partitioned and replayed, in which a model used as a layer is replaced by
what it holds. Layer names play no part.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from s2s_training.errors import SplitError


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor of the graph.

    Attributes:
        name: what to call it in messages.
        shape: with batch first; None where a dimension is free.
        dtype: the Keras name, e.g. "float32".
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer or operation.

    Attributes:
        operation: the Keras layer or operation called.
        args: positional arguments; tensors stand as `Value`s, possibly inside lists or dictionaries.
        kwargs: named arguments, likewise.
        outputs: the tensors it returns, flattened.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Value, ...]

    @property
    def name(self) -> str:
        """The name that messages use: `"decoder_lstm" (LSTM)`."""
        return f'"{self.operation.name}" ({type(self.operation).__name__})'

    @property
    def inputs(self) -> tuple[Value, ...]:
        """Every tensor among the arguments, masks included."""
        return values_in((self.args, self.kwargs))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments by the names that they have in the operation's `call`.

        An initial state is found under `initial_state` however it was passed: old files hand a recurrent layer the
        list `[sequence, state, ...]` as its first argument.
        """
        signature = inspect.signature(self.operation.call)
        bound = dict(signature.bind(*self.args, **self.kwargs).arguments)
        first = next(iter(bound), None)
        if is_recurrent(self.operation) and first is not None and isinstance(bound[first], list | tuple):
            sequence, *states = bound[first]
            bound[first] = sequence
            if states and bound.get("initial_state") is None:
                bound["initial_state"] = states
        return bound


@dataclass(frozen=True)
class Graph:
    """A whole model as a program.

    Attributes:
        inputs: the model's inputs in its own order.
        calls: every call, producers before consumers.
        outputs: the model's outputs in its own order.
    """

    inputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Value, ...]

    def producers(self) -> dict[Value, Call]:
        """Return the call that makes each value, for all values that are no inputs."""
        return {value: call for call in self.calls for value in call.outputs}

    def dependents(self, seeds: Iterable[Value]) -> set[Value]:
        """Return every value that can't be computed without one of the seeds, the seeds included."""
        reached = set(seeds)
        for call in self.calls:
            if any(value in reached for value in call.inputs):
                reached.update(call.outputs)
        return reached


@keras.saving.register_keras_serializable(package="s2s")
class Masked(keras.layers.Layer):
    """Puts a mask on a tensor, for the layers that find it there."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x: Any, mask: Any = None) -> Any:
        """Return the tensor as one of its own, on which Keras leaves the mask (batch, time) that was given."""
        return tf.identity(x)

    def compute_output_spec(self, x: Any, mask: Any = None) -> keras.KerasTensor:
        """Return the spec of the tensor."""
        return keras.KerasTensor(x.shape, x.dtype)


def is_recurrent(operation: object) -> bool:
    """Return whether an operation is a recurrent layer, bare or wrapped by `Bidirectional`."""
    return isinstance(operation, keras.layers.RNN | keras.layers.Bidirectional)


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


def values_in(structure: Any) -> tuple[Value, ...]:
    """Return the `Value`s in a nested structure, in order."""
    return tuple(leaf for leaf in tree.flatten(structure) if isinstance(leaf, Value))


def flatten_model(model: keras.Model) -> Graph:
    """Read a Functional or Sequential model as one flat program.

    Raises:
        SplitError: the model, or a model inside it, is subclassed and has no graph to read; or a mask is no tensor, as
            in a file that was edited.
    """
    builder = _Builder()
    function = _functional(model)
    inputs = tuple(builder.value_of(tensor) for tensor in tree.flatten(function.inputs))
    builder.add_model(function)
    outputs = tuple(builder.value_of(tensor) for tensor in tree.flatten(function.outputs))
    for call in builder.calls:
        if any(isinstance(leaf, str) for leaf in tree.flatten(call.kwargs.get("mask"))):
            raise SplitError(
                f'layer "{call.operation.name}": expected a tensor as its mask, got a text; is the file whole?'
            )
    return Graph(inputs, tuple(builder.calls), outputs)


def replay(
    calls: Iterable[Call],
    environment: dict[Value, Any],
    run: Callable[[Call, Callable[[Any], Any]], Any] | None = None,
) -> None:
    """Call the program again on other tensors.

    Args:
        calls: what to call, producers first.
        environment: the tensor that stands for each value; results are added to it.
        run: how to make one call; it gets the call and a function that fills tensors into any structure of values,
            and returns the outputs. By default the operation itself is called with the recorded arguments.
    """

    def fill(structure: Any) -> Any:
        return tree.map_structure(lambda leaf: environment[leaf] if isinstance(leaf, Value) else leaf, structure)

    for call in calls:
        outputs = call.operation(*fill(call.args), **fill(call.kwargs)) if run is None else run(call, fill)
        environment.update(zip(call.outputs, tree.flatten(outputs), strict=True))


def ancestors(calls: Iterable[Call], wanted: Iterable[Value]) -> list[Call]:
    """Return the calls that the wanted values need, in program order."""
    needed = set(wanted)
    kept: list[Call] = []
    for call in reversed(list(calls)):
        if needed.intersection(call.outputs):
            needed.update(call.inputs)
            kept.append(call)
    return kept[::-1]


def substitute(structure: Any, replacements: Mapping[Value, Any]) -> Any:
    """Return the structure with some of its values replaced."""
    return tree.map_structure(lambda leaf: replacements.get(leaf, leaf) if isinstance(leaf, Value) else leaf, structure)


@contextmanager
def distinct_names(graph: Graph) -> Iterator[None]:
    """Give every operation a name of its own while the block runs.

    Layers inside two models may share names; a model that holds both sets of layers may not.
    """
    renamed: list[tuple[Any, str]] = []
    operations = {id(call.operation): call.operation for call in graph.calls}.values()
    names = {operation.name for operation in operations}
    taken: set[str] = set()
    for operation in operations:
        name, number = operation.name, 1
        while operation.name in taken:
            number += 1
            if (other := f"{name}_{number}") not in names:
                renamed.append((operation, name))
                operation.name = other
        taken.add(operation.name)
    try:
        yield
    finally:
        for operation, name in renamed:
            operation.name = name


def reserve_names(graph: Graph) -> None:
    """Keep Keras from giving new operations the names of those in the graph.

    A loaded model brings names that Keras has not given out in this process, and a model that holds two operations of
    one name is an error.
    """
    for call in graph.calls:
        reserve_name(call.operation.name)


def reserve_name(name: str) -> None:
    """Keep Keras from giving this name to operations that it makes from now on."""
    stem, _, number = name.rpartition("_")
    numbered = stem and number.isdecimal() and len(number) < len(str(_HIGHEST_NUMBER))
    prefix, least = (stem, int(number)) if numbered else (name, 0)
    while keras.backend.get_uid(prefix) <= least:
        pass


_HIGHEST_NUMBER = 10_000  # no process gets there by itself


def _functional(model: Any) -> Any:
    """Return the Functional that holds a model's graph."""
    if isinstance(model, keras.Sequential):
        model = model._functional  # a built Sequential runs through this one
    if model is None or not hasattr(model, "_nodes_by_depth"):
        raise SplitError(
            f"{type(model).__name__ if model is not None else 'an unbuilt Sequential'} has no graph of layers that can "
            "be read: give the two functions of its decoding loop to s2s_export.export_steps, or rebuild it with "
            "keras.Model(inputs, outputs) from the same layers (their weights come along)"
        )
    return model


def _is_graph(operation: Any) -> bool:
    """Return whether an operation is a model of layers to be read; one of code of its own is called as a layer."""
    if isinstance(operation, keras.Sequential):
        return True
    return isinstance(operation, keras.Model) and hasattr(operation, "_nodes_by_depth")


def _nodes(function: Any) -> Iterator[Any]:
    for depth in sorted(function._nodes_by_depth, reverse=True):
        for node in function._nodes_by_depth[depth]:
            if node.operation is not None and not node.is_input:
                yield node


@dataclass
class _Builder:
    """Collects calls while nested models are inlined; it knows a value by the identity of its Keras tensor."""

    calls: list[Call] = field(default_factory=list)
    values: dict[int, Value] = field(default_factory=dict)

    def value_of(self, tensor: Any) -> Value:
        if id(tensor) not in self.values:
            self.values[id(tensor)] = Value(
                tensor.name, tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype)
            )
        return self.values[id(tensor)]

    def resolve(self, structure: Any) -> Any:
        return tree.map_structure(
            lambda leaf: self.value_of(leaf) if isinstance(leaf, keras.KerasTensor) else leaf, structure
        )

    def add_model(self, function: Any) -> None:
        for node in _nodes(function):
            if _is_graph(node.operation):
                self.inline(node)
            else:
                args, kwargs = self.resolve(node.arguments.args), self.resolve(node.arguments.kwargs)
                outputs = tuple(self.value_of(tensor) for tensor in node.outputs)
                self.calls.append(Call(node.operation, tuple(args), dict(kwargs), outputs))

    def inline(self, node: Any) -> None:
        """Add the calls of a nested model; a model that is called twice is read twice, over other values."""
        inner = _functional(node.operation)
        args, kwargs = self.resolve(node.arguments.args), self.resolve(node.arguments.kwargs)
        arguments = Call(node.operation, tuple(args), dict(kwargs), ()).arguments()
        given = self.masked(values_in(arguments["inputs"]), arguments.get("mask"))
        nested = _Builder(self.calls, {})
        for tensor, value in zip(tree.flatten(inner.inputs), given, strict=True):
            nested.values[id(tensor)] = value
        nested.add_model(inner)
        for outer, tensor in zip(node.outputs, tree.flatten(inner.outputs), strict=True):
            self.values[id(outer)] = nested.value_of(tensor)

    def masked(self, given: Sequence[Value], masks: Any) -> list[Value]:
        """Return the inputs of a nested model with the masks that it is called with, as its layers find them on those.

        They may ride on the inputs as well, but attention layers outside of it take off those that they have read.
        """
        flat = tree.flatten(masks) if masks is not None else []
        made = list(given)
        for index, (value, mask) in enumerate(zip(given, flat, strict=False)):
            if mask is not None:
                made[index] = Value(value.name, value.shape, value.dtype)
                self.calls.append(Call(Masked(), (value,), {"mask": mask}, (made[index],)))
        return made
