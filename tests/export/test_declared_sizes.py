"""A configuration that asks for more than its file can hold is one error, before anything of it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers
from keras_2_files import save_as_keras_2
from model_files import entries, save_small, small_model, with_config

from s2s_export import ModelFileError, load_model

pytestmark = pytest.mark.tensorflow

CASES = {  # which number, its value, and what the message says
    "a cell": ("encoder", "units", 20_000, "4,800,000,000 bytes of weights at least"),
    "an orthogonal matrix": ("encoder", "units", 4096, "201,326,592 bytes of weights at least"),
    "no number of weights": ("head", "units", 10**30, "bytes of weights at least"),
    "words": ("embedding", "input_dim", 10**9, "16,000,000,000 bytes of weights at least"),
    "by what reads them": ("embedding", "output_dim", 450_000, "21,600,000 of them for encoder/lstm_cell/kernel"),
    "a row": ("source", "batch_shape", [None, 10**9], 'layer "source" would give 1,000,000,000 numbers'),
}


def saved(path: Path) -> Path:
    """A sound file of either version and format."""
    if path.name.endswith(".2.h5"):
        return save_as_keras_2(small_model(), path) or path
    return save_small(path)


def layer(config: Any, name: str) -> dict[str, Any]:
    """The arguments of the first layer whose name begins so."""
    return next(e["config"] for e in entries(config) if str(e["config"].get("name")).startswith(name))


@pytest.mark.parametrize(
    ("file", "case"),
    [
        (file, case)
        for file in ("model.keras", "model.h5", "model.2.h5")
        for case in CASES
        if (file, case) != ("model.keras", "by what reads them")  # which says also what each layer is built for
    ],
)
def test_sizes_beyond_the_file_are_one_error(tmp_path: Path, file: str, case: str) -> None:
    """Whether they show in one layer's arguments, or in what follows from them."""
    name, key, value, words = CASES[case]

    def enlarge(config: Any) -> None:
        arguments = layer(config, name)
        arguments[key if key in arguments else "batch_input_shape"] = value

    with pytest.raises(ModelFileError, match="expected the sizes that its weights were saved with") as error:
        load_model(with_config(saved(tmp_path / file), enlarge))
    assert words in str(error.value)


def test_many_words_load(tmp_path: Path) -> None:
    """A number above a thousand is none too many where the file has the weights."""
    inputs = keras.Input((None,))
    model = keras.Model(inputs, layers.LSTM(2)(layers.Embedding(3000, 2)(inputs)))
    model.save(tmp_path / "words.keras")
    assert load_model(tmp_path / "words.keras").count_params() == model.count_params()
