"""Checks of an HDF5 file's structure, all of which is read on the way, and the process that runs them for others.

The library that reads HDF5 trusts what it reads: a damaged file can make it loop for ever, take all memory, or end its
process. So `checks_apart` has a process of its own do this first, `serve` being its main function. Nothing here imports
Keras.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import signal
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import h5py

from s2s_export.errors import ModelFileError
from s2s_export.keras_files.archive_checks import DAMAGED, HARMLESS, damaged

_MOST_FILLING: Final = 1000  # of a data set of which little is stored, the rest being its fill value
_LINKS: Final = {h5py.ExternalLink: "a link to another file", h5py.SoftLink: "a link by name"}
_SECONDS: Final = 2.0  # of computing, beside those for the file's size: a sound file takes some milliseconds
_BYTES_A_SECOND: Final = 20e6
_MEMORY: Final = 4 << 30  # bytes of addresses, beside the file's size


def check_hdf5(file: Path | IO[bytes], name: str) -> None:
    """Check the structure of an HDF5 file, and read whatever isn't plain numbers side by side.

    Args:
        file: a path or an open file.
        name: what to call it in messages.

    Raises:
        ModelFileError: a data set or group stands in another file, or declares far more than is stored.
        Exception: whatever h5py raises where the file is damaged.
    """
    with h5py.File(file, "r") as opened:
        _read_attributes(opened)
        for place, item in _items(opened, name):
            _read_attributes(item)
            if isinstance(item, h5py.Dataset):
                _check_data_set(item, f"{name}: {place}")
                _read_parts(item)


def serve() -> None:
    """Check a file for every line of standard input, `{"path": ..., "entry": ..., "name": ...}`, until it ends.

    The answer is a line: `{}`, or `{"error": ...}`. A file that takes too long, or ends the library, ends the process.
    """
    for line in sys.stdin:
        job = json.loads(line)
        try:
            _limit(os.path.getsize(job["path"]))
            _check(job)
            answer = {}
        except ModelFileError as error:
            answer = {"error": str(error)}
        except Exception as error:  # whatever HDF5 raises over what somebody wrote into the file
            said = " ".join(str(error).split())[:300] or type(error).__name__
            answer = {"error": f"{job['name']}: HDF5 can't read it, it is damaged: {said}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _check(job: dict[str, Any]) -> None:
    if job["entry"] is None:
        check_hdf5(Path(job["path"]), job["name"])
        return
    try:
        with zipfile.ZipFile(job["path"]) as archive:
            content = archive.read(job["entry"])
    except DAMAGED as error:
        raise ModelFileError(damaged(error, job["path"])) from error
    check_hdf5(io.BytesIO(content), job["name"])


def _limit(size: int) -> None:
    """Let the system end this process where a file of a size takes too much of it; on Windows the caller does."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, _SECONDS + size / _BYTES_A_SECOND)
    if sys.platform == "linux":
        resource = importlib.import_module("resource")  # which Windows lacks
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = _MEMORY + 2 * size
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


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


def _read_attributes(item: Any) -> None:
    for key in item.attrs:
        item.attrs[key]


def _check_data_set(data: h5py.Dataset, at: str) -> None:
    if data.external or data.is_virtual:
        raise ModelFileError(
            f"{at} stands in another file; expected the weights themselves, as model.save() writes them"
        )
    declared, stored = math.prod(data.shape or ()) * data.dtype.itemsize, data.id.get_storage_size()
    if declared > max(HARMLESS, _MOST_FILLING * stored):
        raise ModelFileError(
            f"{at} declares {declared:,} bytes of which {stored:,} are stored; expected weights as model.save() writes "
            "them; get the file from where you trust it"
        )


def _read_parts(data: h5py.Dataset) -> None:
    """Read a data set of parts or of texts, which are found by way of others; numbers side by side need no search."""
    if data.chunks:
        for part in data.iter_chunks():
            data[part]
    elif data.dtype.kind == "O":
        data[()]
