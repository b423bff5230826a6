"""Writes `.h5` files as Keras 2 wrote them, from models of Keras 3.

Keras 2 can't be installed beside Keras 3, so its format is written here from what is known of it: the configuration
with its names and arguments, calls as lists of [layer, call, output, arguments], the states of a recurrent layer among
its inputs, weights under `layer/layer/kernel:0`, cuDNN weights in the layout that Keras 2 converted between.
"""

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import tree

UNIFORM = {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "normal"}}


def save_as_keras_2(model: keras.Model, path: Path, cudnn: bool = False) -> None:
    """Writes the model; with `cudnn` its LSTM and GRU layers as CuDNNLSTM and CuDNNGRU."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.2.4"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": _model(model, cudnn)}).encode()
        file.attrs["training_config"] = json.dumps({"optimizer_config": {"class_name": "RMSprop"}}).encode()
        group = file.create_group("model_weights")
        group.attrs["keras_version"], group.attrs["backend"] = b"2.2.4", b"tensorflow"
        group.attrs["layer_names"] = [layer.name.encode() for layer in _layers(model)]
        for layer in _layers(model):
            _weights(group.create_group(layer.name), layer, cudnn)


def _model(model: keras.Model, cudnn: bool) -> dict[str, Any]:
    return {
        "name": "model_1",
        "layers": [_layer(layer, cudnn) for layer in _layers(model)],
        "input_layers": [[t._keras_history[0].name, 0, 0] for t in model.inputs],
        "output_layers": [[t._keras_history[0].name, 0, t._keras_history[2]] for t in model.outputs],
    }


def _layers(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.Layer)]


def _layer(layer: keras.Layer, cudnn: bool) -> dict[str, Any]:
    nodes = [] if isinstance(layer, keras.layers.InputLayer) else [_node(node) for node in layer._inbound_nodes]
    return {"name": layer.name, **_class_and_config(layer, cudnn), "inbound_nodes": nodes}


def _node(node: Any) -> list[list[Any]]:
    # Keras 2 found masks by itself; Keras 3 writes them down as arguments.
    kwargs = {name: value for name, value in node.arguments.kwargs.items() if "mask" not in name}
    tensors = [leaf for leaf in tree.flatten((node.arguments.args, kwargs)) if _is_tensor(leaf)]
    return [[t._keras_history[0].name, t._keras_history[1], t._keras_history[2], {}] for t in tensors]


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, keras.KerasTensor)


def _class_and_config(layer: keras.Layer, cudnn: bool) -> dict[str, Any]:
    kind, config = type(layer).__name__, layer.get_config()
    if isinstance(layer, keras.layers.InputLayer):
        config = {"batch_input_shape": list(layer.batch_shape), "dtype": "float32", "sparse": False, "ragged": False}
        return {"class_name": kind, "config": {**config, "name": layer.name}}
    if isinstance(layer, keras.layers.Bidirectional):
        inner = _class_and_config(layer.forward_layer, cudnn)
        return {"class_name": kind, "config": {"name": layer.name, "layer": inner, "merge_mode": layer.merge_mode}}
    config = {
        key: _old(key, value)
        for key, value in config.items()
        if key not in ("use_cudnn", "seed", "quantization_config")
    }
    config["dtype"] = "float32"
    if isinstance(layer, keras.layers.LSTM | keras.layers.GRU):
        config |= {"implementation": 1, "time_major": False}
        if not getattr(layer, "reset_after", True):
            del config["reset_after"]
        if cudnn:
            kind = f"CuDNN{kind}"
            dropped = ("activation", "recurrent_activation", "use_bias", "reset_after", "implementation", "dropout")
            config = {
                key: value for key, value in config.items() if key not in (*dropped, "recurrent_dropout", "unroll")
            }
    if isinstance(layer, keras.layers.Embedding):
        config |= {"input_length": None, "batch_input_shape": [None, None]}
    return {"class_name": kind, "config": config}


def _old(key: str, value: Any) -> Any:
    if key.endswith("_initializer"):
        return UNIFORM
    if key.endswith("activation") and isinstance(value, dict):
        return "hard_sigmoid"
    return value


def _weights(group: h5py.Group, layer: keras.Layer, cudnn: bool) -> None:
    names = []
    for weight in [w for w in layer.weights if "seed" not in w.path]:
        inner = "/".join(weight.path.split("/")[:-1])
        names.append(f"{inner}/{weight.name}:0")
    values = dict(zip(names, (w.numpy() for w in layer.weights if "seed" not in w.path), strict=True))
    for name in [name for name in names if name.endswith("recurrent_kernel:0") and cudnn]:
        stem = name.removesuffix("recurrent_kernel:0")
        triple = [values[f"{stem}{part}:0"] for part in ("kernel", "recurrent_kernel", "bias")]
        for part, value in zip(("kernel", "recurrent_kernel", "bias"), to_cudnn(*triple), strict=True):
            values[f"{stem}{part}:0"] = value
    group.attrs["weight_names"] = [name.encode() for name in names] if names else np.zeros(0, "S1")
    for name in names:
        group.create_dataset(name, data=values[name])


def to_cudnn(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weights of an LSTM or GRU as its cuDNN twin stores them."""
    gates = recurrent.shape[1] // recurrent.shape[0]
    inputs = [gate.T.reshape(gate.shape, order="C") for gate in np.split(kernel, gates, axis=1)]
    states = [gate.T for gate in np.split(recurrent, gates, axis=1)]
    both = bias.reshape(-1) if gates == 3 else np.concatenate([0.25 * bias, 0.75 * bias])
    return np.concatenate(inputs, axis=1), np.concatenate(states, axis=1), both
