"""Vocabularies rebuilt from the pairs a model was trained on, as the tutorial scripts build them.

Those scripts read the first rows of a file of pairs, wrap each target in a start and an end character, and give the
sorted set of characters of each side the ids 0, 1, 2, ... They save none of it, but the pairs tell it again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from s2s_export.errors import ExportError
from s2s_runtime.errors import raised_as
from s2s_runtime.files.pair_rows import LeftOut, read_pairs
from s2s_runtime.files.text_source import open_text
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Unit, Vocabulary, VocabularyFile

_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\s": " "}


@dataclass(frozen=True, kw_only=True)
class PairsRecipe:
    """How a script made its vocabularies of pairs.

    Args:
        rows: how many rows it read from the top.
        unit: "char", "word" or "symbol".
        start: symbol before each target, or None.
        end: symbol after it, or None.
        encoding: of the file; None = UTF-8.
    """

    rows: int = 10_000
    unit: Unit = "char"
    start: str | None = None
    end: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ExportError(f"rows: expected at least 1, got {self.rows}")
        if self.unit not in ("char", "word", "symbol"):
            raise ExportError(f"unit: expected 'char', 'word' or 'symbol', got {self.unit!r}")
        for name in ("start", "end"):
            symbol = getattr(self, name)
            if symbol == "" or (symbol is not None and self.unit == "char" and len(symbol) > 1):
                raise ExportError(f"{name}: expected one character (unit char), got {symbol!r}")


def unescape(text: str | None) -> str | None:
    r"""Return a symbol that was typed in a shell: `\t`, `\n` and `\s` stand for tab, line feed and space."""
    return text if text is None else _ESCAPES.get(text, text)


def vocabularies_from_pairs(path: str | os.PathLike[str], recipe: PairsRecipe) -> tuple[VocabularyFile, int]:
    """Rebuild both vocabularies from a file of pairs.

    Args:
        path: text, packed by gzip, bzip2 or xz or not, one pair per line: source, tab, target (further columns are
            ignored). Lines without a pair are passed over.
        recipe: how the script read it.

    Returns:
        The vocabularies, which say nothing of padding, with the longest target (end symbol counted); and the longest
        source in tokens.

    Raises:
        ExportError: the file has no pairs, a line has no tab, or it isn't in that encoding.
        FileNotFoundError: there is no such file.
    """
    pairs = pairs_of_file(path, recipe.rows, recipe.encoding)
    cut = cutter(recipe.unit)
    sources = [cut.split(source) for source, _ in pairs]
    wrappers = [symbol for symbol in (recipe.start, recipe.end) if symbol is not None]
    targets = [cut.split(target) for _, target in pairs]
    source = Vocabulary(recipe.unit, _symbols(sources))
    target = Vocabulary(recipe.unit, _symbols([*targets, wrappers]), start=recipe.start, end=recipe.end)
    longest = max(map(len, targets)) + (recipe.end is not None)
    return VocabularyFile(source, target, PaddingPolicy(masked=False), longest), max(map(len, sources))


def cutter(unit: Unit) -> Vocabulary:
    """Return a vocabulary that cuts text by the unit; which symbols it knows plays no part in that."""
    return Vocabulary(unit, ("any",))


def _symbols(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({symbol for row in rows for symbol in row}))


def pairs_of_file(
    path: str | os.PathLike[str], rows: int | None = None, encoding: str | None = None
) -> list[tuple[str, str]]:
    """Return the pairs of a file's first rows, or of all of them.

    Scripts split lines at the tab and keep empty targets, so those count here too.

    Raises:
        ExportError: the file has no pairs, a line has no tab, or it isn't in that encoding.
        FileNotFoundError: there is no such file.
    """
    with raised_as(ExportError), open_text(path, encoding) as opened:
        return [(source, target) for _, source, [target] in read_pairs(opened, LeftOut(), rows=rows, keep_empty=True)]
