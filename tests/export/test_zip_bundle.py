"""A bundle may be one file: a zip, which decodes as the folder does."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_export.write import refuse_existing

pytestmark = pytest.mark.tensorflow
OPTIONS = ExportOptions(start_id=1, end_ids=(2,), max_length=6)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small model that knows numbers only."""
    keras.utils.set_random_seed(3)
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(7, 5, mask_zero=True)(source)
    _, *states = keras.layers.LSTM(6, return_state=True)(embedded)
    read = keras.layers.Embedding(8, 5)(target)
    output = keras.layers.LSTM(6, return_sequences=True)(read, initial_state=states)
    return keras.Model([source, target], keras.layers.Dense(8, activation="softmax")(output))


def test_a_zip_decodes_as_the_folder_does(model: keras.Model, tmp_path: Path) -> None:
    """The same ids; nothing but the one file is left."""
    export(model, tmp_path / "model.s2s", OPTIONS)
    exported = export(model, tmp_path / "model.zip", OPTIONS)
    rows = [[1, 2, 3], [4], [5, 6, 1, 2]]
    folder, zipped = (s2s_runtime.load(tmp_path / name).generate(rows) for name in ("model.s2s", "model.zip"))
    assert [result.ids for result in zipped] == [result.ids for result in folder]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.s2s", "model.zip"]
    assert f"wrote {tmp_path / 'model.zip'}" in repr(exported).replace("\n", "")


def test_only_a_bundle_is_replaced(model: keras.Model, tmp_path: Path) -> None:
    """`force` replaces a zip that holds a bundle, and no other file."""
    path = tmp_path / "model.zip"
    export(model, path, OPTIONS)
    with pytest.raises(ExportError, match="exists already"):
        export(model, path, OPTIONS)
    export(model, path, OPTIONS, force=True)
    path.write_bytes(b"somebody's letters")
    with pytest.raises(ExportError, match="exists and is no bundle"):
        export(model, path, OPTIONS, force=True)
    assert path.read_bytes() == b"somebody's letters"


def test_a_place_whose_name_is_not_utf8(tmp_path: Path) -> None:
    """It is refused before any work is done, as onnxruntime can't open it."""
    with pytest.raises(ExportError, match=r"b\\udce9.s2s': expected a name in UTF-8; give another with output="):
        refuse_existing(tmp_path / "b\udce9.s2s", force=False)
