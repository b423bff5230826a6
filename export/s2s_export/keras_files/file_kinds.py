"""What kind of thing lies at a path: a model file, a folder of Keras 2, a configuration, or weights of TensorFlow.

The content decides, not the name: browsers and mail rename files, caches keep them without an ending, and the Keras of
TensorFlow 2.0 to 2.11 wrote HDF5 where `.keras` was asked for. Keras 3 goes by the name.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import h5py

from s2s_export.errors import ModelFileError

WHOLE: Final = "a model saved by Keras (.keras, .h5, or the folder that TensorFlow 2.0 to 2.15 wrote)"
_BEGINNINGS: Final = {
    b"PK": "an archive whose end is missing: copy or download it again",
    b"\x1f\x8b": "packed by gzip: unpack it first",
    b"version https://git-lfs": "what Git keeps in a large file's place: fetch the file itself with `git lfs pull`",
    b"<": "a page of the web or another document, not the file that it links to: download that",
}
"""What else people have in hand, by its first bytes, and what to do with it."""
UNPACKED: Final = ("config.json", "metadata.json", "model.weights.h5")
WEIGHTS: Final = "weights saved by model.save_weights() (.h5, or the name of a TensorFlow checkpoint), or an .npz file"


def is_folder(path: Path) -> bool:
    """Return whether a path is a SavedModel, the folder that `model.save` wrote where no ending was given."""
    return path.is_dir() and (path / "saved_model.pb").is_file()


def is_unpacked(path: Path) -> bool:
    """Return whether a path is the folder of what a `.keras` archive holds, as on the Hugging Face hub."""
    return all((path / name).is_file() for name in UNPACKED)


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """Yield what lies at a path as one file: a `.keras` archive where it is the folder of one.

    What is said of that archive within is said of the folder.
    """
    if not is_unpacked(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{path.resolve().name}.keras"
        with zipfile.ZipFile(made, "w") as archive:
            for file in sorted(path.rglob("*")):
                if file.is_file() and (file.name in UNPACKED or file.relative_to(path).parts[0] == "assets"):
                    archive.write(file, file.relative_to(path))
        try:
            yield made
        except ModelFileError as error:
            raise ModelFileError(str(error).replace(str(made), str(path))) from error


def ending(path: Path) -> str:
    """Return the ending by which Keras 3 knows what is in a file of a model, or of its weights."""
    if zipfile.is_zipfile(path):
        return ".keras"
    with h5py.File(path, "r") as file:
        whole = "model_config" in file.attrs
        return ".h5" if whole or "layer_names" in file.attrs or "model_weights" in file else ".weights.h5"


@contextmanager
def named_by_content(path: Path) -> Iterator[Path]:
    """Yield a file of a model, or of its weights, under a name by which Keras reads it."""
    right = ending(path)
    if path.name.endswith(right):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"model{right}"
        shutil.copyfile(path, copy)
        yield copy


def is_config(path: Path) -> bool:
    """Return whether a path is a file of a model's configuration alone, as `model.to_json()` gives it."""
    return path.suffix.lower() == ".json" and path.is_file()


def checkpoint_of(path: Path) -> Path | None:
    """Return the name of a TensorFlow checkpoint, without the endings of its files; None where there is none.

    `save_weights("w")` wrote w.index and w.data-00000-of-00001; a SavedModel holds its weights in the same way.
    """
    prefix = path / "variables" / "variables" if is_folder(path) else path
    prefix = prefix.with_suffix("") if prefix.suffix == ".index" else prefix
    return prefix if prefix.name and prefix.with_name(f"{prefix.name}.index").is_file() else None


def refuse_other_files(path: Path) -> None:
    """Let a file pass that is an archive or HDF5.

    Raises:
        ModelFileError: it is neither; where it can be told what it is, that is said.
    """
    if zipfile.is_zipfile(path) or h5py.is_hdf5(path):
        return
    with path.open("rb") as opened:
        first = opened.read(64).lstrip()
    known = next((said for beginning, said in _BEGINNINGS.items() if first.startswith(beginning)), "")
    but = f", but {known}" if known else ""
    raise ModelFileError(
        f"{path}: no Keras model{but}; expected a .keras archive or an .h5 file, saved by model.save()"
    )


def refuse_missing_model(path: Path) -> None:
    """Let a path pass where a whole model may lie.

    Raises:
        ModelFileError: there is nothing, or a folder of another kind.
    """
    if path.is_dir() and not is_folder(path) and not is_unpacked(path):
        held = "saved_model.pb, and without config.json, metadata.json and model.weights.h5"
        raise ModelFileError(f"{path}: a folder without {held}; expected {WHOLE}")
    if not path.exists():
        raise ModelFileError(f"{path}: no such file; expected {WHOLE}")


def refuse_missing_weights(path: Path) -> None:
    """Let a path pass where weights may lie.

    Raises:
        ModelFileError: there are none.
    """
    if not path.is_file() and checkpoint_of(path) is None:
        raise ModelFileError(f"{path}: no such file; expected {WEIGHTS}")
