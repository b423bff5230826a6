"""Model files other than .keras: Keras 2's and Keras 3's .h5, and weights with the code that builds their model."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from architectures.bidirectional import bidirectional_states
from architectures.parts import (
    SOURCE,
    TARGET,
    UNITS,
    embed_source,
    embed_target,
    from_states,
    head,
    source_ids,
    target_ids,
)
from architectures.recurrent import gru_reset_after
from export_command import fails, run
from keras import layers
from keras_2_files import save_as_keras_2
from places import FIXTURES, ROOT
from random_weights import randomise

from s2s_export.keras_files.keras2_config import hard_sigmoid_2
from s2s_export.keras_files.load import load_model

pytestmark = pytest.mark.tensorflow

TOKENS = ("--start-id", "1", "--end-id", "2", "--max-length", "5")


def gru_before() -> keras.Model:
    """As Keras before 2.1 had them: no reset_after, and hard_sigmoid of slope 0.2."""

    def make(**k: bool) -> keras.Layer:
        return layers.GRU(UNITS, reset_after=False, recurrent_activation=hard_sigmoid_2, **k)

    return from_states(make, make)


def plain_lstm() -> keras.Model:
    return from_states(lambda **k: layers.LSTM(UNITS, **k), lambda **k: layers.LSTM(UNITS, **k))


def attended() -> keras.Model:
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    y = layers.BatchNormalization()(layers.Concatenate()([y, layers.Attention()([y, memory])]))
    return keras.Model([source, target], head(layers.TimeDistributed(layers.Dense(7))(y)))


def same(one: keras.Model, other: keras.Model) -> bool:
    rng = np.random.default_rng(4)
    inputs = [rng.integers(1, SOURCE, (3, 5)), rng.integers(1, TARGET, (3, 4))]
    return np.allclose(one(inputs, training=False), other(inputs, training=False), atol=1e-6)


@pytest.mark.parametrize("build", [plain_lstm, gru_before, attended, bidirectional_states])
def test_keras_2(build: object, tmp_path: Path) -> None:
    """Old arguments, initialisers, shapes, call lists and meanings: the model computes what it did."""
    model = build()
    randomise(model)
    save_as_keras_2(model, tmp_path / "old.h5")
    assert same(load_model(tmp_path / "old.h5"), model)


@pytest.mark.parametrize("name", ["keras-2.keras", "keras-2.h5"])
def test_files_that_keras_2_wrote(name: str) -> None:
    """Files of the real Keras 2: nested models, stacked cells, attention and all give what they gave there."""
    expected = np.load(FIXTURES / "keras-2.npz")
    model = load_model(FIXTURES / name)
    given = model([expected["source"], expected["target"]], training=False)
    np.testing.assert_allclose(given, expected["output"], atol=1e-6)


def test_archive_of_keras_2_exports(tmp_path: Path) -> None:
    """The whole command over a .keras file of Keras 2; without its weights it is refused."""
    path = shutil.copy(FIXTURES / "keras-2.keras", tmp_path / "old.keras")
    code, _, errors = run(path, *TOKENS)
    assert code == 0, errors
    assert (tmp_path / "old.s2s" / "manifest.json").is_file()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "bare.keras", "w") as bare:
        for kept in ("metadata.json", "config.json"):
            bare.writestr(kept, old.read(kept))
    fails([tmp_path / "bare.keras", *TOKENS], "holds no model.weights.h5; save it again")


@pytest.mark.parametrize("build", [plain_lstm, gru_reset_after, bidirectional_states])
def test_cudnn_layers(build: object, tmp_path: Path) -> None:
    """CuDNNLSTM and CuDNNGRU become LSTM and GRU, their weights rearranged."""
    model = build()
    randomise(model)
    save_as_keras_2(model, tmp_path / "old.h5", cudnn=True)
    config = json.loads(h5py.File(tmp_path / "old.h5").attrs["model_config"])
    assert "CuDNN" in json.dumps(config)
    assert same(load_model(tmp_path / "old.h5"), model)


def test_export_of_a_keras_2_file(tmp_path: Path) -> None:
    """The command takes such a file; its GRU with the old hard_sigmoid is a native node."""
    model = gru_before()
    randomise(model)
    save_as_keras_2(model, tmp_path / "old.h5")
    code, output, errors = run(tmp_path / "old.h5", *TOKENS, "--json")
    assert code == 0, errors
    assert "GRU" in json.loads(output)["node_types"]["encoder"]


def test_export_of_a_keras_3_h5_file(tmp_path: Path) -> None:
    """Keras 3's own .h5 format, with a mask and attention, which Keras 3 itself can't load."""
    model = attended()
    randomise(model)
    model.save(tmp_path / "new.h5")
    assert same(load_model(tmp_path / "new.h5"), model)
    assert run(tmp_path / "new.h5", *TOKENS)[0] == 0


def test_refusals(tmp_path: Path) -> None:
    """What Keras 3 has no equal for is named, with its layer."""
    model = plain_lstm()
    save_as_keras_2(model, tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        lstm = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "LSTM")
        lstm["config"]["time_major"] = True
        file.attrs["model_config"] = json.dumps(config)
    name = lstm["config"]["name"]
    fails([tmp_path / "old.h5", *TOKENS], f"layer '{name}' (LSTM) was saved by Keras 2 with time_major=True")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        lstm["class_name"] = "TensorFlowOpLayer"
        file.attrs["model_config"] = json.dumps(config)
    fails([tmp_path / "old.h5", *TOKENS], f"layer '{name}' is TensorFlow's operation None, which isn't known")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        file.attrs["keras_version"] = "1.2.2"
    fails([tmp_path / "old.h5", *TOKENS], "saved by Keras 1.2.2; load it with Keras 2 and save it again")


def test_weights_with_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--weights FILE --model-fn module:function`, with every way it can be wrong."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "tests" / "builders"), *sys.path])
    model = gru_reset_after()
    randomise(model)
    model.save_weights(tmp_path / "m.weights.h5")
    file = tmp_path / "m.weights.h5"
    code, _, errors = run("--weights", file, "--model-fn", "architectures.recurrent:gru_reset_after", *TOKENS)
    assert code == 0, errors
    assert (tmp_path / "m.weights.s2s").is_dir()
    again = ("--force", *TOKENS)
    fails(
        ["--weights", file, "--model-fn", "architectures.recurrent:simple_rnn", *again],
        "these weights don't fit the model",
    )
    fails(
        ["--weights", file, "--model-fn", "architectures.recurrent:none", *again],
        "--model-fn: 'architectures.recurrent:none' can't be",
    )
    fails(["--weights", file, "--model-fn", "architectures.recurrent:TARGET", *again], "is no function but int")
    fails(
        ["--weights", file, "--model-fn", "architectures.recurrent:source_ids", *again], "to return a keras.Model, got"
    )
    assert run("--weights", file)[0] == 2
    assert run(file, "--weights", file, "--model-fn", "architectures.recurrent:simple_rnn")[0] == 2
