"""The folder that `model.save` wrote from TensorFlow 2.0 to 2.15: a SavedModel with Keras's description of its layers.

Only that description and the numbers of the weights are read. The functions that such a folder holds are TensorFlow's
traces of the layers; they are neither needed nor run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.keras.protobuf.saved_metadata_pb2 import SavedMetadata

from s2s_export.errors import IN_CODE, ModelFileError

_MODELS: Final = ("_tf_keras_network", "_tf_keras_sequential", "_tf_keras_model")


def folder_config(path: Path) -> dict[str, Any]:
    """Return the configuration of the model in a folder, as Keras 2 wrote it.

    Raises:
        ModelFileError: the folder doesn't describe layers, or its model is a subclass.
    """
    described = _description(path)
    advice = f"build it in code and give its weights: {IN_CODE.replace('FILE', str(path))}"
    if described is None:
        raise ModelFileError(
            f"{path}: a SavedModel without Keras's description of its layers, as model.export() and "
            f"tf.saved_model.save() write it: there is nothing to take apart; give the model's .keras or .h5 file, or "
            f"{advice}"
        )
    if described.get("class_name") not in ("Functional", "Model", "Sequential") or "config" not in described:
        raise ModelFileError(
            f"{path}: the folder holds a {described.get('class_name')!r}, a subclassed model, which is code: {advice}"
        )
    return {
        "class_name": described["class_name"],
        "config": described["config"],
        "keras_version": str(described.get("keras_version", "2")),
    }


def _description(path: Path) -> dict[str, Any] | None:
    try:
        if (path / "keras_metadata.pb").is_file():
            nodes = SavedMetadata.FromString((path / "keras_metadata.pb").read_bytes()).nodes
            found = [node.metadata for node in nodes if node.node_path == "root" and node.identifier in _MODELS]
        else:  # until TensorFlow 2.4 it stood in the graph itself
            graphs = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs
            roots = [graph.object_graph_def.nodes[0].user_object for graph in graphs if graph.object_graph_def.nodes]
            found = [root.metadata for root in roots if root.identifier in _MODELS]
        return _without_tuples(json.loads(found[0])) if found else None
    except (DecodeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: the folder is damaged ({error}); copy it again, or save the model again"
        ) from error


def _without_tuples(held: Any) -> Any:
    """Return a description with lists in the place of what the folder calls tuples, as `.h5` files have them."""
    if isinstance(held, dict):
        if held.get("class_name") == "__tuple__":
            return [_without_tuples(item) for item in held["items"]]
        return {key: _without_tuples(value) for key, value in held.items()}
    return [_without_tuples(item) for item in held] if isinstance(held, list) else held
