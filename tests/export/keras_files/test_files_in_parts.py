"""What Keras 2 and scripts left in parts: SavedModel folders, configurations beside weights, checkpoints, arrays."""

import json
import shutil
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from export_command import fails, run
from keras import layers
from places import FIXTURES

from s2s_export import ModelFileError
from s2s_export.keras_files.load import build_model, load_model
from s2s_export.keras_files.tensorflow_calls import called

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore:Layer 'asked':UserWarning")]

TOKENS = ("--start-id", "1", "--end-id", "2", "--max-length", "5")
CODE = """
import keras
from keras import layers

def small():
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    state = layers.GRU(4, name="reader")(layers.Embedding(7, 3, mask_zero=True, name="words")(source))
    read = layers.Embedding(7, 3, name="tokens")(target)
    y = layers.GRU(4, return_sequences=True, name="writer")(read, initial_state=state)
    return keras.Model([source, target], layers.Dense(7, activation="softmax", name="head")(y))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """`model.json`, as `model.to_json()` of Keras 2 gave it."""
    with h5py.File(FIXTURES / "keras-2-calls.h5") as file:
        described = {**json.loads(file.attrs["model_config"]), "keras_version": "2.15.0", "backend": "tensorflow"}
    (tmp_path / "model.json").write_text(json.dumps(described), encoding="utf-8")
    return tmp_path / "model.json"


def gives_what_it_gave(model: keras.Model, name: str = "keras-2-calls.npz") -> None:
    expected = np.load(FIXTURES / name)
    given = model([expected["source"], expected["target"]], training=False)
    np.testing.assert_allclose(given, expected["output"], atol=1e-6)


@pytest.mark.parametrize("name", ["keras-2-calls.h5", "keras-2-calls"])
def test_calls_of_tensorflow_between_layers(name: str) -> None:
    """An .h5 file and a folder, of the real Keras 2: joins, slices, products and numbers among the layers."""
    gives_what_it_gave(load_model(FIXTURES / name))


def test_operations_of_tensorflow_between_layers(tmp_path: Path) -> None:
    """As TensorFlow 2.0 to 2.3 saved them; only those that compute."""
    gives_what_it_gave(load_model(FIXTURES / "keras-2-operations.h5"), "keras-2-operations.npz")
    shutil.copy(FIXTURES / "keras-2-operations.h5", tmp_path / "model.h5")
    code, _, errors = run(tmp_path / "model.h5", *TOKENS, "--padding", "0")
    assert code == 0, errors
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"op": "Tanh"', '"op": "ReadFile"')
    with pytest.raises(ModelFileError, match="is TensorFlow's operation 'ReadFile', which isn't known to compute"):
        load_model(tmp_path / "model.h5")


@pytest.mark.parametrize("weights", ["keras-2-weights", "keras-2-weights.index", "keras-2-calls", "keras-2-calls.h5"])
def test_a_configuration_beside_its_weights(weights: str, config: Path) -> None:
    """`model.json` with a checkpoint, by its name or that of its index, with a folder's weights, and with an .h5."""
    gives_what_it_gave(load_model(config, weights=FIXTURES / weights))


def test_the_folder_exports(tmp_path: Path) -> None:
    """The command takes the folder's name, with a slash at its end or without."""
    shutil.copytree(FIXTURES / "keras-2-calls", tmp_path / "saved")
    code, _, errors = run(f"{tmp_path / 'saved'}/", *TOKENS)
    assert code == 0, errors
    assert (tmp_path / "saved.s2s" / "manifest.json").is_file()


def test_what_is_no_such_folder(tmp_path: Path, config: Path) -> None:
    """Each refusal says what lies there, and what to give."""
    fails([tmp_path, *TOKENS], "a folder without saved_model.pb; expected a model saved by Keras (.keras, .h5, or the")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "saved_model.pb").write_bytes(b"")
    fails([tmp_path / "bare", *TOKENS], "a SavedModel without Keras's description of its layers, as model.export()")
    (tmp_path / "bare" / "keras_metadata.pb").write_bytes(b"\xff\xff no")
    fails([tmp_path / "bare", *TOKENS], "the folder is damaged")
    fails([config, *TOKENS], f"a configuration without weights; give them too: {config} --weights FILE")
    fails([config, "--weights", tmp_path / "none", *TOKENS], "none: no such file; expected weights saved by")


@pytest.mark.parametrize("name", ["io.read_file", "py_function", "raw_ops.ReadFile", "nn.__class__", "system"])
def test_functions_that_do_more_than_compute(name: str) -> None:
    """No file makes the exporter read another, or run anything, by the name of one of TensorFlow's functions."""
    with pytest.raises(ModelFileError, match="isn't known to compute and do nothing else"):
        called(name)


def test_weights_for_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of `get_weights`, in order or by name; what doesn't fit says which weight and both shapes."""
    (tmp_path / "small_model.py").write_text(CODE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    model = build_and_fill(tmp_path)
    for file in ("ordered.npz", "named.npz"):
        again = build_model("small_model:small", tmp_path / file)
        assert all(
            np.array_equal(one, other) for one, other in zip(model.get_weights(), again.get_weights(), strict=True)
        )
    assert run("--weights", "ordered.npz", "--model-fn", "small_model:small", *TOKENS)[0] == 0
    np.savez(tmp_path / "short.npz", *model.get_weights()[:-1])
    wrong = ["--weights", "short.npz", "--model-fn", "small_model:small", *TOKENS]
    fails(wrong, "short.npz: 9 arrays, and the model has 10 weights")
    np.savez(tmp_path / "turned.npz", *model.get_weights()[::-1])
    fails([*wrong[:1], "turned.npz", *wrong[2:]], "the array 'arr_0' has the shape (7,), and the model's weight")
    checkpoint = ["--weights", FIXTURES / "keras-2-weights", *wrong[2:]]
    fails(checkpoint, "layers have weights there, and 5 in the model")


def build_and_fill(folder: Path) -> keras.Model:
    from small_model import small

    model, rng = small(), np.random.default_rng(1)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    np.savez(folder / "ordered.npz", *model.get_weights())
    np.savez(folder / "named.npz", **{w.path: w.numpy() for w in reversed(model.weights)})
    assert isinstance(model.layers[-1], layers.Dense)
    return model


def test_a_missing_class_is_named_in_the_line_to_type(tmp_path: Path) -> None:
    """The whole name, as `--custom-objects` takes it; with the class given, the file loads."""

    class ALayerWithQuiteALongNameOfItsOwn(layers.Layer):
        def call(self, x: object) -> object:
            return x

    source = keras.Input((3, 2))
    keras.Model(source, ALayerWithQuiteALongNameOfItsOwn()(layers.GRU(4)(source))).save(tmp_path / "own.h5")
    wanted = "give it with --custom-objects module:ALayerWithQuiteALongNameOfItsOwn"
    with pytest.raises(ModelFileError, match=wanted):
        load_model(tmp_path / "own.h5")
    objects = {"ALayerWithQuiteALongNameOfItsOwn": ALayerWithQuiteALongNameOfItsOwn}
    assert load_model(tmp_path / "own.h5", custom_objects=objects).count_params() > 0
