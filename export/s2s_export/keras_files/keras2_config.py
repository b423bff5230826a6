"""Files of Keras 2, and `.h5` files of Keras 3, put into words that Keras 3 understands.

A copy of the file is made with its configuration and weights translated; Keras 3 then loads the copy. What differs in
files that Keras 2 wrote:

- names: `Model` is `Functional`, `batch_input_shape` is `batch_shape`, a Sequential may lack its input layer;
- a recurrent layer started from given states holds them in the list of its inputs;
- arguments that Keras 3 dropped (`time_major`, `ragged`, `implementation`, ...): fine where they say the default;
- defaults and meanings: a GRU that does not mention `reset_after` has False, and `hard_sigmoid` is
  max(0, min(1, 0.2 x + 0.5)), whose slope Keras 3 changed to 1/6;
- initialisers, regularisers and constraints, which matter no more once weights are trained: left out;
- `CuDNNLSTM` and `CuDNNGRU`: ordinary layers since, their weights in another layout.

Files that Keras 3 wrote need help too: it does not find again the operations (`NotEqual`, for a mask) that it writes
among the layers, and takes the score mode "dot" of an attention layer for the function of that name.
"""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
from keras import ops

from s2s_export.errors import BUILD_IN_CODE, ModelFileError
from s2s_export.keras_files.file_kinds import ending, named_by_content
from s2s_export.keras_files.keras2_weights import convert_cudnn_weights
from s2s_export.keras_files.tensorflow_calls import CALLS, called, is_tensor, operation_arguments, taken_apart
from s2s_training.splitting.graph import reserve_name

_CUDNN = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
_ACTIVATIONS = ("activation", "recurrent_activation")
_UNTRAINED = ("_initializer", "_regularizer", "_constraint")  # endings of what only training reads
# Arguments without a bearing on what a layer computes, whatever their value.
_WITHOUT_EFFECT = (
    "implementation",
    "input_length",
    "batch_input_shape",
    "input_shape",
    "fused",
    "sparse",
    "input_dtype",
    "query_shape",
    "key_shape",
    "value_shape",
    "optional",
)
_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional"}  # as Keras 3 writes them
_MODELS = ("Model", "Functional", "Sequential")
_CONSTANT = "_CONSTANT_VALUE"  # in the place of a layer, where the first argument is a number
_OF_THE_WRITER = ("build_config", "compile_config", "shared_object_id")  # what Keras 3 finds out by itself


@keras.saving.register_keras_serializable(package="s2s", name="hard_sigmoid_2")
def hard_sigmoid_2(x: Any) -> Any:
    """Return Keras 2's `hard_sigmoid` of x: max(0, min(1, 0.2 x + 0.5))."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def keras_version(path: Path) -> str:
    """Return the version of Keras that wrote a file; "" where it doesn't say."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            held = "metadata.json" in archive.namelist()
            return str(json.loads(archive.read("metadata.json")).get("keras_version", "")) if held else ""
    with h5py.File(path, "r") as file:
        for group in (file, file.get("model_weights", file)):
            if "keras_version" in group.attrs:
                return str(_text(group.attrs["keras_version"]))
    return ""


@contextmanager
def translated(path: Path, config: dict[str, Any] | None = None) -> Iterator[Path]:
    """Yield a translated copy of a file, or the file itself where Keras 3 reads it as it is.

    Args:
        path: `.keras` file, or `.h5` file of a whole model or of weights.
        config: a configuration in the place of the file's, in the same words.

    Raises:
        ModelFileError: Keras 1 wrote it, or a layer has something that Keras 3 has no equal for.
    """
    version = keras_version(path)
    if version.startswith("1"):
        raise ModelFileError(f"{path}: saved by Keras {version}; load it with Keras 2 and save it again")
    if zipfile.is_zipfile(path) and not version.startswith("2") and config is None:
        with named_by_content(path) as named:
            yield named
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"model{ending(path)}"
        if zipfile.is_zipfile(path):
            _translate_archive(path, copy, config, keras_2=version.startswith("2"))
            yield copy
            return
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            if "model_config" in file.attrs:
                config = json.loads(_text(file.attrs["model_config"])) if config is None else config
                made = translated_model(config) if version.startswith("2") else _readable(config)
                file.attrs["model_config"] = json.dumps(made)
            if version.startswith("2"):
                convert_cudnn_weights(file)
        yield copy


def _translate_archive(path: Path, copy: Path, config: dict[str, Any] | None, *, keras_2: bool) -> None:
    """Write a copy of a `.keras` file with its configuration, or another, translated where Keras 2 wrote it.

    The weights in such a file, of Keras 2.13 to 2.15 or of tf_keras, lie where Keras 3 looks for them.
    """
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        if "model.weights.h5" not in old.namelist():
            raise ModelFileError(f"{path}: holds no model.weights.h5; save it again with model.save()")
        config = json.loads(old.read("config.json")) if config is None else config
        config = translated_model(config) if keras_2 else config
        new.writestr("metadata.json", json.dumps({"keras_version": keras.__version__, "date_saved": ""}))
        new.writestr("config.json", json.dumps(config))
        for name in old.namelist():
            if name not in ("metadata.json", "config.json"):
                new.writestr(name, old.read(name))


def as_keras_3(config: dict[str, Any]) -> dict[str, Any]:
    """Return a whole model's configuration as Keras 3 makes a model of it, whichever version and format it is from.

    Raises:
        ModelFileError: as `translate_config`.
    """
    if str(config.get("keras_version", "")).startswith("2"):
        config = translated_model(config)
    elif "module" not in config:  # as Keras 3 writes into `.h5` files
        module = _MODULES["Sequential" if config["class_name"] == "Sequential" else "Functional"]
        config = {**_readable(config), "module": module, "registered_name": None}
    return {key: value for key, value in config.items() if key not in ("keras_version", "backend")}


def translated_model(config: dict[str, Any]) -> dict[str, Any]:
    """Return a whole model's configuration translated.

    Its names are kept from the operations that Keras makes while it loads the model.

    Raises:
        ModelFileError: as `translate_config`.
    """
    made = translate_config(config)
    for name in _layer_names(made):
        reserve_name(name)
    return made


def _layer_names(entry: Any) -> Iterator[str]:
    config = entry["config"]
    if isinstance(config, dict):
        yield str(config.get("name"))
        for layer in config.get("layers", []):
            yield from _layer_names(layer)


def translate_config(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a layer or model, and of all inside it, in the words of Keras 3.

    Args:
        entry: `{"class_name": ..., "config": ...}` as Keras 2 wrote it.

    Raises:
        ModelFileError: it has something that Keras 3 has no equal for.
    """
    entry = {key: value for key, value in entry.items() if key not in _OF_THE_WRITER}
    kind, config = entry["class_name"], entry["config"]
    if kind in _MODELS:
        module = _MODULES["Sequential" if kind == "Sequential" else "Functional"]
        return {**_model(entry, kind, config), "module": module, "registered_name": None}
    if kind in CALLS:
        called(str(config["function"]))
        made = {"name": config["name"], "function": config["function"]}
        return {"class_name": "s2s>TensorFlowCall", "config": made}
    if kind == "TensorFlowOpLayer":
        return {"class_name": "s2s>TensorFlowOperation", "config": operation_arguments(config)}
    config = _lambda_arguments(config) if kind == "Lambda" else config
    made = _arguments(_CUDNN.get(kind, kind), config)
    if kind in _CUDNN:
        made |= {"activation": "tanh", "recurrent_activation": "sigmoid"} if kind == "CuDNNLSTM" else {}
        made |= {"reset_after": True} if kind == "CuDNNGRU" else {}
    elif kind in ("GRU", "GRUCell"):
        made.setdefault("reset_after", False)
    if kind == "InputLayer":
        made["batch_shape"] = config.get("batch_input_shape", config.get("batch_shape"))
    return {**entry, "class_name": _CUDNN.get(kind, kind), "config": made}


def _model(entry: dict[str, Any], kind: str, config: Any) -> dict[str, Any]:
    if kind == "Sequential":
        config = {"name": None, "layers": config} if isinstance(config, list) else config  # a bare list before 2.2.3
        layers = [translate_config(layer) for layer in config["layers"]]
        shape = config["layers"][0]["config"].get("batch_input_shape")
        if shape is not None and layers[0]["class_name"] != "InputLayer":
            dtype = "int32" if layers[0]["class_name"] == "Embedding" else "float32"
            first = {"batch_shape": shape, "dtype": dtype, "name": f"{layers[0]['config']['name']}_input"}
            layers.insert(0, {"class_name": "InputLayer", "config": first})
        return {"class_name": "Sequential", "config": {"name": config.get("name"), "layers": layers}}
    config = _counted_from_0(config)
    layers = [_with_nodes(translate_config(layer), layer) for layer in config["layers"]]
    return {**entry, "class_name": "Functional", "config": {**config, "layers": layers}}


def _counted_from_0(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a Functional model with the calls of inner models counted as Keras 3 does.

    Keras 2 counts the call by which a model is built, and leaves it out of the file. So does Keras 3 where it lists
    outputs, for Functional models alone.
    """
    nodes, outputs = (
        json.dumps([layer["inbound_nodes"] for layer in config["layers"]]),
        json.dumps(config["output_layers"]),
    )
    for layer in [layer for layer in config["layers"] if layer["class_name"] in _MODELS]:
        name, calls = json.dumps(layer["name"]), len(layer["inbound_nodes"])
        if f"[{name}, {calls}," in nodes + outputs:
            for call in range(1, calls + 1):
                nodes = nodes.replace(f"[{name}, {call},", f"[{name}, {call - 1},")
                if layer["class_name"] == "Sequential":
                    outputs = outputs.replace(f"[{name}, {call},", f"[{name}, {call - 1},")
    inbound = zip(config["layers"], json.loads(nodes), strict=True)
    layers = [{**layer, "inbound_nodes": calls_of_layer} for layer, calls_of_layer in inbound]
    return {**config, "layers": layers, "output_layers": json.loads(outputs)}


def _with_nodes(made: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return a layer of a Functional model with each call as Keras 3 writes it: arguments by position and by name."""
    if layer["class_name"] in CALLS:
        return _with_arguments(made, layer)
    recurrent = made["class_name"] in ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D")
    nodes = [_node(node, recurrent=recurrent) for node in layer["inbound_nodes"]]
    return {**made, "name": layer["name"], "inbound_nodes": nodes}


def _with_arguments(made: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return a call of TensorFlow with its arguments, which Keras 2 wrote among its tensors."""
    nodes, arguments = [], []
    for node in layer["inbound_nodes"]:
        items = node if isinstance(node[0], list) else [node]
        values = [item[2] if item[0] == _CONSTANT else item[:3] for item in items]
        template, tensors = taken_apart(values if len(values) > 1 else values[0], items[0][3])
        read = [_tensor(tensor) for tensor in tensors]
        nodes.append({"args": [read if len(read) > 1 else read[0]], "kwargs": {}})
        arguments.append(template)
    if any(template != arguments[0] for template in arguments):
        raise ModelFileError(
            f"layer {layer['name']!r} ({layer['class_name']}) is called several times, with other arguments; "
            f"{BUILD_IN_CODE}"
        )
    config = {**made["config"], "arguments": arguments[0]}
    return {**made, "config": config, "name": layer["name"], "inbound_nodes": nodes}


def _node(node: list[Any], *, recurrent: bool) -> dict[str, Any]:
    tensors = [_tensor(item[:3]) for item in node]
    named = node[0][3] if len(node[0]) > 3 else {}
    kwargs = {name: _named(value) for name, value in named.items()}
    if recurrent and len(tensors) > 1:
        first, *states = tensors
        return {"args": [first], "kwargs": {**kwargs, "initial_state": states if len(states) > 1 else states[0]}}
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kwargs}


def _named(value: Any) -> Any:
    """Return a named argument; tensors in it are written [layer, call, output]."""
    if is_tensor(value):
        return _tensor(value[:3])
    return [_named(item) for item in value] if isinstance(value, list) else value


def _tensor(history: list[Any]) -> dict[str, Any]:
    # Keras 3 looks the tensor up by its history; the shape has only to be there.
    config = {"shape": [None], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def _arguments(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of one layer, translated."""
    layer_class = getattr(keras.layers, kind, None)
    if layer_class is None:
        return config  # a custom layer knows its own arguments
    accepted = _accepted(layer_class)
    made: dict[str, Any] = {}
    for key, value in config.items():
        if key in ("layer", "backward_layer", "cell") and isinstance(value, dict):
            made[key] = _wrapped(value)
        elif key == "cells":
            made[key] = [_wrapped(cell) for cell in value]
        elif key in _ACTIVATIONS and value == "hard_sigmoid":
            made[key] = keras.saving.serialize_keras_object(hard_sigmoid_2)
        elif key == "dtype" and isinstance(value, dict):
            made[key] = value.get("config", {}).get("name", "float32")
        elif key == "axis" and isinstance(value, list) and len(value) == 1:
            made[key] = value[0]
        elif _is_default_score(key, value):
            continue
        elif key in accepted and not key.endswith(_UNTRAINED):
            made[key] = value
        elif not _inert(key, value):
            raise ModelFileError(
                f"layer {config.get('name')!r} ({kind}) was saved by Keras 2 with {key}={value!r}, which Keras 3 "
                f"lacks; {BUILD_IN_CODE}"
            )
    return made


def _lambda_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a Lambda layer with its functions as Keras 3 writes them: code, or a name."""
    made = {key: value for key, value in config.items() if not key.endswith(("_type", "module"))}
    for key in ("function", "output_shape", "mask"):
        kind, held = config.get(f"{key}_type"), config.get(key)
        if kind == "lambda" and isinstance(held, list):
            code = dict(zip(("code", "defaults", "closure"), held, strict=False))
            made[key] = {"class_name": "__lambda__", "config": code}
        elif kind == "function" and isinstance(held, str):
            made[key] = {"module": None, "class_name": "function", "config": held, "registered_name": held}
    return made


def _wrapped(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a layer that stands inside a layer; Keras 3 finds its class by its module."""
    made = translate_config(entry)
    known = hasattr(keras.layers, made["class_name"])
    return {**made, "module": "keras.layers", "registered_name": None} if known else made


def _readable(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration that Keras 3 wrote into an `.h5` file, made readable for Keras 3.

    What it would not find again by itself is spelled out.
    """
    config = entry["config"]
    if isinstance(config, dict) and isinstance(config.get("layers"), list):
        return {**entry, "config": {**config, "layers": [_readable(layer) for layer in config["layers"]]}}
    if isinstance(config, dict):
        entry = {**entry, "config": {k: value for k, value in config.items() if not _is_default_score(k, value)}}
    operation = _operations().get(entry["class_name"]) if not hasattr(keras.layers, entry["class_name"]) else None
    return entry if operation is None else {**entry, "module": operation.__module__, "registered_name": None}


def _is_default_score(key: str, value: Any) -> bool:
    return key == "score_mode" and value == "dot"


def _operations() -> dict[str, type]:
    """Return Keras's own operations by name."""
    operations: dict[str, type] = {}
    pending = [keras.Operation]
    while pending:
        subclasses = pending.pop().__subclasses__()
        pending += subclasses
        operations |= {
            subclass.__name__: subclass for subclass in subclasses if subclass.__module__.startswith("keras.src.ops")
        }
    return operations


def _accepted(layer_class: type) -> set[str]:
    names = {"name", "trainable", "dtype"}
    for base in layer_class.__mro__[:-1]:
        if base.__module__.startswith("keras.") and "__init__" in vars(base):
            names |= {name for name in inspect.signature(base.__init__).parameters if name != "self"}
    return names - {"args", "kwargs"}


def _inert(key: str, value: Any) -> bool:
    return key in _WITHOUT_EFFECT or key.endswith(_UNTRAINED) or value in (None, False)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
