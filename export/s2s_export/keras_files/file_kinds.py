"""What kind of thing lies at a path: a model file, a folder of Keras 2, a configuration, or weights of TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from s2s_export.errors import ModelFileError

WHOLE: Final = "a model saved by Keras (.keras, .h5, or the folder that TensorFlow 2.0 to 2.15 wrote)"
WEIGHTS: Final = "weights saved by model.save_weights() (.h5, or the name of a TensorFlow checkpoint), or an .npz file"


def is_folder(path: Path) -> bool:
    """Return whether a path is a SavedModel, the folder that `model.save` wrote where no ending was given."""
    return path.is_dir() and (path / "saved_model.pb").is_file()


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


def refuse_missing_model(path: Path) -> None:
    """Let a path pass where a whole model may lie.

    Raises:
        ModelFileError: there is nothing, or a folder of another kind.
    """
    if path.is_dir() and not is_folder(path):
        raise ModelFileError(f"{path}: a folder without saved_model.pb; expected {WHOLE}")
    if not path.exists():
        raise ModelFileError(f"{path}: no such file; expected {WHOLE}")


def refuse_missing_weights(path: Path) -> None:
    """Let a path pass where weights may lie.

    Raises:
        ModelFileError: there are none.
    """
    if not path.is_file() and checkpoint_of(path) is None:
        raise ModelFileError(f"{path}: no such file; expected {WEIGHTS}")
