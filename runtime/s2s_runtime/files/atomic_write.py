"""Writing a file or a folder so that it is whole or absent, whatever ends the process or the machine."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Final

_ANY: Final = "[0-9a-f]" * 8  # as a pattern of `Path.glob`, of that length: behind it begins a name of somebody's own
_BESIDE: Final = f".tmp-{_ANY}-"  # what stands before the name of what is written, in that of a folder while it is
_OLD: Final = f".old-{_ANY}-"  # likewise, before the name of a folder while another takes its place
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of linux/fs.h
_UNWRITTEN: Final = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}
_WINDOWS: Final = os.name == "nt"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path to write a file to, hidden beside `path`; where the block ends well, the file is put at `path`.

    It has the name of `path`, for writers that go by the ending. The content is on the disk before the file is renamed:
    after a loss of power there is the old file or the new one. It lies in a folder for this block alone, which is
    deleted with what else is in it; where the process is killed before, the next that writes to `path` does that.

    Raises:
        OSError: it can't be written; names `path`.
    """
    path = Path(path)
    with _hidden_folder(path) as folder:
        beside = folder / path.name
        with _naming(beside, path):
            yield beside
            _flush(beside)
            beside.replace(path)
            _flush_folder(path.parent)


@contextmanager
def _hidden_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside `path`, delete it at the end, and hold a lock on it, by which others know that it is in use.

    Raises:
        OSError: it can't be made; names `path`.
    """
    if path.name:
        clear_leftovers(path.parent, escape(path.name))
    while True:
        beside = _named(path, _BESIDE)
        with _naming(beside, path):
            beside.mkdir()
        try:
            lock = _lock(beside)
        except BlockingIOError:  # somebody took it for a leftover in the very moment
            continue
        try:
            yield beside
            return
        finally:
            importlib.import_module("shutil").rmtree(beside, ignore_errors=True)  # a folder above may have vanished
            if lock is not None:
                os.close(lock)


def clear_leftovers(folder: Path, names: str) -> None:
    """Delete what killed processes left of files and folders that they wrote; those of living ones stay.

    Living ones hold a lock, which the system takes back however they end. Where the system or the file system has no
    such locks, nothing is deleted.

    Args:
        folder: where they were to stand; it may be missing.
        names: what they were to be called, as a pattern of `Path.glob`.
    """
    for left in folder.glob(f"{_BESIDE}{names}"):
        with suppress(BlockingIOError):
            lock = _lock(left)
            if lock is not None:
                importlib.import_module("shutil").rmtree(left, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder and return the open file that holds the lock, None where there are no locks.

    Raises:
        BlockingIOError: another process has the lock, or deleted the folder.
    """
    if _WINDOWS:
        return None
    fcntl, opened = importlib.import_module("fcntl"), None
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(opened), os.stat(folder)):
            held, opened = opened, None
            return held
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:  # a file of somebody's own, or a file system without locks
        return None
    finally:
        if opened is not None:
            os.close(opened)
    raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(folder))


@contextmanager
def _naming(beside: Path, path: Path) -> Iterator[None]:
    """Let errors of the block about `beside`, or about something in it, name `path`: nobody gave the other name."""
    try:
        with naming_full_disks(path):
            yield
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        if named is None or (named != beside and beside not in named.parents):
            raise
        raise OSError(error.errno, error.strerror, str(path / named.relative_to(beside))) from error


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside `path`; where the block ends well, it takes the place of `path`, else it is deleted.

    Its files are on the disk before. Where the system can exchange two names, there is no moment without a folder at
    `path`; elsewhere the old one has another name for a moment, by which `left_by_exchange` finds it should the process
    end in it. The old folder is deleted at the end. The next writing deletes what a killed process left.

    Raises:
        OSError: the folder can't be made or written; names `path`.
    """
    finish_exchange(path)
    try:
        with _hidden_folder(path) as beside, _naming(beside, path):
            yield beside
            for item in beside.rglob("*"):
                (_flush if item.is_file() else _flush_folder)(item)
            _flush_folder(beside)
            if not path.exists():
                beside.replace(path)
            elif not _exchanged(beside, path):
                path.replace(_named(path, _OLD))
                beside.replace(path)
            _flush_folder(path.parent)
    finally:
        finish_exchange(path)


def left_by_exchange(path: Path) -> Path | None:
    """Return the folder that stood at `path` before a process ended while it exchanged it; None where there is none."""
    if path.exists() or not path.name:
        return None
    return max(path.parent.glob(f"{_OLD}{escape(path.name)}"), key=lambda old: old.stat().st_mtime, default=None)


def finish_exchange(path: Path) -> None:
    """Give a folder its name back that `left_by_exchange` finds, and delete those that another took the place of.

    Raises:
        OSError: it can't be renamed.
    """
    if (left := left_by_exchange(path)) is not None:
        left.replace(path)
    if path.name:
        for old in path.parent.glob(f"{_OLD}{escape(path.name)}"):
            importlib.import_module("shutil").rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step, where the system can, and return whether it could.

    Raises:
        OSError: it could, but for these not.
    """
    if sys.platform != "linux":
        return False
    ctypes = importlib.import_module("ctypes")
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}:  # an old kernel, or a file system that can't
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextmanager
def naming_full_disks(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an error of writing in the block name the file: of a full disk or a broken one the system tells no name."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITTEN:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text in UTF-8, its line ends as they are; see `replacing`."""
    with replacing(path) as beside:
        beside.write_bytes(text.encode())


def _named(path: Path, pattern: str) -> Path:
    return path.with_name(f"{pattern.replace(_ANY, os.urandom(4).hex())}{path.name}")


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
