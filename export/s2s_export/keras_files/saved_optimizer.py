"""The optimizer that a saved model brings along: what it remembers of training is evidence of how the model was fed."""

from __future__ import annotations

import inspect
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np


def restore_optimizer(model: keras.Model, path: Path) -> None:
    """Give a model that was loaded for inference the optimizer that its file holds, where it holds one.

    Files without one, or with one that is none of Keras's nor named after one, leave the model as it is: evidence is
    then weaker.
    """
    saved = _of_archive(path) if zipfile.is_zipfile(path) else _of_hdf5(path)
    if saved is None:
        return
    config, arrays = saved
    kind = _kind(str(config.get("class_name")))
    if kind is None:
        return
    taken = set(inspect.signature(kind).parameters)  # Keras 2's configurations have others
    settings = {key: value for key, value in config["config"].items() if key in taken and not isinstance(value, dict)}
    optimizer = kind(**settings)
    optimizer.build(model.trainable_variables)
    if [tuple(v.shape) for v in optimizer.variables] == [array.shape for array in arrays]:
        for variable, array in zip(optimizer.variables, arrays, strict=True):
            variable.assign(array)
        model.optimizer = optimizer


def _kind(name: str) -> type | None:
    """Return the optimizer of Keras that a class is, or is derived from as its name tells; None where it names none.

    A class of somebody's own, such as `ClippedAdam`, keeps what Keras's keeps; where it doesn't, its arrays won't fit.
    What Keras itself calls an optimizer, as `Optimizer` and `LossScaleOptimizer`, is what all derive from, or stands
    around another one: that tells nothing.
    """
    kinds = {known: kind for known, kind in vars(keras.optimizers).items() if isinstance(kind, type)}
    named = [known for known in kinds if known in name and not known.endswith("Optimizer")]
    return kinds[max(named, key=len)] if named else None


def _of_archive(path: Path) -> tuple[dict[str, Any], Sequence[np.ndarray]] | None:
    """Return the optimizer's configuration and variables from a `.keras` file; None where it holds none."""
    with zipfile.ZipFile(path) as archive:
        if not {"config.json", "model.weights.h5"} <= set(archive.namelist()):
            return None
        compiled = json.loads(archive.read("config.json")).get("compile_config") or {}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            group = weights.get("optimizer/vars")
            arrays = [] if group is None else [np.asarray(group[name]) for name in sorted(group, key=int)]
    optimizer = compiled.get("optimizer")
    return (optimizer, arrays) if isinstance(optimizer, dict) and arrays else None


def _of_hdf5(path: Path) -> tuple[dict[str, Any], Sequence[np.ndarray]] | None:
    """Return the optimizer's configuration and variables from an `.h5` file; None where it holds none."""
    with h5py.File(path) as file:
        compiled, group = file.attrs.get("training_config"), file.get("optimizer_weights")
        if compiled is None or group is None:
            return None
        optimizer = json.loads(compiled).get("optimizer_config")
        arrays = [np.asarray(group[name]) for name in group.attrs.get("weight_names", [])]
    return (optimizer, arrays) if isinstance(optimizer, dict) and arrays else None
