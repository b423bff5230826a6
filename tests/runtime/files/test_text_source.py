"""Texts as people have them: packed, in other encodings, with line ends of any system, or no texts at all."""

import bz2
import codecs
import gzip
import io
import lzma
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.files.text_source import TextSource, open_text

PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "nothing": bytes,
    "gzip": partial(gzip.compress, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
TEXT: Final = "Où êtes-vous ?\nÀ Köln. \U0001f600\n\nZoë\u2028x\x0b"
LINES: Final = ["Où êtes-vous ?", "À Köln. \U0001f600", "", "Zoë\u2028x\x0b"]


def lines(content: bytes, encoding: str | None = None) -> list[str]:
    return [line for _, line in TextSource(io.BytesIO(content), "it", encoding).lines()]


@pytest.mark.parametrize("encoding", [None, "utf-8-sig", "utf-16", "UTF-16-BE", "utf-32", "gb18030", "utf-7"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packer", PACKERS)
def test_lines_are_the_same_however_a_text_is_kept(packer: str, end: str, encoding: str | None) -> None:
    """Packed or not, in any encoding, with the line ends of any system: the same lines."""
    content = PACKERS[packer](TEXT.replace("\n", end).encode(encoding or "utf-8"))
    assert lines(content, encoding) == LINES


@given(
    text=st.text(alphabet="ab\r\né\U0001f600\u2028", max_size=60).filter(lambda text: "\n" in text),
    packer=st.sampled_from(list(PACKERS)),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-32-be"]),
    cuts=st.lists(st.integers(0, 200)),
)
def test_cuts_between_reads_change_nothing(text: str, packer: str, encoding: str, cuts: list[int]) -> None:
    """However a stream comes in pieces, its lines are those of the whole, cut at line feeds only."""
    content = PACKERS[packer](text.encode(encoding))
    places = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})
    pieces = [content[one:two] for one, two in pairwise(places)]
    given = None if encoding == "utf-8" else encoding
    found = [line for _, line in TextSource(io.BufferedReader(_Dribble(pieces)), "it", given).lines()]
    assert found == [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]


class _Dribble(io.RawIOBase):
    """A stream that gives its content in given pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """The next piece, as far as it fits."""
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        if piece[size:]:
            self._pieces.insert(0, piece[size:])
        return size


def test_files_behind_one_another_are_one() -> None:
    """As crawls are packed: every part is read."""
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        assert lines(pack(b"a\nb") + pack(b"c\nd\n")) == ["a", "bc", "d"]


def test_a_return_inside_a_line_is_part_of_it() -> None:
    """Only a text without any line feed near its beginning has the line ends of old Macs."""
    assert lines(b"a\rb\nc\r\nd\re") == ["a\rb", "c", "d\re"]
    assert lines(b"a\rb\rc") == ["a", "b", "c"]
    assert lines(b"\r" + b"a" * (1 << 20) + b"\n") == ["", "a" * (1 << 20)]


def test_texts_that_begin_like_packed_files_are_texts() -> None:
    """What is packed is told by more than two letters."""
    assert lines(b"BZh9 is a name\n") == ["BZh9 is a name"]
    assert lines(b"") == []
    assert lines(b"a\0b\n\0") == ["a\0b", "\0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (codecs.BOM_UTF16_LE + "Go.\tVa".encode("utf-16-le"), 'it looks like UTF-16, as Excel writes "Unicode text"; '),
        ("Go.\tVa\n".encode("utf-16"), "give --encoding utf-16"),
        ("Go.\tVa\n".encode("utf-16-be"), "it looks like UTF-16-BE; give --encoding utf-16-be"),
        ("Go.\tVa\n".encode("utf-32"), "it looks like UTF-32; give --encoding utf-32"),
        ("a\nOù es-tu ?\n".encode("latin-1"), "it, line 2: not UTF-8 (byte 0xf9 at 2: invalid start byte); it "),
        ("a\nOù es-tu ?\n".encode("latin-1"), "looks like latin-1 ('Où es-tu ?'): give --encoding latin-1"),
        ("C\u2019est ça\n".encode("cp1252"), "it looks like cp1252 ('C\u2019est ça'): give --encoding cp1252"),
        ("Как дела?\n".encode("cp1251"), "give the encoding it is in, such as --encoding cp1251, shift_jis or gb18030"),
        (
            "お元気ですか\n".encode("shift_jis"),
            "give the encoding it is in, such as --encoding cp1251, shift_jis or gb18",
        ),
        ("Où ".encode() + b"\xea" + b"s\n", "though it begins so; the line is damaged or of another file: mend or rem"),
        (
            b"PK\x03\x04...",
            "it is no text but a zip archive, or a workbook of Excel or LibreOffice; unpack it, or save",
        ),
        (PACKERS["gzip"](b"a\n" * 9999)[:-20], "it: damaged or cut off (gzip: "),
        (bz2.compress(b"a\n" * 9999)[:-5], "it: damaged or cut off (bz2: "),
        (lzma.compress(b"a\n" * 9999)[:-20], "it: damaged or cut off (lzma: "),
        (PACKERS["gzip"](b"a\n" * 9999)[:20] + b"damaged" * 9, "it: damaged or cut off (gzip: "),
        (bz2.compress(b"a\n" * 9999)[:20] + b"damaged" * 9, "it: damaged or cut off (bz2: "),
        (lzma.compress(b"a\n" * 9999)[:30] + b"damaged" * 9, "it: damaged or cut off (lzma: "),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_no_text_in_utf_8_says_what_it_looks_like(content: bytes, message: str) -> None:
    """One line: where, what it looks like, how it reads then, and what to give."""
    with pytest.raises(InputError) as caught:
        lines(content)
    assert str(caught.value).startswith("it")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-9000", "base64", "rot13", "", "a\0b"])
def test_an_encoding_that_does_not_exist_is_an_error(encoding: str) -> None:
    """Before anything is read."""
    with pytest.raises(OptionError, match="encoding: expected an encoding that Python knows, such as utf-16"):
        lines(b"a\n", encoding)


def test_a_wrong_encoding_is_an_error() -> None:
    """It is named, and where reading ended."""
    with pytest.raises(InputError, match="it: not utf-16 "):
        lines("a\né\n".encode("latin-1"), "utf-16")
    with pytest.raises(InputError, match="it: not cp1252 "):
        lines(b"a\n\x81\n", "cp1252")


@pytest.mark.parametrize("packer", PACKERS)
def test_progress_counts_bytes_of_the_file_as_it_lies_there(tmp_path: Path, packer: str) -> None:
    """It grows to the size of the packed file; half of the text is half of that."""
    path, seen = tmp_path / "text", list[tuple[int, int]]()
    path.write_bytes(PACKERS[packer]("".join(f"{i}\n" for i in range(500_000)).encode()))
    with open_text(path, None, lambda done, size: seen.append((done, size))) as source:
        taken = sum(map(len, source))
        assert (source.position(), source.position(taken // 2)) == (source.size, source.size // 2)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 2
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


def test_a_line_of_a_pipe_comes_as_it_is_written() -> None:
    """Nothing waits for more than a line: not the look at the beginning, nor what unpacks or decodes."""
    code = (
        "import sys\nfrom s2s_runtime.files.text_source import TextSource\n"
        "for _, line in TextSource(sys.stdin.buffer, 'it', sys.argv[1] or None).lines(): print(line, flush=True)"
    )
    for encoding in ("", "utf-16-le"):
        process = subprocess.Popen(
            [sys.executable, "-c", code, encoding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            for text in ("abc", "é"):
                process.stdin.write(f"{text}\n".encode(encoding or "utf-8"))
                assert process.stdout.readline().decode() == f"{text}\n"
            process.stdin.close()
