"""Reading lexicons from files: tabs, the CMU Pronouncing Dictionary, phrase tables of Moses."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple, get_args

from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.files.text_source import open_text
from s2s_runtime.lexicon.lexicon import Lexicon
from s2s_runtime.spelling import shown

LexiconFormat = Literal["tsv", "cmudict", "moses"]
_VARIANT: Final = re.compile(r"\(\d+\)$")
_SHOWN: Final = 60  # characters of a line in a message
_DIRECT: Final = 2  # of a phrase table's four scores: the probability of the output, the source being given


class _Entry(NamedTuple):
    source: str
    output: str
    weight: float | None = None


def read_lexicon(
    path: str | os.PathLike[str], format: LexiconFormat | None = None, *, encoding: str | None = None
) -> Lexicon:
    """Read a lexicon, for the option `lexicon`.

    Args:
        path: the file, packed by gzip, bzip2 or xz or not. Further lines with a source add to its outputs.
        format: "tsv": source, tab, output and, where there is a third column, its weight. "cmudict": a word, white
            space and its phones, as in the CMU Pronouncing Dictionary, with numbered variants and its comments.
            "moses": source ||| output ||| scores, of which the third is the weight, or else the first. None = the
            first line that is no comment tells.
        encoding: as Python names it; None = UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a line isn't what the format has, names it; or the file holds no entry.
        OptionError: there is no such format, or no such encoding.
    """
    if format is not None and format not in get_args(LexiconFormat):
        raise OptionError(
            f"format: expected {' or '.join(map(repr, get_args(LexiconFormat)))} or None, got {shown(format)}"
        )
    with open_text(path, encoding) as source:
        return Lexicon(_collected(source.lines(), format, source.name))


def _collected(
    lines: Iterable[tuple[int, str]], format: LexiconFormat | None, name: str
) -> Mapping[str, list[str | tuple[str, float]]]:
    entries: defaultdict[str, list[str | tuple[str, float]]] = defaultdict(list)
    for number, line in lines:
        if not line.strip() or (format != "tsv" and line.startswith(";;;")):
            continue
        format = format or _told(line)
        words, parse = _PARSERS[format]
        entry = parse(line)
        if entry is None or not entry.source:
            raise InputError(f"{name}, line {number}: expected {words}, got {line[:_SHOWN]!r}")
        entries[entry.source].append(entry.output if entry.weight is None else (entry.output, entry.weight))
    if not entries:
        raise InputError(f"{name}: expected a lexicon, got no entry")
    return entries


def _told(line: str) -> LexiconFormat:
    """Return the format that a line tells."""
    if " ||| " in line:
        return "moses"
    return "tsv" if "\t" in line else "cmudict"


def _tab_separated(line: str) -> _Entry | None:
    source, *columns = line.split("\t")
    if not columns:
        return None
    weight = _number(columns[1]) if len(columns) > 1 else None
    if len(columns) > 1 and weight is None:
        return None
    return _Entry(source, columns[0], weight)


def _cmudict(line: str) -> _Entry | None:
    word, *phones = line.partition(" #")[0].split()
    return _Entry(_VARIANT.sub("", word), " ".join(phones)) if phones else None


def _moses(line: str) -> _Entry | None:
    fields = [field.strip() for field in line.split("|||")]
    if len(fields) < 2:
        return None
    scores = fields[2].split() if len(fields) > 2 else []
    if not scores:
        return _Entry(fields[0], fields[1])
    weight = _number(scores[_DIRECT] if len(scores) > _DIRECT else scores[0])
    return None if weight is None else _Entry(fields[0], fields[1], weight)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


_PARSERS: Final[Mapping[LexiconFormat, tuple[str, Callable[[str], _Entry | None]]]] = {
    "tsv": ("source<TAB>output or source<TAB>output<TAB>weight", _tab_separated),
    "cmudict": ("a word and its phones", _cmudict),
    "moses": ("source ||| output ||| scores", _moses),
}
