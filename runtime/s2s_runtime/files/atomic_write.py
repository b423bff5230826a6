"""Writing a file or a folder so that it is whole or absent, whatever ends the process or the machine."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

BESIDE: Final = ".tmp-*-"  # what stands before a file's name while it is written, as a pattern of `Path.glob`
_WINDOWS: Final = os.name == "nt"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path` to write a file to; where the block ends well, the file takes the place of `path`.

    The name ends as that of `path` does, for writers that go by the ending. The content is on the disk before the file
    is renamed: after a loss of power there is the old file or the new one. Where the block fails, what it wrote is
    deleted.

    Raises:
        OSError: it can't be written; names `path`.
    """
    path = Path(path)
    beside = _beside(path)
    try:
        yield beside
        _flush(beside)
        beside.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.filename is None or Path(os.fsdecode(error.filename)) != beside:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the name that nobody gave
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside `path`; where the block ends well, it takes the place of `path`, else it is deleted.

    Its files are on the disk before it is renamed. Whatever stood at `path` is deleted at the end.

    Raises:
        OSError: the folder can't be made.
    """
    rmtree = importlib.import_module("shutil").rmtree  # here, as reading a bundle does without
    beside, old = _beside(path), _beside(path)
    beside.mkdir()
    try:
        yield beside
        for file in beside.rglob("*"):
            if file.is_file():
                _flush(file)
        _flush_folder(beside)
        if path.exists():
            path.replace(old)
        beside.replace(path)
        _flush_folder(path.parent)
        if old.exists():
            rmtree(old)
    finally:
        rmtree(beside, ignore_errors=True)  # gone already where the block ended well


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text in UTF-8, its line ends as they are; see `replacing`."""
    with replacing(path) as beside:
        beside.write_bytes(text.encode())


def _beside(path: Path) -> Path:
    return path.with_name(f"{BESIDE.replace('*', os.urandom(4).hex())}{path.name}")


def _flush(path: Path) -> None:
    """Wait until the system has written a file to its disk."""
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on its disk; Windows has no such call, and needs none."""
    if _WINDOWS:
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
