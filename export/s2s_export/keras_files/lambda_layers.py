"""What Lambda layers run: a function of the caller's, or the file's own code, which finds the usual names around it.

A file keeps the byte code of such a layer, and not what stood around it. Only the version of Python that wrote it can
run it, and whoever sent the file chose it: a function of the caller's in its place needs neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras.src.legacy import backend  # what `K` was in Keras 2; `keras.backend` has little of it left
from keras.src.utils import python_utils  # its names are the globals of code that Keras unpacks

from s2s_export.errors import BUILD_IN_CODE, ModelFileError
from s2s_export.keras_files.config_checks import Entry, class_name, entries, is_code
from s2s_runtime.spelling import did_you_mean

_USUAL: Final[dict[str, Any]] = {
    "K": backend,
    "backend": backend,
    "keras": keras,
    "layers": keras.layers,
    "np": np,
    "numpy": np,
    "ops": keras.ops,
    "tensorflow": tf,
    "tf": tf,
}


def provide_globals() -> None:
    """Let code of Lambda layers find the modules that scripts import, by the names that they give them.

    They stay: the code looks them up whenever its layer is called.
    """
    known = vars(python_utils)
    for name, module in _USUAL.items():
        known.setdefault(name, module)


def with_given_functions(config: Entry, functions: Mapping[str, Callable[..., Any]]) -> tuple[Entry, dict[str, Any]]:
    """Put functions of the caller's in the place of the code of Lambda layers.

    Args:
        config: of a whole model, in the words of Keras 2 or 3.
        functions: by the names of the layers.

    Returns:
        The configuration with nothing of those layers' code left in it, and the functions by the names that it calls
        them.

    Raises:
        ModelFileError: no Lambda layer has such a name, or what is given is no function; or the layer's mask is code
            too, which the function doesn't stand for.
    """
    known = {str(entry["config"].get("name")) for entry in _lambda_layers(config)}
    for name, function in functions.items():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise ModelFileError(
                f"--lambda {name}: no Lambda layer is called so{did_you_mean(name, known)}; the file has {names}"
            )
        if not callable(function):
            raise ModelFileError(f"--lambda {name}: expected a function, got {type(function).__name__}")
    return _replaced(config, functions), {_given_name(name): function for name, function in functions.items()}


def lambda_names(config: Entry) -> set[str]:
    """Return the names of the Lambda layers in a configuration, however deep they stand."""
    return {str(entry["config"].get("name")) for entry in _lambda_layers(config)}


def _lambda_layers(config: Entry) -> Iterator[Entry]:
    return (entry for entry in entries(config) if _is_lambda_layer(entry))


def _is_lambda_layer(item: Entry) -> bool:
    named = isinstance(item.get("class_name"), str) and isinstance(item.get("config"), dict)
    return named and class_name(item) == "Lambda"


def _replaced(item: Any, functions: Mapping[str, Callable[..., Any]]) -> Any:
    if isinstance(item, list):
        return [_replaced(part, functions) for part in item]
    if not isinstance(item, dict):
        return item
    name = item["config"].get("name") if _is_lambda_layer(item) else None
    if name not in functions:
        return {key: _replaced(value, functions) for key, value in item.items()}
    held = item["config"]
    if is_code(held.get("mask"), held.get("mask_type")):
        raise ModelFileError(
            f"--lambda {name}: the layer makes a mask by code of its own, which a function in place of the layer's "
            f"doesn't give; allow the file's code with --trust-lambda, or {BUILD_IN_CODE}"
        )
    given = _given_name(str(name))
    function = {"module": "s2s", "class_name": "function", "config": given, "registered_name": given}
    kept = {key: held[key] for key in ("name", "trainable", "dtype", "arguments", "mask") if held.get(key) is not None}
    shape = held.get("output_shape")
    if shape is not None and not is_code(shape, held.get("output_shape_type")):
        kept["output_shape"] = shape
    return {**item, "config": {**kept, "function": function}}


def _given_name(layer: str) -> str:
    return f"--lambda {layer}"  # no function in a file can be registered under that
