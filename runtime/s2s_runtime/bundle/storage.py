"""Where a bundle's files come from: a folder, a zip file, the bytes of one, or a mapping of names to bytes."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import weakref
import zlib
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Protocol

from s2s_runtime.errors import BundleError, BundleNotFoundError, InputError

BundleSource = str | os.PathLike[str] | bytes | Mapping[str, bytes]


class BundleFiles(Protocol):
    """The files of a bundle, by name."""

    @property
    def name(self) -> str:
        """The name of the bundle in messages."""
        ...

    def size(self, file: str) -> int | None:
        """Return the size of a file in bytes; None where there is no such file."""
        ...

    def sha256(self, file: str) -> str:
        """Return the SHA-256 of a file's content, in hexadecimal."""
        ...

    def unchanged(self, file: str) -> bool:
        """Return whether a file is there and wasn't changed since the bundle was found."""
        ...

    def read(self, file: str) -> bytes:
        """Return the content of a file."""
        ...

    def graph(self, file: str, weights: str | None) -> Path:
        """Return the path of a graph that lies in a folder with the file of its constants."""
        ...


class FolderFiles:
    """A bundle in a folder; graphs are opened where they lie."""

    def __init__(self, folder: Path) -> None:
        self._name = str(folder)
        self._folder = folder.absolute()  # graphs are opened later too, when the working folder may be another
        self._found = {entry.name: _stamp(entry.stat()) for entry in os.scandir(self._folder) if entry.is_file()}

    @property
    def name(self) -> str:
        """The folder's path."""
        return self._name

    def size(self, file: str) -> int | None:
        """See `BundleFiles.size`."""
        path = self._folder / file
        return path.stat().st_size if path.is_file() else None

    def sha256(self, file: str) -> str:
        """See `BundleFiles.sha256`."""
        with (self._folder / file).open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()

    def unchanged(self, file: str) -> bool:
        """See `BundleFiles.unchanged`."""
        try:
            return _stamp((self._folder / file).stat()) == self._found.get(file)
        except FileNotFoundError:
            return False

    def read(self, file: str) -> bytes:
        """See `BundleFiles.read`."""
        return (self._folder / file).read_bytes()

    def graph(self, file: str, weights: str | None) -> Path:
        """See `BundleFiles.graph`."""
        return self._folder / file


class MemoryFiles:
    """A bundle whose files are in memory.

    Graphs are opened from a temporary folder that is deleted with the model. They can't be opened from memory: for
    constants inside loops, onnxruntime then looks for a file in the working folder.
    """

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self._name = name
        self._files = files
        self._folder: Path | None = None
        self._writing = Lock()

    @property
    def name(self) -> str:
        """The path of the zip file, or words for what held the files."""
        return self._name

    def size(self, file: str) -> int | None:
        """See `BundleFiles.size`."""
        return len(self._files[file]) if file in self._files else None

    def sha256(self, file: str) -> str:
        """See `BundleFiles.sha256`."""
        return hashlib.sha256(self._files[file]).hexdigest()

    def unchanged(self, file: str) -> bool:
        """See `BundleFiles.unchanged`."""
        return file in self._files

    def read(self, file: str) -> bytes:
        """See `BundleFiles.read`."""
        return self._files[file]

    def graph(self, file: str, weights: str | None) -> Path:
        """See `BundleFiles.graph`."""
        with self._writing:
            if self._folder is None:
                tempfile, shutil = map(importlib.import_module, ("tempfile", "shutil"))  # folders don't need them
                self._folder = Path(tempfile.mkdtemp(prefix="s2s-"))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            for name in (file, *([] if weights is None else [weights])):
                if not (self._folder / name).exists():
                    (self._folder / name).write_bytes(self._files[name])
        return self._folder / file


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    """Return numbers that differ once a file has changed."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def find_files(bundle: BundleSource) -> BundleFiles:
    """Return the files of a bundle.

    Args:
        bundle: path of a folder or of a zip file, the bytes of a zip file, or a mapping of file names to bytes. A zip
            may hold the files themselves or one folder with them.

    Raises:
        BundleNotFoundError: there is nothing at the path.
        BundleError: the file or the bytes are no zip file, or one that can't be read.
        InputError: `bundle` is none of these.
    """
    if isinstance(bundle, bytes):
        return _unzip("the bundle's bytes", io.BytesIO(bundle))
    if isinstance(bundle, Mapping):
        return MemoryFiles("the bundle's files", bundle)
    if not isinstance(bundle, str | os.PathLike):
        raise InputError(f"bundle: expected a path, bytes of a zip file or a mapping of names to bytes, got {bundle!r}")
    path = Path(bundle)
    if path.is_dir():
        return FolderFiles(path)
    if not path.is_file():
        raise BundleNotFoundError(f"{path}: no such folder; expected a bundle written by s2s-export")
    return _unzip(str(path), path)


def _unzip(name: str, file: Path | io.BytesIO) -> MemoryFiles:
    zipfile = importlib.import_module("zipfile")  # here, as it brings much that folders don't need
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}
    # RuntimeError: encrypted. NotImplementedError: a compression that Python doesn't have.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise BundleError(f"{name}: expected a bundle's folder or a zip file of one: {error}") from error
    tops = {entry.partition("/")[0] if "/" in entry else "" for entry in entries}
    if len(tops) == 1 and tops != {""}:
        entries = {entry.partition("/")[2]: content for entry, content in entries.items()}
    return MemoryFiles(name, entries)
