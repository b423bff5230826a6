"""Models that are given as a step: what their author's loop does, as one model that reads a whole target.

A pair of inference models, or of functions, has no training model to compare with. This stands in its place: it takes
the source and a whole target, runs the encoder once and the step once a position, as the author's loop does, and gives
the output of every position. Nothing here knows how encoder and step are taken apart, or made into graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree


class AuthorsLoop(keras.layers.Layer):
    """The loop over a target: (sources, target) to the output of each step, (batch, time, features).

    Args:
        encode: takes the sources; returns (states, memory), two lists of tensors.
        step: takes what is fed at one position, (batch, 1) or (batch, 1, features), states and memory; returns
            (output (batch, features), next states).
        width: how many features an output has.
        layers: the layers that these functions call, so that their weights are found.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[Any]], tuple[list[Any], list[Any]]],
        step: Callable[[Any, list[Any], list[Any]], tuple[Any, list[Any]]],
        width: int,
        layers: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encode, self.step, self.width = encode, step, width
        self.called = list(layers)

    def call(self, inputs: Sequence[Any]) -> Any:
        """Return the output of every step."""
        *sources, target = inputs
        states, memory = self.encode(sources)
        length = tf.shape(target)[1]
        made = tf.TensorArray(tf.float32, size=length, element_shape=(None, self.width))

        def take_step(at: Any, states: list[Any], made: Any) -> tuple[Any, list[Any], Any]:
            output, following = self.step(target[:, at : at + 1], states, memory)
            return at + 1, following, made.write(at, tf.cast(output, tf.float32))

        first = (tf.constant(0), states, made)
        shapes = (tf.TensorShape([]), [tf.TensorShape([None, *state.shape[1:]]) for state in states], None)
        invariants = (*shapes[:2], tf.TensorShape(None))
        *_, made = tf.while_loop(lambda at, *_: at < length, take_step, first, invariants)
        return tf.transpose(made.stack(), [1, 0, 2])

    def compute_output_spec(self, inputs: Sequence[Any]) -> keras.KerasTensor:
        """Return the shape (batch, time, features)."""
        target = inputs[-1]
        return keras.KerasTensor((target.shape[0], target.shape[1], self.width), "float32")


class SteppedModel(keras.Model):
    """A model that its author stepped by hand, from the sources and a whole target to the output of every step.

    Attributes:
        take_apart: returns encoder and step, a `SplitModel`; it takes the name of the source input that comes first, or
            None.
    """

    def __init__(
        self, sources: Sequence[Any], target: Any, loop: AuthorsLoop, take_apart: Callable[[str | None], Any]
    ) -> None:
        super().__init__([*sources, target], loop([*sources, target]))
        self.take_apart = take_apart


def unmasked(tensors: Any) -> list[Any]:
    """Return tensors without the masks that ride on them: what a loop gets from `predict` has none."""
    return [tf.identity(tensor) for tensor in tree.flatten(tensors)]
