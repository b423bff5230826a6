"""Checks of a model file's structure before anything of it is used: where it points to, and what it unpacks to.

Whoever sent the file decides what stands in it. So nothing of it may name another file, nor fill memory or disk.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Final

from s2s_export.errors import ModelFileError
from s2s_export.keras_files.checks_apart import AGAIN, check_hdf5_apart

DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError)
"""What reading an archive raises whose bytes have changed."""

HARMLESS: Final = 64 << 20
"""Bytes; what unpacks to less does no harm."""

_QUICK: Final = 16 << 20  # bytes of weights that are drawn at random, some orthogonal, in a few seconds
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_MOST_EXPANSION: Final = 100  # of a packed entry of an archive: weights hardly shrink, configurations to a tenth
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check_file(path: Path) -> None:
    """Check the structure of a `.keras` archive, or of an `.h5` file.

    Raises:
        ModelFileError: an entry leaves the archive, is a link, or unpacks to far more than is stored; a data set or
            group of HDF5 stands in another file, or declares far more than is stored.
    """
    with path.open("rb") as opened:
        hdf5 = opened.read(len(_HDF5)) == _HDF5
    if not zipfile.is_zipfile(path):
        check_hdf5_apart(path)
        return
    if hdf5:  # whoever takes it for HDF5 would read the part that wasn't checked
        raise ModelFileError(f"{path}: begins as HDF5, and is an archive too; expected one of them")
    with zipfile.ZipFile(path) as archive:
        _check_archive(archive, path)
        inner = [name for name in archive.namelist() if name.endswith(".h5")]
    for name in inner:
        check_hdf5_apart(path, name)


def most_bytes(path: Path) -> int:
    """Return how many bytes weights may take that lie in a file, in a folder, or in files whose names begin so."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{escape(path.name)}*")
    return max(_QUICK, _MOST_EXPANSION * sum(file.stat().st_size for file in files if file.is_file()))


def damaged(error: Exception, path: str | Path) -> str:
    """Return what to say of an archive that can't be read, and what to do."""
    said = " ".join(str(error).split())
    return f"{path}: the archive is damaged ({said[:300]}); {AGAIN}"


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    counts = Counter(archive.namelist())
    for entry in archive.infolist():
        at = f"{path}: {entry.filename!r}"
        if _leaves(entry.filename):
            raise ModelFileError(f"{at} would lie outside of the archive's folder; expected relative names without ..")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ModelFileError(f"{at} is a symbolic link; expected files alone, as model.save() writes them")
        if counts[entry.filename] > 1:
            raise ModelFileError(f"{at} stands there {counts[entry.filename]} times; expected each name once")
        if entry.compress_type not in _METHODS or entry.flag_bits & 1:
            raise ModelFileError(f"{at} is encrypted or packed in a way that model.save() doesn't write; save it again")
        if entry.file_size > max(HARMLESS, _MOST_EXPANSION * entry.compress_size):
            raise ModelFileError(
                f"{at} holds {entry.compress_size:,} bytes that unpack to {entry.file_size:,}; expected at most "
                f"{_MOST_EXPANSION} times as many: no model is packed so; get the file from where you trust it"
            )


def _leaves(name: str) -> bool:
    """Return whether an entry, unpacked into a folder, would lie outside of it on some system."""
    parts = PurePosixPath(name.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or ":" in name or "\0" in name
