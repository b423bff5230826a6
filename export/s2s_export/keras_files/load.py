"""Loads a saved Keras model, turning what can go wrong into one line that says what to do."""

from __future__ import annotations

import importlib
import os
import re
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import keras

from s2s_export.declared_sizes import check_declared_sizes
from s2s_export.errors import ModelFileError
from s2s_export.keras_files.archive_checks import DAMAGED, check_file, damaged, most_bytes
from s2s_export.keras_files.array_weights import assign_arrays
from s2s_export.keras_files.config_checks import check_config, read_config
from s2s_export.keras_files.dtypes import in_float32
from s2s_export.keras_files.file_kinds import (
    checkpoint_of,
    is_config,
    is_folder,
    named_by_content,
    packed,
    refuse_missing_model,
    refuse_missing_weights,
    refuse_other_files,
)
from s2s_export.keras_files.keras2_config import as_keras_3, keras_version, translated
from s2s_export.keras_files.lambda_layers import lambda_names, provide_globals, with_given_functions
from s2s_export.keras_files.saved_optimizer import restore_optimizer
from s2s_export.keras_files.tracked_weights import assign_checkpoint
from s2s_runtime.spelling import shown
from s2s_training import layers as _  # noqa: F401  (registers the layers that s2s-train's models hold)
from s2s_training.given import BY_NAME, NONE, PATH, TEXT, TRUTH, check_given


@in_float32()
def load_model(
    path: str | os.PathLike[str],
    *,
    trust_lambda: bool = False,
    custom_objects: dict[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    lambdas: Mapping[str, Callable[..., Any]] | None = None,
) -> keras.Model:
    """Load a saved model for inference.

    Nothing in the file runs, and no other file is read, unless it is asked for here.

    Args:
        path: a `.keras` or `.h5` file, whatever its name; the folder that a `.keras` file unpacks to, as on the Hugging
            Face hub; or the folder of a SavedModel that Keras 2 wrote.
        trust_lambda: allow Lambda layers, whose Python code the file carries and loading runs; it is logged what runs.
        custom_objects: classes and functions the model was built with, by name.
        weights: where `path` is a configuration alone (`model.json`, of `model.to_json()`), the weights beside it.
        lambdas: functions in the place of the code of Lambda layers, by the layers' names. They are called as the
            layer's own was; of the code of these layers nothing runs, `trust_lambda` or not.

    Raises:
        ModelFileError: no such file, no Keras model, or it needs something that was not given.
    """
    check_given(
        ModelFileError,
        path=(path, PATH),
        trust_lambda=(trust_lambda, TRUTH),
        weights=(weights, PATH | NONE),
        custom_objects=(custom_objects, BY_NAME | NONE),
        lambdas=(lambdas, BY_NAME | NONE),
    )
    path = Path(path)
    refuse_missing_model(path)
    weights = None if weights is None else Path(weights)
    with packed(path) as file:
        return _loaded(file, weights, custom_objects or {}, lambdas or {}, trust_lambda=trust_lambda)


def _loaded(
    path: Path, weights: Path | None, objects: dict[str, Any], lambdas: Mapping[str, Any], *, trust_lambda: bool
) -> keras.Model:
    """Load a model from a file, or from what lies in parts; arguments and errors are those of `load_model`."""
    in_parts = is_folder(path) or is_config(path)
    if is_config(path) and weights is None:
        raise ModelFileError(f"{path}: a configuration without weights; give them too: {path} --weights FILE")
    if not in_parts and weights is not None:
        raise ModelFileError(
            f"{path}: holds weights of its own, so those of {shown(str(weights))} would be passed over; to decode with "
            "these, load the model without weights=, and call its model.load_weights(...)"
        )
    if not in_parts:
        refuse_other_files(path)
    try:
        if not in_parts:
            check_file(path)
        config, given = with_given_functions(read_config(path), lambdas)
        objects = {**objects, **given}
        check_config(config, path, objects, trust_lambda=trust_lambda)
        if trust_lambda:
            provide_globals()
        described = config if in_parts else {**config, "keras_version": keras_version(path)}
        of_config = partial(_of_config, objects=objects, trust_lambda=trust_lambda)
        held = path if weights is None else weights
        check_declared_sizes(described, of_config, most_bytes(held), str(path))
        if in_parts:
            model = of_config(config)
            _load_weights(model, held, config)
            return model
        with translated(path, config if given else None) as readable:
            model = keras.models.load_model(readable, compile=False, safe_mode=not trust_lambda, custom_objects=objects)
    except ModelFileError:
        raise
    except DAMAGED as error:
        raise ModelFileError(damaged(error, path)) from error
    except Exception as error:  # whatever Keras, TensorFlow or HDF5 raise over what somebody wrote into the file
        raise ModelFileError(f"{path}: {_advice(error)}") from error
    if not isinstance(model, keras.Model):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}, expected a whole model")
    restore_optimizer(model, path)
    return model


@in_float32()
def build_model(function: str, weights: str | os.PathLike[str]) -> keras.Model:
    """Build a model by its own code and load its weights.

    Args:
        function: `module:function`, called without arguments, that returns the training model.
        weights: file of its weights (`.weights.h5`, `.h5`, `.npz`), or of the whole model, or the name of a TensorFlow
            checkpoint.

    Raises:
        ModelFileError: no such file or function, no model came, or the weights don't fit it.
    """
    check_given(ModelFileError, function=(function, TEXT), weights=(weights, PATH))
    path = Path(weights)
    refuse_missing_weights(path)
    (build,) = import_objects([function], "--model-fn").values()
    if not callable(build):
        raise ModelFileError(f"--model-fn: {function!r} is no function but {type(build).__name__}")
    model = build()
    if not isinstance(model, keras.Model):
        raise ModelFileError(f"--model-fn: expected {function!r} to return a keras.Model, got {type(model).__name__}")
    try:
        _load_weights(model, path)
    except ModelFileError:
        raise
    except DAMAGED as error:
        raise ModelFileError(damaged(error, path)) from error
    except Exception as error:  # as in `load_model`
        said = " ".join(str(error).split())
        raise ModelFileError(
            f"{path}: these weights don't fit the model that {function} builds: {said[:300]}"
        ) from error
    return model


def _of_config(config: dict[str, Any], objects: dict[str, Any] | None, *, trust_lambda: bool) -> keras.Model:
    """Return the model that a configuration describes, without its weights."""
    model = keras.saving.deserialize_keras_object(
        as_keras_3(config), custom_objects=objects, safe_mode=not trust_lambda
    )
    if not isinstance(model, keras.Model):
        raise ModelFileError(f"the configuration describes a {type(model).__name__}, expected a whole model")
    return model


def _load_weights(model: keras.Model, path: Path, config: dict[str, Any] | None = None) -> None:
    """Give a model the weights that lie at a path, in whatever form Keras or NumPy wrote them.

    Args:
        model: built.
        path: of the weights.
        config: the configuration that they belong to, where it is known.
    """
    prefix = checkpoint_of(path)
    if prefix is not None:
        assign_checkpoint(model, prefix, None if config is None else config["config"])
        return
    archive = zipfile.is_zipfile(path)
    if archive and path.suffix == ".npz":
        assign_arrays(model, path)
        return
    if not archive and not h5py.is_hdf5(path):
        model.load_weights(path)  # Keras says what it expects
        return
    check_file(path)
    with named_by_content(path) if archive else translated(path) as readable:
        model.load_weights(readable)


def of_each_file(paths: Sequence[Path], lambdas: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each of several files the functions that are for Lambda layers of its own.

    What no file has a layer for stands with all of them, so that loading refuses it.
    """
    if not lambdas or len(paths) == 1:
        return [lambdas] * len(paths)
    names = [lambda_names(read_config(path)) for path in paths]
    known = set().union(*names)
    return [{name: made for name, made in lambdas.items() if name in own or name not in known} for own in names]


def import_objects(names: Sequence[str], option: str = "custom objects") -> dict[str, Any]:
    """Import classes and functions given as `module:Name`; modules in the working directory are found too.

    Raises:
        ModelFileError: a name is not of that form, or not to be imported.
    """
    if names and "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    objects = {}
    for name in names:
        module, separator, attribute = name.partition(":")
        if not separator or not attribute:
            raise ModelFileError(f"{option}: expected module:Name, got {shown(name)}")
        try:
            objects[attribute] = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ModelFileError(f"{option}: {name!r} can't be imported: {error}") from error
    return objects


def _advice(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    missing = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:) '?([^'.\s]+)'?", said)
    if missing is not None:  # somewhere in what Keras says, behind the names of the layers around it
        return (
            f"it uses {missing[1]!r}, which is not Keras's own; give it with --custom-objects "
            f"module:{missing[1].rpartition('>')[2]} (custom_objects= in Python): {said[missing.start() :][:300]}"
        )
    return f"Keras could not load it: {said[:300]}"
