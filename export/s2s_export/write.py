"""Writes a bundle so that it is either whole or absent."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final
from zipfile import ZipFile, is_zipfile

import onnx

from s2s_export.errors import ExportError
from s2s_runtime.bundle.manifest_file import GraphFile, describe_file
from s2s_runtime.files.atomic_write import finish_exchange, replacing, replacing_folder
from s2s_runtime.spelling import option

WEIGHTS: Final = "weights.bin"
MANIFEST: Final = "manifest.json"
_SMALL: Final = 1024  # bytes; smaller constants stay where they are: shapes and axes have to be read while loading
_ALIGNMENT: Final = 4096  # a page, so that onnxruntime can map a constant into memory instead of reading it


def refuse_existing(path: Path, *, force: bool) -> None:
    """Check the place of a bundle before any work is done.

    Raises:
        ExportError: something is there and may not be replaced, or the folder above is missing.
    """
    if path.parent.is_dir():
        finish_exchange(path)
    if path.exists() and not force:
        raise ExportError(f"{path} exists already; choose another place, or replace it with {option('force', '')}")
    if path.exists() and not _is_bundle(path):
        raise ExportError(f"{path} exists and is no bundle; {option('force', '')} replaces bundles only")
    if not path.parent.is_dir():
        raise ExportError(f"{path.parent}: no such folder to write {path.name} into; create it first")


def _is_bundle(path: Path) -> bool:
    if path.is_file() and is_zipfile(path):
        with ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    return (path / MANIFEST).is_file()


@contextmanager
def replacing_bundle(path: Path) -> Iterator[Path]:
    """Yield a folder to write a bundle into; where the block ends well, the bundle takes the place of `path`.

    It is a zip file where `path` ends in .zip, stored and not packed: weights hardly shrink, and loading is quicker.

    Raises:
        OSError: it can't be written.
    """
    if path.suffix.lower() != ".zip":
        with replacing_folder(path) as folder:
            yield folder
        return
    with tempfile.TemporaryDirectory(prefix="s2s-export-") as name:
        folder = Path(name)
        yield folder
        with replacing(path) as beside, ZipFile(beside, "w") as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, file.name)


def write_graphs(folder: Path, models: Mapping[str, onnx.ModelProto]) -> tuple[dict[str, GraphFile], GraphFile | None]:
    """Write each graph as NAME.onnx, and the large constants of all into one file, equal ones once.

    Returns:
        For the manifest: the graph files by name, and the file of the constants, None where none is large.
    """
    written, places = {}, dict[bytes, int]()
    with (folder / WEIGHTS).open("wb") as weights:
        for name, model in models.items():
            file = folder / f"{name}.onnx"
            file.write_bytes(_with_external_weights(model, weights, places).SerializeToString())
            written[name] = file
    files = {name: describe_file(file) for name, file in written.items()}
    if not places:
        (folder / WEIGHTS).unlink()
    return files, describe_file(folder / WEIGHTS) if places else None


def _with_external_weights(model: onnx.ModelProto, weights: BinaryIO, places: dict[bytes, int]) -> onnx.ModelProto:
    """Return a copy of the model that finds its large constants in another file, to which new ones are added."""
    slim = onnx.ModelProto()
    slim.CopyFrom(model)
    for tensor in slim.graph.initializer:  # constants in loops have to lie in the graph: see `s2s_runtime.ort`
        content = tensor.raw_data
        if len(content) < _SMALL:
            continue
        digest = hashlib.sha256(content).digest()
        if digest not in places:
            weights.write(b"\0" * (-weights.tell() % _ALIGNMENT))
            places[digest] = weights.tell()
            weights.write(content)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", places[digest]), ("length", len(content))):
            tensor.external_data.add(key=key, value=str(value))
    return slim
