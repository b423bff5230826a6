"""Decoding the lines of files of any size. Only whole lines are written, so that a killed run can be resumed."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Protocol

from numpy.typing import NDArray

from s2s_runtime.decoding.decoding import Decoding
from s2s_runtime.decoding.line_format import LineFormat
from s2s_runtime.decoding.streaming import check_read_ahead, refuse_prefix, stream_pieces
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.files.atomic_write import naming_full_disks
from s2s_runtime.files.text_source import TextSource, check_path, decode_line, line_blocks, open_text
from s2s_runtime.inputs.sources import Row
from s2s_runtime.options import READ_AHEAD, Prefix
from s2s_runtime.results import Result
from s2s_runtime.spelling import shown

_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FileReport:
    """The counts and the time of decoding a file.

    Attributes:
        lines: how many lines were decoded now.
        skipped: how many were decoded already, when resuming.
        seconds: time it took.
        unknown_symbols: how often each symbol occurred that the source vocabulary lacks.
        long_lines: how many lines were longer than allowed and "truncated" or "split".
    """

    lines: int
    skipped: int
    seconds: float
    unknown_symbols: Counter[str] = field(default_factory=Counter)
    long_lines: Counter[str] = field(default_factory=Counter)


class Work(Protocol):
    """A function that makes the output of some lines."""

    def __call__(self, lines: Sequence[str], first: int) -> str:
        """Return the text to write for some lines, before which `first` others came."""
        ...


@dataclass(frozen=True, slots=True)
class DecodeLines:
    """The work of decoding lines.

    Args:
        decoding: the model with its options.
        write: makes lines of results.
        prefix: the forced first tokens of every target, or None.
        keep_empty: whether an empty line gives an empty line; otherwise it is an error.
        known: what the decoder reads step by step, known in advance, by name: a row for each line.
        unknown: a counter of symbols that the vocabulary lacks.
        long_lines: a counter of lines "truncated" and "split".
    """

    decoding: Decoding
    write: LineFormat = field(default_factory=LineFormat)
    prefix: Prefix | None = None
    keep_empty: bool = True
    known: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    long_lines: Counter[str] = field(default_factory=Counter)

    def __call__(self, lines: Sequence[str], first: int) -> str:
        """See `Work`."""
        results = self.results(lines, first)
        return "".join(self.write(first + i + 1, lines[i], result) for i, result in enumerate(results))

    def results(self, lines: Sequence[str], first: int) -> list[Result]:
        """Return the result of each line, before which `first` others came."""
        prefixes = None if self.prefix is None else [self.prefix] * len(lines)
        results = self.decoding.decode(self._inputs(lines, first), prefixes, first)
        for result in results:
            self._count(result)
        return results

    def pieces(self, line: str, first: int) -> Iterator[str]:
        """Yield the text of one line, piece by piece."""
        return stream_pieces(self.decoding, self._inputs([line], first)[0], self.prefix, first, self._count)

    def _count(self, result: Result) -> None:
        if result.unknown_symbols:
            self.unknown.update(result.unknown_symbols)
        if result.left_out or result.parts:
            self.long_lines["truncated" if result.left_out else "split"] += 1

    def _inputs(self, lines: Sequence[str], first: int) -> Sequence[Row | Mapping[str, Row]]:
        alone = self.decoding.manifest.kind == "decoder-only"  # goes on from nothing, or says itself that it can't
        if not self.keep_empty and not alone and not all(line.strip() for line in lines):
            index = first + next(i for i, line in enumerate(lines) if not line.strip())
            raise InputError(
                f"text {index + 1} is empty; leave it out, or give --keep-empty to get an empty line for it"
            )
        rows: Sequence[str | list[int]] = lines
        if self.decoding.manifest.input_vocabulary is None:
            rows = [numbers(line, f"text {first + i + 1}", "source") for i, line in enumerate(lines)]
        if not self.known:
            return rows
        for name, array in self.known.items():
            if len(array) < first + len(rows):
                raise InputError(f"--known: {name!r} has {len(array)} rows; expected one for each text, got more texts")
        source = self.decoding.manifest.source.name
        beside = [{name: array[first + i] for name, array in self.known.items()} for i in range(len(rows))]
        return [{source: row, **other} for row, other in zip(rows, beside, strict=True)]


def numbers(line: str, what: str, side: str) -> list[int]:
    """Return the ids in a line.

    Args:
        line: ids separated by spaces.
        what: what the line is, for the message.
        side: "source" or "target": whose ids they are.

    Raises:
        InputError: the line holds something else.
    """
    try:
        return [int(part) for part in line.split()]
    except ValueError as error:
        raise InputError(
            f"{what}: expected ids separated by spaces, as this bundle has no {side} vocabulary; got {shown(line)}"
        ) from error


def decode_file(
    decoding: Decoding,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    resume: bool,
    read_ahead: int,
    on_progress: Callable[[int, int], None] | None,
    encoding: str | None = None,
) -> FileReport:
    """Decode the lines of a file; see `Model.generate_file`."""
    refuse_prefix(decoding)
    check_read_ahead(read_ahead)
    if on_progress is not None and not callable(on_progress):
        raise OptionError(f"on_progress: expected a function or None, got {shown(on_progress)}")
    if not isinstance(resume, bool):
        raise OptionError(f"resume: expected True or False, got {shown(resume)}")
    if decoding.options.on_error != "raise":
        raise OptionError(
            f"on_error: expected 'raise' for generate_file, which writes a line a text, got "
            f"{decoding.options.on_error!r}; generate_iter gives results with their errors"
        )
    if decoding.options.num_hypotheses > 1:
        raise OptionError(
            f"num_hypotheses: expected 1 for generate_file, which writes a line a text, got "
            f"{decoding.options.num_hypotheses}; generate_iter gives them all"
        )
    work, start = DecodeLines(decoding), time.perf_counter()
    with open_text(source, encoding) as lines:
        if is_same_file(source, target):
            raise OptionError(f"target: expected another file than the source, got {target}")
        with open_output(target, resume=resume) as output:
            skipped = count_lines(target) if resume else 0
            done = run_lines(lines, output, work, skip=skipped, read_ahead=read_ahead, on_progress=on_progress)
    return FileReport(done, skipped, time.perf_counter() - start, work.unknown, work.long_lines)


def run_lines(
    source: TextSource,
    target: IO[bytes],
    work: Work,
    *,
    skip: int = 0,
    read_ahead: int = READ_AHEAD,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Do the work for each line and write what it gives, in order and as it is ready.

    Args:
        source: the lines.
        target: written and flushed after each lot of lines.
        work: makes the output of some lines.
        skip: lines to leave out at the start.
        read_ahead: most lines worked on together; fewer where the source has fewer ready, as a pipe or a terminal.
        on_progress: called with the lines done and the bytes of the source they took, skipped ones included;
            of a packed source those of the packed file.

    Returns:
        How many lines were worked on.

    Raises:
        InputError: a line isn't UTF-8, or there are fewer lines than to skip.
    """
    first = size = 0
    for window in read_windows(source, read_ahead):
        lines = window[max(0, skip - first) :]
        first += len(window) - len(lines)
        if lines:
            texts = [decode_line(line, f"text {first + i + 1}") for i, line in enumerate(lines)]
            write_all(target, work(texts, first).encode())
        first += len(lines)
        size += sum(map(len, window))
        if on_progress is not None:
            on_progress(first, source.position(size))
    if first < skip:
        raise InputError(f"--resume: the output holds {skip} lines but the input only {first}; is it another input?")
    return first - skip


def read_windows(blocks: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """Yield lists of lines with their ends: the next `most` of a file, or those that a pipe or terminal has by now.

    While one list is decoded, a pipe fills: lines written slowly are answered at once, lines written quickly come in
    large batches.
    """
    for lines in line_blocks(blocks):
        for start in range(0, len(lines), most):
            yield lines[start : start + most]


def is_same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Return whether two paths lead to one file.

    Raises:
        InputError: one is no path.
    """
    for path in (one, other):
        check_path(path)
    one, other = Path(one).resolve(), Path(other).resolve()
    return one == other or (one.exists() and other.exists() and one.samefile(other))


def write_all(target: IO[bytes], data: bytes) -> None:
    """Write and flush, so that readers and a resumed run see whole lines."""
    left = memoryview(data)
    with naming_full_disks(getattr(target, "name", "the output")):
        while left:
            left = left[target.write(left) :]
        target.flush()


def open_output(path: str | os.PathLike[str], *, resume: bool) -> IO[bytes]:
    """Open a file to write lines into: from the start, or behind the whole lines that it holds.

    The file is unbuffered: what is written reaches the system at once, however the process ends.
    """
    if not resume or not Path(path).exists():
        return Path(path).open("wb", buffering=0)
    file = Path(path).open("r+b", buffering=0)  # noqa: SIM115  # given to the caller
    file.truncate(_whole_lines_end(file))
    file.seek(0, os.SEEK_END)
    return file


def _whole_lines_end(file: IO[bytes]) -> int:
    """Return the offset at which the last whole line of a file ends; a full disk may have torn the line behind it."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _READ_BYTES)
        file.seek(start)
        offset = file.read(end - start).rfind(b"\n")
        if offset >= 0:
            return start + offset + 1
        end = start
    return 0


def count_lines(path: str | os.PathLike[str]) -> int:
    """Count the line ends in a file."""
    with Path(path).open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_READ_BYTES), b""))


def drop_last_text(path: str | os.PathLike[str]) -> int:
    """Remove the last text's lines from an output with several numbered lines per text: some may be missing.

    Returns:
        How many texts are left.

    Raises:
        InputError: the last line doesn't begin with a number and a tab.
    """
    with Path(path).open("r+b") as file:
        end = last = _whole_lines_end(file)
        number: bytes | None = None
        for start, line in _lines_backwards(file, end):
            text = line.partition(b"\t")[0]
            if not text.isdigit():
                raise InputError(
                    f"--resume: {path}: expected lines that begin with a number and a tab, got {shown(line)}"
                )
            if number is not None and text != number:
                break
            number, last = text, start
        file.truncate(last)
    return 0 if number is None else int(number) - 1


def _lines_backwards(file: IO[bytes], end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the content of each line before `end`, the last line first."""
    while end > 0:
        start, block = end, b""
        while start > 0 and b"\n" not in block[:-1]:
            size = min(1 << 12, start)
            start -= size
            file.seek(start)
            block = file.read(size) + block
        offset = block.rfind(b"\n", 0, -1) + 1
        yield start + offset, block[offset:]
        end = start + offset
