"""Texts as people have them, streamed: packed or not, in any encoding, lines ended in any way."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Final, cast

from s2s_runtime.errors import InputError
from s2s_runtime.files.compression import BlockReader, read_unpacked
from s2s_runtime.files.text_encoding import find_encoding, not_utf_8, what_else
from s2s_runtime.spelling import shown

OnProgress = Callable[[int, int], object]
_HEAD: Final = 1 << 20  # bytes in which a line feed is looked for, before carriage returns are taken for line ends


class TextSource:
    r"""A stream of text: blocks of bytes in UTF-8 without byte order mark, lines ended by "\n" or "\r\n".

    What is packed by gzip, bzip2 or xz, told by its first bytes, is unpacked. A text whose first 1 MiB holds carriage
    returns and no line feed has the line ends of old Macs, which become line feeds; elsewhere a carriage return inside
    a line is part of it. Nothing is held back: of a pipe each line comes as it is written.

    Args:
        file: opened for bytes, buffered, at its beginning.
        name: what to call it in messages.
        encoding: see `find_encoding`.
        on_progress: called after each block with the bytes of the file that were read, and its size.

    Attributes:
        name: see the arguments.
        size: bytes of the file as it lies on the disk, packed; 0 of what has no size, such as a pipe.

    Raises:
        InputError: while it is read: it is no text, looks like another encoding, or is damaged.
        OptionError: there is no such encoding.
    """

    def __init__(
        self, file: IO[bytes], name: str, encoding: str | None = None, on_progress: OnProgress | None = None
    ) -> None:
        self.name = name
        self._on_progress = on_progress
        self.size = _size(file)
        self._encoding = find_encoding(encoding)
        self._file = file
        self._given = 0  # bytes given away so far
        self._blocks = read_unpacked(cast("BlockReader", file), self.name)
        if self._encoding is not None:
            self._blocks = self._decoded(self._blocks, self._encoding)
        self._head: bytes | None = None

    def begin(self) -> None:
        """Read the first block, so that the error of a file that is no text comes before anything is done with it."""
        if self._head is not None:
            return
        head = b""
        for block in self._blocks:  # no line is whole before there is a line feed: waiting for it delays nothing
            head += block
            if b"\n" in head or len(head) >= _HEAD:
                break
        problem = what_else(head) if self._encoding is None else None
        if problem is not None:
            raise InputError(f"{self.name}: {problem}")
        self._head = head.removeprefix(codecs.BOM_UTF8)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks, none of them empty."""
        self.begin()
        head = self._head or b""
        old_mac = b"\r" in head and b"\n" not in head
        for block in chain([head], self._blocks):
            if block:
                self._given += len(block)
                if self._on_progress is not None:
                    self._on_progress(self.position(), self.size)
                yield block.replace(b"\r", b"\n") if old_mac else block

    def position(self, taken: int | None = None) -> int:
        """Return how many bytes of `size` were read once `taken` bytes of those handed out were used; None = all."""
        if not self.size or not self._given:
            return 0
        return self._file.tell() * (self._given if taken is None else taken) // self._given

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the number of each line, from 1, and its text without the line end.

        Raises:
            InputError: a line isn't UTF-8; names it.
        """
        for number, line in enumerate(chain.from_iterable(line_blocks(self)), 1):
            yield number, decode_line(line, f"{self.name}, line {number}")

    def _decoded(self, blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
        """Yield the blocks, converted from this encoding to UTF-8."""
        decoder, line = codecs.getincrementaldecoder(encoding)(), 1
        for block in chain(blocks, [b""]):
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeError as error:
                at = "" if line == 1 else f", line {line} or behind it"
                raise InputError(f"{self.name}{at}: not {encoding} ({error}); give the encoding it is in") from error
            line += text.count("\n")
            yield text.encode(errors="surrogatepass")  # halves of characters are refused with their line


def check_path(path: object) -> None:
    """Let the path of a file pass.

    Raises:
        InputError: it is none.
    """
    try:
        sound = isinstance(path, str | os.PathLike) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # half a character
        sound = False
    if not sound:
        raise InputError(f"expected the path of a file, got {shown(path)}")


@contextmanager
def open_text(
    path: str | os.PathLike[str], encoding: str | None = None, on_progress: OnProgress | None = None
) -> Iterator[TextSource]:
    """Open a text file and yield it as a stream.

    Args:
        path: the file.
        encoding: see `find_encoding`.
        on_progress: see `TextSource`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is no text, or looks like another encoding.
        OptionError: there is no such encoding.
    """
    check_path(path)
    with Path(path).open("rb") as file:
        source = TextSource(file, str(path), encoding, on_progress)
        source.begin()
        yield source


def read_text(path: str | os.PathLike[str], encoding: str | None = None) -> str:
    """Return all of a text, every line ended by a line feed; see `open_text`."""
    with open_text(path, encoding) as source:
        return "".join(f"{line}\n" for _, line in source.lines())


def line_blocks(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield lists of whole lines with their ends, as blocks come; only the last line of all may have no end."""
    torn: list[bytes] = []  # parts of the line that the last block ended in
    for block in blocks:
        lines = block.splitlines(keepends=True) if b"\r" not in block else _split(block)
        unfinished = None if block.endswith(b"\n") else lines.pop()
        if lines and torn:
            lines[0] = b"".join([*torn, lines[0]])
            torn = []
        if unfinished is not None:
            torn.append(unfinished)
        if lines:
            yield lines
    if torn:
        yield [b"".join(torn)]


def decode_line(line: bytes, where: str) -> str:
    """Return a line as text, without its end.

    Raises:
        InputError: it isn't UTF-8; the message begins with `where`.
    """
    try:
        return line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: {not_utf_8(error)}") from error


def _split(block: bytes) -> list[bytes]:
    """Return the lines of a block with their ends; a carriage return alone is part of a line and ends none."""
    parts = block.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _size(file: IO[bytes]) -> int:
    try:
        status = os.fstat(file.fileno())
    except OSError:  # it is in memory
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
