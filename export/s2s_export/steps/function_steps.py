"""Takes two Python functions on tensors, one that encodes and one that takes a step, as encoder and step.

They are called on made-up sources of several lengths: what they give tells shapes, dtypes and how states and memory are
nested, and which layers they call, wherever these are held. A mask that rides on a tensor of the memory crosses as a
tensor of its own and is put back before every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from s2s_export.errors import ExportError
from s2s_training.splitting.graph import flatten_model
from s2s_training.splitting.partition import Partition
from s2s_training.splitting.source_inputs import aligned_with_first
from s2s_training.splitting.splitter import SplitModel, which_are_vectors
from s2s_training.splitting.stepped_model import AuthorsLoop, SteppedModel

Encode = Callable[..., tuple[Any, Any]]
TakeStep = Callable[[Any, Any, Any], tuple[Any, Any]]
_TRIED: Final = ((2, 5), (3, 7))  # rows and steps of made-up sources: what differs between them is free


@dataclass(frozen=True)
class _Functions:
    """Both functions, on flat lists of tensors.

    Attributes:
        encode, step: as the caller wrote them.
        states, memory: how they are nested.
        masked: which tensors of the memory have a mask riding on them.
    """

    encode: Encode
    step: TakeStep
    states: Any
    memory: Any
    masked: tuple[bool, ...]

    def encoded(self, sources: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Return the states, and the memory with its masks behind it."""
        states, memory = self.encode(*sources)
        flat = _tensors(memory)
        masks = [tensor._keras_mask for tensor, masked in zip(flat, self.masked, strict=True) if masked]
        return [tf.identity(state) for state in tree.flatten(states)], [
            *map(tf.identity, flat),
            *map(tf.identity, masks),
        ]

    def stepped(self, fed: Any, states: Sequence[Any], memory: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Return output (batch, features) and next states for what is fed (batch, 1, ...)."""
        tensors = [tf.identity(tensor) for tensor in memory[: len(self.masked)]]
        masks = iter(memory[len(self.masked) :])
        for tensor, masked in zip(tensors, self.masked, strict=True):
            if masked:
                tensor._keras_mask = next(masks)
        packed = tree.pack_sequence_as(self.memory, tensors) if tensors else self.memory
        output, following = self.step(fed, tree.pack_sequence_as(self.states, list(states)), packed)
        return (output[:, -1] if len(output.shape) > 2 else output), tree.flatten(following)


class FlatCall(keras.layers.Layer):
    """A function of tensors as a layer, its outputs in a list.

    Args:
        function: called with the layer's inputs, one by one.
        specs: shape and dtype of each output.
        called: the layers that it calls, so that their weights are found.
        source_size: how many ids it reads, where it reads ids.
    """

    def __init__(
        self,
        function: Callable[..., Sequence[Any]],
        specs: Sequence[keras.KerasTensor],
        called: Sequence[Any],
        source_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "autocast": False})
        self.function, self.specs, self.called, self.source_size = function, list(specs), list(called), source_size
        self.supports_masking = True

    def build(self, *_: Any) -> None:
        """Build nothing: the layers that the function calls have been called."""
        self.built = True

    def call(self, tensors: Any) -> list[Any]:
        """Return what the function gives."""
        return list(self.function(*(tensors if isinstance(tensors, list | tuple) else [tensors])))

    def compute_mask(self, *_: Any) -> list[None]:
        """Return None for every output: masks are tensors of their own."""
        return [None] * len(self.specs)

    def compute_output_spec(self, _: Any) -> list[keras.KerasTensor]:
        """Return the specs that were found."""
        return [keras.KerasTensor(spec.shape, spec.dtype) for spec in self.specs]


def steps_model(
    encode: Encode, step: TakeStep, inputs: Sequence[keras.KerasTensor], source_size: int | None
) -> SteppedModel:
    """Return one model of two functions; `exporter.export` takes it.

    Args:
        encode: takes the sources; returns (states, memory), nested in whatever way.
        step: takes what is fed (batch, 1) or (batch, 1, features), states and memory; returns (output, next states).
        inputs: the sources, and last the whole target, as the training model would take them.
        source_size: how many ids the first source has; None where it holds no ids, or a vocabulary tells.

    Raises:
        ExportError: the functions don't give what is expected of them.
    """
    if len(inputs) < 2:
        raise ExportError(f"inputs: expected the source, and last the target; got {len(inputs)}")
    *sources, target = inputs
    tried = [_try(encode, step, inputs, size) for size in _TRIED]
    functions, called = tried[0].functions, tried[0].called
    encoded = _free(*(each.encoded for each in tried))
    output, *following = _free(*(each.stepped for each in tried))
    count = len(tree.flatten(functions.states))
    for i, (state, then) in enumerate(zip(encoded[:count], following, strict=True)):
        if state.shape != then.shape or state.dtype != then.dtype or None in state.shape[1:]:
            raise ExportError(
                f"step: expected next states like those it got, of one size; state {i} is {state.shape} {state.dtype} "
                f"and becomes {then.shape} {then.dtype}"
            )

    def split(first: str | None) -> SplitModel:
        if first not in (None, sources[0].name):
            raise ExportError(f"source_input: the first source is {sources[0].name!r}; list the one you mean first")
        return _taken_apart(functions, called, (sources, target), (encoded, [output, *following]), source_size)

    width = output.shape[-1]
    loop = AuthorsLoop(functions.encoded, functions.stepped, int(width or 0), called, name="step")
    return SteppedModel(sources, target, loop, split)


@dataclass(frozen=True)
class _Tried:
    functions: _Functions
    called: list[Any]
    encoded: list[Any]
    stepped: list[Any]


def _try(encode: Encode, step: TakeStep, inputs: Sequence[Any], size: tuple[int, int]) -> _Tried:
    """Call both functions once, and look at what they give."""
    *sources, target = inputs
    rows, steps = size
    made_up = [_made_up(source, rows, steps) for source in sources]
    with _calls() as called:
        given = encode(*made_up)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise ExportError(f"encode: expected it to return (states, memory), got {_told(given)}")
        states, memory = given
        if not _tensors(states):
            raise ExportError(
                "encode: expected states, a tensor or several, got none: nothing would go from step to step"
            )
        masked = tuple(getattr(tensor, "_keras_mask", None) is not None for tensor in _tensors(memory))
        functions = _Functions(encode, step, states, memory, masked)
        flat = functions.encoded(made_up)
        stepped = step(_made_up(target, rows, 1), states, memory)
        if not isinstance(stepped, tuple | list) or len(stepped) != 2:
            raise ExportError(f"step: expected it to return (output, next states), got {_told(stepped)}")
        if len(tree.flatten(stepped[1])) != len(tree.flatten(states)):
            raise ExportError(
                f"step: expected as many next states as states ({len(tree.flatten(states))}), got "
                f"{len(tree.flatten(stepped[1]))}"
            )
        output, following = functions.stepped(_made_up(target, rows, 1), *flat)
    return _Tried(functions, called, [*flat[0], *flat[1]], [output, *following])


def _tensors(structure: Any) -> list[Any]:
    """Return the tensors of a nested structure; None holds none."""
    return [leaf for leaf in tree.flatten(structure) if leaf is not None]


def _told(given: Any) -> str:
    return f"{len(given)} things" if isinstance(given, tuple | list) else type(given).__name__


def _made_up(spec: Any, rows: int, steps: int) -> Any:
    shape = [rows, *(steps if size is None else size for size in spec.shape[1:])]
    if spec.dtype.startswith(("int", "uint")):
        return tf.ones(shape, spec.dtype)
    return tf.cast(np.random.default_rng(3).normal(size=shape), spec.dtype)


@contextmanager
def _calls() -> Iterator[list[Any]]:
    """Collect the layers that are called by nobody but the block itself."""
    called: list[Any] = []
    depth, original = [0], keras.layers.Layer.__call__

    def recorded(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if depth[0] == 0 and not any(layer is other for other in called):
            called.append(layer)
        depth[0] += 1
        try:
            return original(layer, *args, **kwargs)
        finally:
            depth[0] -= 1

    with patch.object(keras.layers.Layer, "__call__", recorded):
        yield called


def _free(one: Sequence[Any], other: Sequence[Any]) -> list[keras.KerasTensor]:
    """Return specs of tensors made of sources of two sizes: an axis that differs is free."""
    return [
        keras.KerasTensor(
            (None, *(a if a == b else None for a, b in zip(x.shape[1:], y.shape[1:], strict=True))), x.dtype.name
        )
        for x, y in zip(one, other, strict=True)
    ]


def _taken_apart(
    functions: _Functions,
    called: Sequence[Any],
    inputs: tuple[Sequence[Any], Any],
    specs: tuple[Sequence[Any], Sequence[Any]],
    source_size: int | None,
) -> SplitModel:
    (sources, target), (encoded, stepped) = inputs, specs
    count = len(stepped) - 1

    def encode(*tensors: Any) -> list[Any]:
        states, memory = functions.encoded(tensors)
        return [*states, *memory]

    def step(fed: Any, *carried: Any) -> list[Any]:
        output, following = functions.stepped(tf.expand_dims(fed, 1), carried[:count], carried[count:])
        return [output, *following]

    fresh = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in sources]
    encoder = keras.Model(fresh, FlatCall(encode, encoded, called, source_size, name="encode")(fresh), name="encoder")
    fed = keras.Input(target.shape[2:], dtype=target.dtype, name="s2s.fed")
    carried = [
        keras.Input(spec.shape[1:], dtype=spec.dtype, name=f"{'state' if i < count else 'memory'}_{i}")
        for i, spec in enumerate(encoded)
    ]
    decoder = keras.Model(
        [fed, *carried], FlatCall(step, stepped, called, name="step")([fed, *carried]), name="decoder"
    )
    graphs = flatten_model(encoder), flatten_model(decoder)
    values = frozenset(graphs[1].dependents(graphs[1].inputs[: 1 + count]))
    reading = Partition((graphs[1].inputs[0],), graphs[0].calls, graphs[1].calls, values, graphs[1].outputs[0], ())
    vectors = which_are_vectors(graphs[0], graphs[0].inputs)
    return SplitModel(
        encoder=encoder,
        decoder=decoder,
        fed="token" if target.dtype.startswith(("int", "uint")) else "value",
        state_count=count,
        memory_count=len(encoded) - count,
        attention=False,
        source_indices=tuple(range(len(sources))),
        sources=graphs[0].inputs,
        vectors=vectors,
        aligned=aligned_with_first(encoder.inputs, vectors, encoder.outputs),
        target_index=len(sources),
        fed_inputs=(),
        known=(False,) * len(sources),
        output_index=0,
        steps=None,
        reading=reading,
    )
