"""`.h5` files, put into words that Keras 3 understands.

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import ops

from s2s_export.errors import ModelFileError

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
)


@keras.saving.register_keras_serializable(package="s2s", name="hard_sigmoid_2")
def hard_sigmoid_2(x: Any) -> Any:
    """Keras 2's `hard_sigmoid`: max(0, min(1, 0.2 x + 0.5))."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def keras_version(path: Path) -> str:
    """The version of Keras that wrote an `.h5` file; "" where it doesn't say."""
    with h5py.File(path, "r") as file:
        for group in (file, file.get("model_weights", file)):
            if "keras_version" in group.attrs:
                return str(_text(group.attrs["keras_version"]))
    return ""


@contextmanager
def translated(path: Path) -> Iterator[Path]:
    """A translated copy of a file.

    Args:
        path: `.h5` file of a whole model or of weights.

    Raises:
        ModelFileError: Keras 1 wrote it, or a layer has something that Keras 3 has no equal for.
    """
    version = keras_version(path)
    if version.startswith("1"):
        raise ModelFileError(f"{path}: saved by Keras {version}; load it with Keras 2 and save it again")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            if "model_config" in file.attrs:
                config = json.loads(_text(file.attrs["model_config"]))
                made = translate_config(config) if version.startswith("2") else _readable(config)
                file.attrs["model_config"] = json.dumps(made)
            if version.startswith("2"):
                _convert_weights(file)
        yield copy


def translate_config(entry: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a layer or model, and of all inside it.

    Args:
        entry: `{"class_name": ..., "config": ...}` as Keras 2 wrote it.

    Raises:
        ModelFileError: it has something that Keras 3 has no equal for.
    """
    kind, config = entry["class_name"], entry["config"]
    if kind in ("Model", "Functional", "Sequential"):
        return _model(entry, kind, config)
    if kind in ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"):
        raise ModelFileError(
            f"layer {config.get('name')!r} ({kind}) is a bare TensorFlow call, which Keras 3 can't load; rebuild the "
            "model in code and give it with --model-fn module:function --weights FILE"
        )
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
    layers = [_with_nodes(translate_config(layer), layer) for layer in config["layers"]]
    return {**entry, "class_name": "Functional", "config": {**config, "layers": layers}}


def _with_nodes(made: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """A layer of a Functional model with each call written as Keras 3 does: arguments by position and by name."""
    recurrent = made["class_name"] in ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D")
    nodes = [_node(node, recurrent=recurrent) for node in layer["inbound_nodes"]]
    return {**made, "name": layer["name"], "inbound_nodes": nodes}


def _node(node: list[Any], *, recurrent: bool) -> dict[str, Any]:
    tensors = [_tensor(item[:3]) for item in node]
    named = node[0][3] if len(node[0]) > 3 else {}
    kwargs = {name: _named(value) for name, value in named.items()}
    if recurrent and len(tensors) > 1:
        first, *states = tensors
        return {"args": [first], "kwargs": {**kwargs, "initial_state": states if len(states) > 1 else states[0]}}
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kwargs}


def _named(value: Any) -> Any:
    """A named argument; tensors among them are written [layer, call, output]."""
    if isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int):
        return _tensor(value[:3])
    return [_named(item) for item in value] if isinstance(value, list) else value


def _tensor(history: list[Any]) -> dict[str, Any]:
    # Keras 3 looks the tensor up by its history; the shape has only to be there.
    config = {"shape": [None], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def _arguments(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of one layer, translated."""
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
            made[key] = "s2s>hard_sigmoid_2"
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
                "lacks; rebuild the model in code and give it with --model-fn module:function --weights FILE"
            )
    return made


def _wrapped(entry: dict[str, Any]) -> dict[str, Any]:
    """A layer inside a layer; Keras 3 finds its class by its module."""
    made = translate_config(entry)
    known = hasattr(keras.layers, made["class_name"])
    return {**made, "module": "keras.layers", "registered_name": None} if known else made


def _readable(entry: dict[str, Any]) -> dict[str, Any]:
    """The configuration that Keras 3 wrote into an `.h5` file, with what it would not find again made plain."""
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
    """Keras's own operations by name."""
    found: dict[str, type] = {}
    pending = [keras.Operation]
    while pending:
        subclasses = pending.pop().__subclasses__()
        pending += subclasses
        found |= {each.__name__: each for each in subclasses if each.__module__.startswith("keras.src.ops")}
    return found


def _accepted(layer_class: type) -> set[str]:
    names = {"name", "trainable", "dtype"}
    for each in layer_class.__mro__[:-1]:
        if each.__module__.startswith("keras.") and "__init__" in vars(each):
            names |= {name for name in inspect.signature(each.__init__).parameters if name != "self"}
    return names - {"args", "kwargs"}


def _inert(key: str, value: Any) -> bool:
    return key in _WITHOUT_EFFECT or key.endswith(_UNTRAINED) or value in (None, False)


def _convert_weights(file: h5py.File) -> None:
    """Turns the weights of cuDNN layers, known by the length of their bias, into those of ordinary layers."""
    groups: list[h5py.Group] = [file]
    file.visititems(lambda _, item: groups.append(item) if isinstance(item, h5py.Group) else None)
    for group in groups:
        names = {"kernel", "recurrent_kernel", "bias"}
        found = {name.split(":")[0]: item for name, item in group.items() if isinstance(item, h5py.Dataset)}
        if not names <= set(found):
            continue
        kernel, recurrent, bias = (found[name][()] for name in ("kernel", "recurrent_kernel", "bias"))
        gates = recurrent.shape[1] // recurrent.shape[0]
        if recurrent.ndim == 2 and bias.shape == (2 * recurrent.shape[1],):
            for name, value in from_cudnn(kernel, recurrent, bias, gates).items():
                key = Path(found[name].name).name
                del group[key]
                group.create_dataset(key, data=value)


def from_cudnn(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, gates: int) -> dict[str, np.ndarray]:
    """Weights of a cuDNN layer as those of an LSTM (4 gates) or of a GRU with `reset_after` (3 gates).

    cuDNN reads each gate's matrices by columns where Keras reads them by rows. It has a bias for the input and one for
    the state: an LSTM needs their sum, a GRU both.

    Args:
        kernel: (features, gates * units).
        recurrent: (units, gates * units).
        bias: (2 * gates * units,).
        gates: how many there are.
    """
    inputs = [gate.T.reshape(gate.shape, order="F") for gate in np.split(kernel, gates, axis=1)]
    states = [gate.T for gate in np.split(recurrent, gates, axis=1)]
    both = bias.reshape(2, -1)
    return {
        "kernel": np.concatenate(inputs, axis=1),
        "recurrent_kernel": np.concatenate(states, axis=1),
        "bias": both if gates == 3 else both.sum(axis=0),
    }


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
