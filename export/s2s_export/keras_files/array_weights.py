"""Weights in an `.npz` file of NumPy: as `numpy.savez(path, *model.get_weights())` wrote them, or by name."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from s2s_export.errors import ModelFileError


def assign_arrays(model: keras.Model, path: Path) -> None:
    """Give a model the weights of an `.npz` file, in the order of `model.weights` or by their paths or names.

    Raises:
        ModelFileError: there are more or fewer, names that aren't the model's, or other shapes.
    """
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    weights = list(model.weights)
    if len(arrays) != len(weights):
        raise ModelFileError(f"{path}: {len(arrays)} arrays, and the model has {len(weights)} weights")
    ordered = sorted(arrays, key=lambda name: (len(name), name))
    if not all(name.startswith("arr_") for name in arrays):
        ordered = [_named(weight, weights, arrays, path) for weight in weights]
    for weight, name in zip(weights, ordered, strict=True):
        if arrays[name].shape != tuple(weight.shape):
            raise ModelFileError(
                f"{path}: the array {name!r} has the shape {arrays[name].shape}, and the model's weight "
                f"{weight.path!r} {tuple(weight.shape)}; expected the weights of this very model, in the order of "
                "model.weights"
            )
        weight.assign(arrays[name])


def _named(weight: keras.Variable, weights: list[keras.Variable], arrays: dict[str, np.ndarray], path: Path) -> str:
    for name in (weight.path, f"{weight.path}:0", weight.name):
        alone = name != weight.name or sum(other.name == name for other in weights) == 1
        if name in arrays and alone:
            return name
    raise ModelFileError(
        f"{path}: holds no array for the weight {weight.path!r}; its names are {', '.join(list(arrays)[:8])}: expected "
        "numpy.savez(path, *model.get_weights())"
    )
