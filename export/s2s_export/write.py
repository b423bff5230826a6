"""Writes a bundle so that it is either whole or absent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final
from zipfile import ZipFile, is_zipfile

import numpy as np
import onnx

from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.errors import ExportError
from s2s_runtime.bundle.manifest_file import GraphFile, describe_file
from s2s_runtime.files.atomic_write import finish_exchange, replacing, replacing_folder
from s2s_runtime.spelling import option, shown

WEIGHTS: Final = "weights.bin"
MANIFEST: Final = "manifest.json"
_ALIGNMENT: Final = 4096  # a page, so that onnxruntime can map a constant into memory instead of reading it


def refuse_existing(path: Path, *, force: bool) -> None:
    """Check the place of a bundle before any work is done.

    Raises:
        ExportError: something is there and may not be replaced, or the folder above is missing, or the name isn't
            UTF-8, which onnxruntime doesn't open.
    """
    if str(path) != str(path).encode(errors="replace").decode():
        raise ExportError(f"{shown(str(path))}: expected a name in UTF-8; give another with {option('output', 'NAME')}")
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
    with replacing(path) as beside:
        folder = beside.with_name(f"{beside.name}.files")
        folder.mkdir()
        yield folder
        with ZipFile(beside, "w") as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, file.name)


def write_graphs(folder: Path, models: Mapping[str, WeightedModel]) -> tuple[dict[str, GraphFile], GraphFile | None]:
    """Write each graph as NAME.onnx, and the large constants of all into one file, equal ones once.

    Returns:
        For the manifest: the graph files by name, and the file of the constants, None where none is large.
    """
    written = {}
    with (folder / WEIGHTS).open("wb") as file:
        weights = _Weights(file)
        for name, model in models.items():
            written[name] = folder / f"{name}.onnx"
            written[name].write_bytes(_with_external_weights(model, weights).SerializeToString())
    files = {name: describe_file(file) for name, file in written.items()}
    if not weights.is_written:
        (folder / WEIGHTS).unlink()
    return files, describe_file(folder / WEIGHTS) if weights.is_written else None


class _Weights:
    """The file of large constants, into which each is written once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[bytes, int] = {}
        self._known: dict[int, tuple[int, np.ndarray]] = {}  # by identity: most graphs hold the very same arrays

    @property
    def is_written(self) -> bool:
        """Whether there is any."""
        return bool(self._places)

    def place(self, array: np.ndarray) -> int:
        """Return where in the file an array begins, which is written unless it was."""
        if id(array) not in self._known:
            content = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
            digest = hashlib.sha256(content).digest()
            if digest not in self._places:
                self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
                self._places[digest] = self._file.tell()
                self._file.write(content)
            self._known[id(array)] = self._places[digest], array
        return self._known[id(array)][0]


def _with_external_weights(model: WeightedModel, weights: _Weights) -> onnx.ModelProto:
    """Return a copy of the model that finds its large constants in the file of weights, to which new ones are added."""
    proto = model.copy().proto
    for tensor in proto.graph.initializer:  # constants in loops have to lie in the graph: see `s2s_runtime.ort`
        array = model.arrays.get(tensor.name)
        if array is None:
            continue
        del tensor.external_data[:]
        for key, value in (("location", WEIGHTS), ("offset", weights.place(array)), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
    return proto
