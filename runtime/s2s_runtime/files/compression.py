"""Files packed by gzip, bzip2 or xz, unpacked block by block."""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Iterator
from typing import Any, Final, Protocol

from s2s_runtime.errors import InputError

BLOCK: Final = 1 << 20  # bytes read at most at once

# What unpacks a file that begins so: module, class. The digit is the level of bzip2; "BZh9" alone may begin a text.
_PACKERS: Final = (
    (b"\x1f\x8b\x08", "gzip", "GzipFile"),
    (b"BZh91AY&SY", "bz2", "BZ2File"),
    (b"\xfd7zXZ\x00", "lzma", "LZMAFile"),
)


class BlockReader(Protocol):
    """Something that blocks of bytes can be read from, such as a buffered file."""

    def read1(self, size: int = ..., /) -> bytes:
        """Return what one read of the system gives, b"" at the end."""
        ...


def read_unpacked(file: BlockReader, name: str) -> Iterator[bytes]:
    """Yield a file's content in blocks, unpacked where its first bytes say that it is packed.

    Packed files put behind one another, as crawls are, are all read. From a pipe, each block comes as soon as it is
    written.

    Args:
        file: at its beginning.
        name: what to call it in messages.

    Raises:
        InputError: what is packed is damaged or cut off.
        OSError: the file can't be read.
    """
    head = file.read1(BLOCK)
    while head and any(len(head) < len(magic) and _begins(magic, head) for magic, _, _ in _PACKERS):
        more = file.read1(BLOCK)
        if not more:
            break
        head += more
    for magic, module, kind in _PACKERS:
        if len(head) >= len(magic) and _begins(magic, head):
            yield from _unpacked(io.BufferedReader(_Rejoined(head, file)), name, module, kind)
            return
    while head:
        yield head
        head = file.read1(BLOCK)


def _begins(magic: bytes, head: bytes) -> bool:
    """Return whether `head` and this magic number are equal as far as the shorter of them goes."""
    level = head[:3] + b"9" + head[4:] if magic.startswith(b"BZh") and head[3:4] in b"123456789" else head
    return level.startswith(magic[: len(head)])


def _unpacked(file: io.BufferedReader, name: str, module: str, kind: str) -> Iterator[bytes]:
    packing = importlib.import_module(module)  # here, as few files are packed
    damaged = (EOFError, zlib.error, *([packing.LZMAError] if module == "lzma" else []))
    try:
        with getattr(packing, kind)(**{"fileobj" if module == "gzip" else "filename": file}) as unpacked:
            yield from iter(lambda: unpacked.read1(BLOCK), b"")
    except damaged as error:
        raise _damaged(name, module, error) from error
    except OSError as error:
        if error.errno is not None:  # the disk's fault
            raise
        raise _damaged(name, module, error) from error


def _damaged(name: str, module: str, error: Exception) -> InputError:
    return InputError(f"{name}: damaged or cut off ({module}: {error}); pack or fetch it again")


class _Rejoined(io.RawIOBase):
    """A file whose first block was read already."""

    def __init__(self, head: bytes, file: BlockReader) -> None:
        self._next = head
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as one read of the system does."""
        block = self._next or self._file.read1(len(buffer))
        taken, self._next = block[: len(buffer)], block[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)
