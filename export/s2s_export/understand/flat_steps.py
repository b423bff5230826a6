"""Sequences whose steps have several axes, such as frames of a video: a bundle's steps are rows of numbers.

The model gets inputs and an output of rows around it, which changes nothing of what it computes; the manifest keeps the
shape of a step, in which the runtime takes and gives them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
from keras import layers

from s2s_export.errors import IN_CODE, ExportError
from s2s_training.splitting.splitter import SplitModel
from s2s_training.splitting.stepped_model import SteppedModel

Shape = tuple[int, ...]
_ROWS = 3  # axes: batch, time, features


@dataclass(frozen=True)
class FlatSteps:
    """A model in which each step of every sequence is a row of numbers.

    Attributes:
        model: the training model, or one around it.
        inputs: the shape that steps have by themselves, by the name of the input; what has rows anyhow is left out.
        output: that of what is decoded, () where these are rows anyhow.
    """

    model: keras.Model
    inputs: Mapping[str, Shape] = field(default_factory=dict)
    output: Shape = ()

    @classmethod
    def of(cls, model: keras.Model, split: SplitModel) -> FlatSteps:
        """Read a model that was split, and put another around it where its steps have several axes.

        Raises:
            ExportError: the size of an axis isn't fixed, or the model is of functions that its author stepped.
        """
        sequences = [value for value, vector in zip(split.sources, split.vectors, strict=True) if not vector]
        sequences += [fed.value for fed in split.fed_inputs]
        steps = {value.name: _step(repr(value.name), value.shape) for value in sequences if len(value.shape) > _ROWS}
        decoded = model.outputs[split.output_index]
        output = _step("what is decoded", decoded.shape) if len(decoded.shape) > _ROWS else ()
        if not steps and not output:
            return cls(model)
        if isinstance(model, SteppedModel):
            raise ExportError(
                f"steps of {' and '.join([*map(repr, steps), *(['what is decoded'] if output else [])])} have several "
                "axes; expected rows, (batch, time, features): reshape them inside of your models or functions"
            )
        return cls(_around(model, steps, split.output_index if output else None), steps, output)


def _step(what: str, shape: tuple[int | None, ...]) -> Shape:
    if None in shape[2:]:
        raise ExportError(
            f"{what} has shape {shape}; expected the sizes of a step to be fixed, all but the first two: fix them "
            "where the model is built, such as keras.Input((None, 64, 64, 3)) for a video and keras.Input((64, 64, 3)) "
            f"for a picture, and give it the weights: {IN_CODE}"
        )
    return tuple(int(size or 0) for size in shape[2:])


def _around(model: keras.Model, steps: Mapping[str, Shape], flat_output: int | None) -> keras.Model:
    """Return a model of rows around a model, whose inputs keep their names; `flat_output` is made one of rows too."""
    rows, given = [], []
    for tensor in model.inputs:
        step = steps.get(tensor.name)
        shape = tensor.shape[1:] if step is None else (tensor.shape[1], math.prod(step))
        rows.append(keras.Input(shape, dtype=tensor.dtype, name=tensor.name))
        given.append(rows[-1] if step is None else layers.Reshape((-1, *step))(rows[-1]))
    name = model.name
    try:
        model.name = f"{name}_of_steps"  # the name of a layer here, and an input may be called as the model is
        made = keras.tree.flatten(model(given if len(given) > 1 else given[0]))
        if flat_output is not None:
            shape = made[flat_output].shape
            made[flat_output] = layers.Reshape((shape[1] or -1, math.prod(shape[2:])))(made[flat_output])
        return keras.Model(rows, made if len(made) > 1 else made[0], name=name)
    finally:
        model.name = name
