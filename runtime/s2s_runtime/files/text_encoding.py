"""Which encoding bytes look like that are not UTF-8, and what to say then."""

from __future__ import annotations

import codecs
import re
from typing import Final

from s2s_runtime.errors import OptionError
from s2s_runtime.spelling import shown

_UTF_8: Final = frozenset({"utf-8", "utf-8-sig"})
_TOLD: Final = 4  # characters of UTF-16 at least, to be told without byte order mark
_SHOWN: Final = 40  # characters of a line in a message
_MOSTLY: Final = 0.4  # every second byte of UTF-16 is 0 where most characters are of ASCII
_LATIN_LETTERS: Final = 0.5  # of the letters of a text in a Latin script, most are of ASCII

_NO_TEXT: Final = (
    (b"PK\x03\x04", "a zip archive, or a workbook of Excel or LibreOffice", "unpack it, or save the sheet as TSV"),
    (b"\xd0\xcf\x11\xe0", "a workbook or document of old Microsoft Office", "save it as a text file in UTF-8"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it with zstd -d"),
    (b"%PDF-", "a PDF document", "save its text in UTF-8"),
)


def find_encoding(name: str | None) -> str | None:
    """Return the codec's own name of an encoding, or None for UTF-8, which is read without decoding.

    Args:
        name: as people write it ("latin-1", "UTF16", "cp1252"); None = UTF-8.

    Raises:
        OptionError: Python has no such encoding, or it is not an encoding of text.
    """
    if name is None:
        return None
    if not isinstance(name, str):
        raise OptionError(f"encoding: expected the name of an encoding, or None, got {shown(name)}")
    try:
        "".encode(name)  # a LookupError too for codecs between bytes, such as base64
        codec = codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError) as error:
        raise OptionError(
            f"encoding: expected an encoding that Python knows, such as utf-16, latin-1 or cp1252, got {shown(name)}"
        ) from error
    return None if codec in _UTF_8 else codec


def what_else(head: bytes) -> str | None:
    """Say what a file looks like that can't be a text in UTF-8, and what to do; return None where it may be one.

    >>> what_else(codecs.BOM_UTF16_LE + "Go.".encode("utf-16-le"))
    'it looks like UTF-16, as Excel writes "Unicode text"; give --encoding utf-16'
    """
    for magic, what, advice in _NO_TEXT:
        if head.startswith(magic):
            return f"it is no text but {what}; {advice}"
    name = _wide(head)
    if name is None:
        return None
    excel = ', as Excel writes "Unicode text"' if name == "utf-16" else ""
    return f"it looks like {name.upper()}{excel}; give --encoding {name}"


def not_utf_8(error: UnicodeDecodeError) -> str:
    """Say what is wrong with a line that is not UTF-8, what it looks like and what to do.

    Args:
        error: raised when the whole line was decoded; it holds that line.
    """
    line = error.object
    reason = f"not UTF-8 (byte {line[error.start]:#04x} at {error.start + 1}: {error.reason})"
    before = line[: error.start].decode()
    if not before.isascii():
        return f"{reason}, though it begins so; the line is damaged or of another file: mend or remove it"
    name = _western(line)
    if name is None:
        return f"{reason}; give the encoding it is in, such as --encoding cp1251, shift_jis or gb18030"
    return f"{reason}; it looks like {name} ({line.decode(name).strip()[:_SHOWN]!r}): give --encoding {name}"


def _wide(head: bytes) -> str | None:
    """Return the name of UTF-16 or UTF-32 where the byte order mark, or where the zeros are, tells it; else None."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    half = len(head) // 2
    if half < _TOLD:
        return None
    even, odd = (head[start : 2 * half : 2].count(0) / half for start in (0, 1))
    if max(even, odd) < _MOSTLY or min(even, odd) > _MOSTLY / 2:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _western(line: bytes) -> str | None:
    """Return the name of Latin-1, or of Windows's variant of it, where most letters are plain ones; else None."""
    high = re.findall(rb"[\x80-\xff]", line)
    letters = len(re.findall(rb"[A-Za-z]", line))
    if len(high) > _LATIN_LETTERS * (letters + len(high)):
        return None
    try:
        line.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252" if any(byte < b"\xa0" for byte in high) else "latin-1"
