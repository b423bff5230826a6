"""A person's own set-up of Keras doesn't matter: another backend, another precision, names that code once had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from export_command import run
from keras import layers

from s2s_export.keras_files.lambda_layers import _USUAL
from s2s_export.keras_files.load import load_model

pytestmark = pytest.mark.tensorflow

TOKENS = ("--start-id", "1", "--end-id", "2", "--max-length", "5")
EXPORT = """
import sys, s2s_export
from s2s_export.exporter import export
model = s2s_export.load_model(sys.argv[1])
assert model.layers[-1].compute_dtype == "float32"
print(s2s_export.export(model, sys.argv[2], start=1, max_length=4, verify_sources=2).report.passed)
"""


def small(joined: object = None) -> keras.Model:
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    state = layers.GRU(4)(layers.Embedding(7, 3, mask_zero=True)(source))
    state = state if joined is None else layers.Lambda(joined, output_shape=(4,), name="scaled")(state)
    y = layers.GRU(4, return_sequences=True)(layers.Embedding(7, 3)(target), initial_state=state)
    return keras.Model([source, target], layers.Dense(7, activation="softmax")(y))


def test_another_backend_and_precision(tmp_path: Path) -> None:
    """`keras.json` says torch and float64, and the environment jax: from Python the model is what its file says."""
    small().save(tmp_path / "model.keras")
    said = {"backend": "torch", "floatx": "float64", "epsilon": 1e-7, "image_data_format": "channels_last"}
    (tmp_path / "keras.json").write_text(json.dumps(said), encoding="utf-8")
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    arguments = [sys.executable, "-c", EXPORT, str(tmp_path / "model.keras"), str(tmp_path / "model.s2s")]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
    floats = keras.config.floatx()
    assert (floats, keras.config.dtype_policy().name) == ("float32", "float32")


def test_names_in_the_code_of_lambda_layers(tmp_path: Path) -> None:
    """Once trusted, their code finds `K`, `tf`, `np`, `keras` and `ops`, which it was written with."""
    namespace: dict[str, object] = dict(_USUAL)
    exec("joined = lambda x: K.tanh(tf.identity(x)) + ops.cast(np.pi, 'float32') * keras.ops.sum(x) * 0", namespace)
    model = small(namespace["joined"])
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras", trust_lambda=True)
    ids = np.array([[1, 2, 3]])
    np.testing.assert_allclose(again([ids, ids]), model([ids, ids]), atol=1e-6)
    assert run(tmp_path / "model.keras", "--trust-lambda", *TOKENS)[0] == 0
