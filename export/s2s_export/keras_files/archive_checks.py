"""Checks of a model file's structure before anything of it is used: where it points to, and what it unpacks to.

Whoever sent the file decides what stands in it. So nothing of it may name another file, nor fill memory or disk.
"""

from __future__ import annotations

import io
import math
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import h5py

from s2s_export.errors import ModelFileError

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_SMALL: Final = 64 << 20  # bytes; what unpacks to less does no harm
_MOST_EXPANSION: Final = 100  # of a packed entry of an archive: weights hardly shrink, configurations to a tenth
_MOST_FILLING: Final = 1000  # of a data set of which little is stored, the rest being its fill value
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LINKS: Final = {h5py.ExternalLink: "a link to another file", h5py.SoftLink: "a link by name"}


def check_file(path: Path) -> None:
    """Check the structure of a `.keras` archive, or of an `.h5` file.

    Raises:
        ModelFileError: an entry leaves the archive, is a link, or unpacks to far more than is stored; a data set or
            group of HDF5 stands in another file, or declares far more than is stored.
    """
    with path.open("rb") as opened:
        hdf5 = opened.read(len(_HDF5)) == _HDF5
    if not zipfile.is_zipfile(path):
        check_hdf5(path, str(path))
        return
    if hdf5 or path.suffix in (".h5", ".hdf5"):  # Keras goes by the name, and would read the part that wasn't checked
        raise ModelFileError(f"{path}: an archive that is named, or begins, as HDF5; a .keras file is named .keras")
    with zipfile.ZipFile(path) as archive:
        _check_archive(archive, path)
        for name in [name for name in archive.namelist() if name.endswith(".h5")]:
            check_hdf5(io.BytesIO(archive.read(name)), f"{path}: {name}")


def check_hdf5(file: Path | IO[bytes], name: str) -> None:
    """Check the structure of an HDF5 file.

    Args:
        file: a path or an open file.
        name: what to call it in messages.

    Raises:
        ModelFileError: see `check_file`.
    """
    with h5py.File(file, "r") as opened:
        for place, item in _items(opened, name):
            if isinstance(item, h5py.Dataset):
                _check_data_set(item, f"{name}: {place}")


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
        if entry.file_size > max(_SMALL, _MOST_EXPANSION * entry.compress_size):
            raise ModelFileError(
                f"{at} holds {entry.compress_size:,} bytes that unpack to {entry.file_size:,}; expected at most "
                f"{_MOST_EXPANSION} times as many: no model is packed so; get the file from where you trust it"
            )


def _leaves(name: str) -> bool:
    """Return whether an entry, unpacked into a folder, would lie outside of it on some system."""
    parts = PurePosixPath(name.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or ":" in name or "\0" in name


def _items(group: h5py.Group, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every group and data set of a file once, with its place, and follow no link out of it."""
    pending, seen = [group], set[Any]()
    while pending:
        parent = pending.pop()
        for key in parent:
            link = parent.get(key, getlink=True, getclass=True)
            if link in _LINKS:
                raise ModelFileError(
                    f"{name}: {parent.name.rstrip('/')}/{key} is {_LINKS[link]}; expected the weights themselves, as "
                    "model.save() writes them"
                )
            item = parent[key]
            if item.id.__hash__() in seen:  # as h5py hashes: by file and address
                continue
            seen.add(item.id.__hash__())
            if isinstance(item, h5py.Group):
                pending.append(item)
            yield f"{parent.name.rstrip('/')}/{key}", item


def _check_data_set(data: h5py.Dataset, at: str) -> None:
    if data.external or data.is_virtual:
        raise ModelFileError(
            f"{at} stands in another file; expected the weights themselves, as model.save() writes them"
        )
    declared, stored = math.prod(data.shape or ()) * data.dtype.itemsize, data.id.get_storage_size()
    if declared > max(_SMALL, _MOST_FILLING * stored):
        raise ModelFileError(
            f"{at} declares {declared:,} bytes of which {stored:,} are stored; expected weights as model.save() writes "
            "them; get the file from where you trust it"
        )
