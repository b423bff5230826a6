"""Finds the attention weights of hand-made attention, which no attention layer hands out.

In the step graph the target has one position and the batch is free, so a free axis that is not the first can only be
the source's. A softmax along it says how much each source position counts; so does an extra output of a custom layer
that sums to one along it, which takes running the step once to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree

from s2s_training.splitting.feeding import WithoutAxis

_MANY_STEPS: Final = 16
"""Of what a whole model is run on where it fails on few: a convolution without padding reads as many as its kernel."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A tensor of the step graph that may hold attention weights.

    Attributes:
        tensor: float, batch first; every axis but `axis` and the first has a fixed size (1, or heads).
        axis: the source's.
    """

    tensor: Any
    axis: int

    def over_source(self) -> Any:
        """Return the weights as (batch, source time): the mean over whatever other axes there are."""
        moved = ops.moveaxis(self.tensor, self.axis, -1)
        single = [i for i, size in enumerate(moved.shape[:-1]) if i > 0 and size == 1]
        for axis in reversed(single):
            moved = WithoutAxis(axis)(moved)
        others = list(range(1, len(moved.shape) - 1))
        return ops.mean(moved, axis=others) if others else moved


def softmax_over_source(operation: Any, tensor: Any, lengths: frozenset[int]) -> Candidate | None:
    """Return the weights that a call made, where it was a softmax along the source axis; None elsewhere.

    Args:
        operation: the layer or operation called.
        tensor: its (first) output in the step graph.
        lengths: source lengths where the training model fixes them.
    """
    axis = _softmax_axis(operation)
    if axis is None:
        return None
    rank = len(tensor.shape)
    axis %= rank
    size = tensor.shape[axis]
    others_fixed = all(size is not None for i, size in enumerate(tensor.shape) if i not in (0, axis))
    if axis == 0 or not others_fixed or not (size is None or size in lengths):
        return None
    return Candidate(tensor, axis)


def extra_outputs(operation: Any, outputs: Any) -> list[Candidate]:
    """Return the outputs of a custom layer that may hold attention weights.

    They are floats with exactly one free axis beside the batch. Keras's own layers, and layers with a single output,
    give none.
    """
    flat = tree.flatten(outputs)
    if len(flat) < 2 or not isinstance(operation, keras.Layer) or type(operation).__module__.startswith("keras."):
        return []
    candidates = []
    for tensor in flat:
        free = [i for i, size in enumerate(tensor.shape) if i > 0 and size is None]
        if len(free) == 1 and keras.backend.standardize_dtype(tensor.dtype).startswith("float"):
            candidates.append(Candidate(tensor, free[0]))
    return candidates


def distributions(inputs: Sequence[Any], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates whose values are never negative and sum to one along the source, as a run on noise shows.

    Args:
        inputs: the inputs of the step graph.
        candidates: tensors computed from them.
    """
    if not candidates:
        return []
    probe = keras.Model(list(inputs), [candidate.tensor for candidate in candidates])
    values = tree.flatten(probe(noise_for(inputs), training=False))
    return [
        candidate for candidate, value in zip(candidates, values, strict=True) if is_distribution(value, candidate.axis)
    ]


def is_distribution(values: Any, axis: int = -1) -> bool:
    """Return whether no value of an array or tensor is negative, and they sum to one along an axis."""
    values = np.asarray(values, np.float64)
    return bool((values >= 0).all() and np.allclose(values.sum(axis=axis), 1, atol=1e-3))


def run_on_noise(model: keras.Model) -> list[Any]:
    """Return what a model whose inputs are a list gives for noise, output by output."""
    try:
        made = model(noise_for(model.inputs), training=False)
    except (ValueError, tf.errors.InvalidArgumentError):
        made = model(noise_for(model.inputs, _MANY_STEPS), training=False)
    return list(tree.flatten(made))


def noise_for(inputs: Sequence[Any], steps: int = 3) -> list[Any]:
    """Return an array for each model input to run the model on.

    Inputs that hold vectors of floats get normal noise, all others (ids, masks) ones. Free dimensions become `steps`.
    """
    rng = np.random.default_rng(0)
    made = []
    for tensor in inputs:
        shape = tuple(steps if size is None else size for size in tensor.shape)
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        noise = rng.normal(size=shape) if dtype.startswith("float") and len(shape) > 1 else np.ones(shape)
        made.append(ops.convert_to_tensor(noise.astype(dtype)))
    return made


def _softmax_axis(operation: Any) -> int | None:
    """Return the axis along which an operation normalises; None where it is no softmax."""
    if getattr(operation, "activation", None) is keras.activations.softmax:
        return -1
    if type(operation).__name__ == "Softmax" and isinstance(operation, keras.Operation):  # layer and operation alike
        axis = operation.axis
        axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
        return axis if isinstance(axis, int) else None
    return None
