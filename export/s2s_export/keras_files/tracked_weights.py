"""Weights as TensorFlow kept them: by the attributes that lead from the model to each, not by layers' names.

`model.save_weights("w")` wrote such a checkpoint, and a SavedModel holds one. Keras 3 reads neither. The attributes are
those that layers still have (`cell`, `kernel`, `forward_layer`), and a model's layers are numbered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import keras
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from s2s_export.errors import ModelFileError

_GRAPH: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"
_NUMBERED: Final = "layer_with_weights-"
_LISTS: Final = ("variables", "weights", "losses", "metrics")  # endings of what repeats other weights


def assign_checkpoint(model: keras.Model, prefix: Path, config: dict[str, Any] | None = None) -> None:
    """Give a model the weights of a checkpoint.

    Args:
        model: built, with the structure of the one whose weights these are.
        prefix: name of the checkpoint, without the endings of its files.
        config: the configuration that the checkpoint's model had, whose order of layers it numbers; without it layers
            go by their names where those are the same, else by their order.

    Raises:
        ModelFileError: a weight is missing, or has another shape.
    """
    reader = tf.train.load_checkpoint(str(prefix))
    shapes = reader.get_variable_to_shape_map()
    if _GRAPH not in shapes:
        raise ModelFileError(
            f"{prefix}: a checkpoint of TensorFlow 1, which holds names alone; load it with the code that wrote "
            "it, and save the weights with model.save_weights('w.h5')"
        )
    graph = TrackableObjectGraph.FromString(reader.get_tensor(_GRAPH))
    filling = _Filling(prefix, reader, graph.nodes, shapes)
    filling.fill(model, 0, config)
    left = [weight.path for weight in model.weights if id(weight) not in filling.filled]
    if left:
        raise ModelFileError(
            f"{prefix}: holds no weights for {', '.join(left[:5])}{' and others' if len(left) > 5 else ''}; expected "
            "the weights of this very model"
        )


@dataclass
class _Filling:
    prefix: Path
    reader: Any
    nodes: Sequence[Any]
    shapes: dict[str, list[int]]
    filled: set[int] = field(default_factory=set)
    visited: set[tuple[int, int]] = field(default_factory=set)

    def fill(self, target: Any, number: int, config: dict[str, Any] | None = None) -> None:
        """Assign what lies below a node to a model, layer, list, or variable."""
        if (id(target), number) in self.visited:
            return
        self.visited.add((id(target), number))
        node = self.nodes[number]
        if isinstance(target, keras.Variable):
            for attribute in node.attributes:
                self._assign(target, attribute)
            return
        children = {child.local_name: child.node_id for child in node.children}
        if isinstance(target, keras.Model) and any(name.startswith(_NUMBERED) for name in children):
            for layer, child, inner in self._layers(target, children, config):
                self.fill(layer, child, inner)
            return
        for name, child in children.items():
            held = _held(target, name)
            if held is not None:
                self.fill(held, child)

    def _assign(self, variable: keras.Variable, attribute: Any) -> None:
        shape = self.shapes.get(attribute.checkpoint_key)
        if shape != list(variable.shape):
            raise ModelFileError(
                f"{self.prefix}: the weight {attribute.full_name!r} has the shape {tuple(shape or ())}, and the "
                f"model's {variable.path!r} {tuple(variable.shape)}; expected the weights of this very model"
            )
        variable.assign(self.reader.get_tensor(attribute.checkpoint_key))
        self.filled.add(id(variable))

    def _layers(
        self, model: keras.Model, children: dict[str, int], config: dict[str, Any] | None
    ) -> list[tuple[Any, int, dict[str, Any] | None]]:
        """Return each layer that has weights, its node, and its own configuration where it is a model."""
        if config is not None:
            # A Sequential doesn't number its input.
            is_numbered = "input_layers" in config
            entries = [entry for entry in config["layers"] if is_numbered or entry["class_name"] != "InputLayer"]
            known = {layer.name: layer for layer in model.layers}
            return [
                (known[entry["config"]["name"]], children[f"layer-{i}"], entry["config"])
                for i, entry in enumerate(entries)
                if entry["class_name"] != "InputLayer"
                and f"layer-{i}" in children
                and entry["config"].get("name") in known
            ]
        layers = [layer for layer in model.layers if layer.weights]
        numbers = sorted(int(name.removeprefix(_NUMBERED)) for name in children if name.startswith(_NUMBERED))
        nodes = [children[f"{_NUMBERED}{number}"] for number in numbers]
        names = [self._name(node) for node in nodes]
        if sorted(map(str, names)) == sorted(layer.name for layer in layers):
            by_name = {layer.name: layer for layer in layers}
            layers = [by_name[str(name)] for name in names]
        if len(layers) != len(nodes):
            raise ModelFileError(
                f"{self.prefix}: {len(nodes)} layers have weights there, and {len(layers)} in the model "
                f"{model.name!r}; expected the weights of this very model"
            )
        return [(layer, node, None) for layer, node in zip(layers, nodes, strict=True)]

    def _name(self, number: int) -> str | None:
        """Return the name of the layer that a node stands for, as its first variable tells it."""
        pending, seen = [number], set[int]()
        while pending:
            node = self.nodes[at := pending.pop(0)]
            seen.add(at)
            for attribute in node.attributes:
                return str(attribute.full_name).partition("/")[0]
            pending += [child.node_id for child in node.children if child.node_id not in seen]
        return None


def _held(target: Any, name: str) -> Any:
    """Return what a layer, list or dictionary holds under a name of the checkpoint; None where it isn't tracked."""
    if isinstance(target, list | tuple):
        return target[int(name)] if name.isdecimal() and int(name) < len(target) else None
    if isinstance(target, dict):
        return target.get(name)
    if name.startswith("__") or name.endswith(_LISTS) or name in ("optimizer", "keras_api", "signatures"):
        return None
    held = getattr(target, name, None)
    return held if isinstance(held, keras.Variable | keras.Layer | list | tuple | dict) else None
