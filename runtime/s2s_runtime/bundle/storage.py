"""The files of a bundle, read from a folder, a zip file, the bytes of one, or a mapping of names to bytes.

Each file is read once and whole, and kept: what was compared with its digest is what decodes, whatever happens to the
place afterwards. Nothing is written, mapped or left open.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import stat
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from s2s_runtime.errors import BundleError, BundleNotFoundError, InputError
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.spelling import shown

if TYPE_CHECKING:
    from s2s_runtime.files import atomic_write
else:  # where a bundle is missing
    atomic_write = LazyModule("files.atomic_write")

BundleSource = str | os.PathLike[str] | bytes | Mapping[str, bytes]
MANIFEST: Final = "manifest.json"
_SMALL: Final = 16 << 20  # bytes; what unpacks to less fills no memory
_MOST_EXPANSION: Final = 100  # of an entry of a zip file; weights hardly shrink, graphs and manifests to a tenth
_METHODS: Final = (0, 8)  # of a zip entry: stored, deflated. What else Python unpacks hangs or fills memory if damaged.


class BundleFiles(ABC):
    """The files of a bundle, by name, each read once.

    Args:
        name: what to call the bundle in messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._read: dict[str, bytes] = {}

    @property
    def name(self) -> str:
        """The name of the bundle in messages."""
        return self._name

    def read(self, file: str) -> bytes:
        """Return a file's content, the same at every call.

        Raises:
            BundleError: it can't be read.
        """
        if file not in self._read:
            self._read.setdefault(file, self._content(file))
        return self._read[file]

    def sha256(self, file: str) -> str:
        """Return the SHA-256 of a file's content, in hexadecimal; of a file in a folder without holding it in memory.

        Raises:
            BundleError: it can't be read.
        """
        content = self._read[file] if file in self._read else self._content(file)
        return hashlib.sha256(content).hexdigest()

    def size(self, file: str) -> int | None:
        """Return the bytes of a file, before it is read those it is said to have; None where there is no such file."""
        return len(self._read[file]) if file in self._read else self._size(file)

    @abstractmethod
    def _size(self, file: str) -> int | None:
        """Return the bytes that a file is said to have where it lies, None where there is none."""

    @abstractmethod
    def _content(self, file: str) -> bytes:
        """Return a file's content where it lies."""

    def close(self) -> None:  # noqa: B027 - folders and mappings have nothing to let go of
        """Keep what was read, and let go of the place it was read from."""


class FolderFiles(BundleFiles):
    """A bundle in a folder; files may be symbolic links, as in a Hugging Face cache or a Kubernetes volume."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder.absolute()  # the working folder may be another when the files are read

    def _size(self, file: str) -> int | None:
        """See `BundleFiles._size`."""
        try:
            found = (self._folder / file).stat()
        except (OSError, ValueError):  # ValueError: no name of a file, as one with a null character
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def sha256(self, file: str) -> str:
        """See `BundleFiles.sha256`."""
        if file in self._read:
            return super().sha256(file)
        try:
            with (self._folder / file).open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise BundleError(f"{self._folder / file}: {error.strerror or error}") from error

    def _content(self, file: str) -> bytes:
        try:
            return (self._folder / file).read_bytes()
        except OSError as error:
            raise BundleError(f"{self._folder / file}: {error.strerror or error}") from error


class MemoryFiles(BundleFiles):
    """A bundle whose files are in memory.

    Raises:
        InputError: what should be a file's content is no bytes.
    """

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        super().__init__(name)
        for file, content in files.items():
            if not isinstance(content, bytes | bytearray | memoryview):
                raise InputError(f"{name}: expected bytes for {file!r}, got {type(content).__name__}")
            self._read[file] = bytes(content)  # of bytes no copy; what may change under us is copied

    def _size(self, file: str) -> int | None:
        """See `BundleFiles._size`."""
        return None

    def _content(self, file: str) -> bytes:
        raise BundleError(f"{self.name}: no {file} in it")


class ZipFiles(BundleFiles):
    """A bundle in a zip file, at its top or in one folder; what operating systems add is passed over.

    Args:
        name: what to call it in messages.
        content: of the zip file.

    Raises:
        BundleError: it is none, is damaged, or holds several bundles.
    """

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(name)
        zipfile, struct = map(importlib.import_module, ("zipfile", "struct"))  # here: they bring much else
        # What a damaged archive makes the library raise; RuntimeError: encrypted. NotImplementedError: a newer format.
        builtin = (OSError, EOFError, ValueError, LookupError, RuntimeError, OverflowError)
        self._damage: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, struct.error, *builtin)
        try:
            self._archive: Any = zipfile.ZipFile(io.BytesIO(content))
            self._entries = {entry.filename: entry for entry in self._archive.infolist() if not entry.is_dir()}
        except self._damage as error:
            raise self._damaged(error) from error
        tops = [entry.removesuffix(MANIFEST) for entry in self._entries if _holds_bundle(entry)]
        if len(tops) > 1 and "" not in tops:
            raise BundleError(f"{name}: expected one bundle, got several: {', '.join(sorted(tops))}")
        self._top = "" if "" in tops or not tops else tops[0]

    def _size(self, file: str) -> int | None:
        """See `BundleFiles._size`."""
        entry = self._entries.get(self._top + file)
        return None if entry is None else int(entry.file_size)

    def _content(self, file: str) -> bytes:
        entry = self._entries[self._top + file]
        if entry.compress_type not in _METHODS:
            raise self._damaged(f"{file} is packed by method {entry.compress_type}, which is neither store nor deflate")
        if entry.file_size > max(_SMALL, _MOST_EXPANSION * entry.compress_size):
            raise self._damaged(f"{file}: {entry.compress_size:,} bytes unpack to {entry.file_size:,}, as of no bundle")
        try:
            return bytes(self._archive.read(entry))
        except self._damage as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """See `BundleFiles.close`."""
        self._archive.close()
        self._entries = {}

    def _damaged(self, why: object) -> BundleError:
        return BundleError(f"{self.name}: expected a bundle's folder or a zip file of one: {why}")


def _holds_bundle(entry: str) -> bool:
    """Return whether an entry of a zip file is a manifest at the top or in a folder of it."""
    folder, _, file = entry.rpartition("/")
    return file == MANIFEST and "/" not in folder and folder != "__MACOSX"


def find_files(bundle: BundleSource) -> BundleFiles:
    """Find the files of a bundle.

    Args:
        bundle: path of a folder or of a zip file, the bytes of a zip file, or a mapping of file names to bytes. A zip
            may hold the files themselves or one folder with them.

    Raises:
        BundleNotFoundError: there is nothing at the path.
        BundleError: a file or bytes that are no zip file, or one that can't be read.
        InputError: `bundle` is none of these.
    """
    if isinstance(bundle, bytes):
        return ZipFiles("the bundle's bytes", bundle)
    if isinstance(bundle, Mapping):
        return MemoryFiles("the bundle's files", bundle)
    if not isinstance(bundle, str | os.PathLike):
        raise InputError(
            f"bundle: expected a path, bytes of a zip file or a mapping of names to bytes, got {shown(bundle)}"
        )
    path = Path(bundle)
    if not path.exists():
        path = atomic_write.left_by_exchange(path) or path
    if path.is_dir():
        return FolderFiles(path)
    if not path.is_file():
        raise BundleNotFoundError(f"{path}: no such folder; expected a bundle written by s2s-export")
    try:
        return ZipFiles(str(path), path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}") from error
