"""What Keras 2 and scripts left in parts: SavedModel folders, configurations beside weights, checkpoints, arrays."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from export_command import fails, run
from keras import layers
from places import FIXTURES

from s2s_export import ModelFileError
from s2s_export.keras_files.config_checks import read_config
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
    fails(
        [tmp_path, *TOKENS],
        "a folder without saved_model.pb, and without config.json, metadata.json and model.weights.h5; expected a",
    )
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


@pytest.mark.parametrize("name", ["own.h5", "own.keras"])
def test_a_missing_class_is_named_in_the_line_to_type(tmp_path: Path, name: str) -> None:
    """The whole name, as `--custom-objects` takes it; with the class given, the file loads."""

    class ALayerWithQuiteALongNameOfItsOwn(layers.Layer):
        def call(self, x: object) -> object:
            return x

    ALayerWithQuiteALongNameOfItsOwn.__module__ = "__main__"  # as a script's own class, of which files name no module
    source = keras.Input((3, 2))
    keras.Model(source, ALayerWithQuiteALongNameOfItsOwn()(layers.GRU(4)(source))).save(tmp_path / name)
    wanted = "give it with --custom-objects module:ALayerWithQuiteALongNameOfItsOwn"
    with pytest.raises(ModelFileError, match=wanted):
        load_model(tmp_path / name)
    objects = {"ALayerWithQuiteALongNameOfItsOwn": ALayerWithQuiteALongNameOfItsOwn}
    assert load_model(tmp_path / name, custom_objects=objects).count_params() > 0


def test_weights_beside_a_whole_model_are_refused(tmp_path: Path) -> None:
    """They would be passed over in silence: the file has weights of its own."""
    source = keras.Input((3, 2))
    model = keras.Model(source, layers.GRU(4)(source))
    model.save(tmp_path / "whole.keras")
    model.save_weights(tmp_path / "best.weights.h5")
    with pytest.raises(ModelFileError, match=r"whole\.keras: holds weights of its own.*model\.load_weights"):
        load_model(tmp_path / "whole.keras", weights=tmp_path / "best.weights.h5")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.keras, and with small.h5 of the same model."""
    folder = tmp_path_factory.mktemp("saved")
    names: dict[str, Any] = {}
    exec(CODE, names)
    model = names["small"]()
    model.save(folder / "small.keras")
    model.save(folder / "small.h5")
    return folder


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("small.keras", "model.zip"),  # as a mail program names it
        ("small.keras", "3f2a9c"),  # as a cache keeps it
        ("small.keras", "model.h5"),  # as a script asked that had the older name
        ("small.h5", "model.keras"),  # as the Keras of TensorFlow 2.0 to 2.11 wrote what was named so
        ("small.h5", "checkpoint"),
    ],
)
def test_the_content_decides_what_a_file_is(saved: Path, tmp_path: Path, written: str, name: str) -> None:
    """Whatever its name, a file of a whole model is loaded as what it is."""
    shutil.copy(saved / written, tmp_path / name)
    arrays = [np.array([[3, 4, 5]]), np.array([[1, 6]])]
    expected = keras.models.load_model(saved / "small.keras")(arrays)
    np.testing.assert_array_equal(load_model(tmp_path / name)(arrays), expected)


def test_weights_are_known_by_their_content_too(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of Keras 3 and of Keras 2's layout, and a whole model, each without a name that tells."""
    (tmp_path / "small_code.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model, arrays = keras.models.load_model(saved / "small.keras"), [np.array([[3, 4, 5]]), np.array([[1, 6]])]
    model.save_weights(tmp_path / "a.weights.h5")
    for written, name in (
        ("a.weights.h5", "a.hdf5"),
        ("a.weights.h5", "ckpt"),
        ("small.h5", "b"),
        ("small.keras", "c"),
    ):
        source = tmp_path / written if written.startswith("a") else saved / written
        shutil.copy(source, tmp_path / name)
        built = build_model("small_code:small", tmp_path / name)
        np.testing.assert_array_equal(built(arrays), model(arrays))


def test_the_folder_of_an_archive_is_a_model(saved: Path, tmp_path: Path) -> None:
    """As the Hugging Face hub has it, whose cache links to files without names; refusals name the folder."""
    folder, blobs = tmp_path / "snapshot", tmp_path / "blobs"
    shutil.unpack_archive(saved / "small.keras", blobs, "zip")
    folder.mkdir()
    (folder / "README.md").write_text("# A model card\n", encoding="utf-8")
    for file in blobs.iterdir():
        (folder / file.name).symlink_to(file)
    arrays = [np.array([[3, 4, 5]]), np.array([[1, 6]])]
    expected = keras.models.load_model(saved / "small.keras")(arrays)
    np.testing.assert_array_equal(load_model(folder)(arrays), expected)
    assert read_config(folder) == read_config(saved / "small.keras")
    (blobs / "config.json").write_text('{"class_name": "Functional"', encoding="utf-8")
    with pytest.raises(ModelFileError, match=f"^{folder}: "):
        load_model(folder)


def test_a_text_vectorisation_keeps_its_vocabulary_in_a_folder(tmp_path: Path) -> None:
    """It lies among the assets, which belong to the model."""
    reader = layers.TextVectorization(vocabulary=["a", "b"])
    text = keras.Input((1,), dtype="string")
    keras.Model(text, reader(text)).save(tmp_path / "model.keras")
    shutil.unpack_archive(tmp_path / "model.keras", tmp_path / "model", "zip")
    loaded = load_model(tmp_path / "model")
    assert loaded.layers[-1].get_vocabulary() == reader.get_vocabulary()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 and no end", "an archive whose end is missing"),
        (b"\x1f\x8b\x08", "unpack it first"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "`git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "a page of the web"),
        (b"hello", "no Keras model; expected a .keras archive"),
    ],
)
def test_what_is_no_model_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    """What people have in hand in the place of the file, and what to do."""
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=said):
        load_model(tmp_path / "model.keras")
