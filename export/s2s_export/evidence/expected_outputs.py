"""Outputs that the author's own loop gave: how they are read, and whether a set-up gives every one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from s2s_export.errors import ExportError
from s2s_export.evidence.setups import SetUp
from s2s_export.evidence.training_pairs import CHARACTER_ENDS, WORD_ENDS
from s2s_export.options import ExportOptions
from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime import Model
from s2s_runtime.bundle.manifest_file import Manifest
from s2s_runtime.files.text_source import open_text
from s2s_runtime.results import Result
from s2s_runtime.search.step_model import StepModel
from s2s_runtime.spelling import option

_INPUT: Final = "Input sentence:"
_DECODED: Final = "Decoded sentence:"
_SHOWN: Final = 30
_BEYOND: Final = 2  # tokens decoded beyond the longest expected output, to see which were cut


@dataclass(frozen=True)
class Expected:
    """One output of the author's loop.

    Attributes:
        source: what the loop read.
        output: what it gave, without the symbol that ended it.
        ended: whether such a symbol ended it; None where that isn't known.
    """

    source: str
    output: str
    ended: bool | None = None


def read_expected(
    given: str | os.PathLike[str] | Sequence[tuple[str, str]], encoding: str | None = None
) -> list[Expected]:
    """Read expected outputs: a file or its text, as lines or as the tutorial's script prints them, or pairs of texts.

    Raises:
        ExportError: there are none, or a line is of neither form.
        FileNotFoundError: there is no such file.
    """
    if isinstance(given, str | os.PathLike):
        name, lines = _lines(given, encoding)
        outputs = list(_printed(lines) if any(line.startswith(_INPUT) for line in lines) else _tabbed(lines, name))
    else:
        name, outputs = "the list", [Expected(str(source), _bare(str(output))) for source, output in given]
    if not outputs:
        raise ExportError(
            f"{option('expect')}: no outputs in {name}; expected lines of source, tab, output, or what the tutorial's "
            f"script prints ({_INPUT} ..., {_DECODED} ...)"
        )
    return outputs


def _lines(given: str | os.PathLike[str], encoding: str | None) -> tuple[str, list[str]]:
    """Return the name and the lines of a file, or of a text given in its place."""
    if isinstance(given, str) and ("\n" in given or "\t" in given):
        return "the text", [line.removesuffix("\r") for line in given.split("\n")]
    with open_text(Path(given), encoding) as text:
        return str(given), [line for _, line in text.lines()]


def with_expected(options: ExportOptions) -> ExportOptions:
    """Return options with a source length and a start symbol to begin with, taken from the expected outputs.

    With these a model can be taken apart; which length and start are right is found out by the outputs later.
    """
    vocabulary = options.vocabulary
    if options.expect is None or vocabulary is None:
        return options
    if vocabulary.source is not None and options.longest_source is None:
        texts = [expected.source for expected in read_expected(options.expect, options.encoding)]
        options = replace(options, longest_source=max(len(vocabulary.source.split(text)) for text in texts))
    if options.first_token is None and options.start_symbol is None and vocabulary.target is not None:
        symbols = vocabulary.target.symbols
        usual = (ends for ends in (*CHARACTER_ENDS, *WORD_ENDS) if set(ends) <= set(symbols))
        start, end = next(usual, (symbols[0], None))
        options = replace(options, start_symbol=start, end_symbol=options.end_symbol or end)
    return options


def _bare(output: str) -> str:
    return output.removesuffix("\n")


def _tabbed(lines: Sequence[str], name: str) -> Iterator[Expected]:
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        source, tab, output = line.partition("\t")
        if not tab:
            raise ExportError(
                f"{option('expect')}: {name}, line {number}: no tab; expected source, tab, output, got {line[:60]!r}"
            )
        yield Expected(source, output)


def _printed(lines: Sequence[str]) -> Iterator[Expected]:
    """Yield the outputs among lines that the tutorial's script printed.

    An output that was ended by its end symbol, a line feed, has an empty line behind it.
    """
    outputs: list[tuple[str, str, bool | None]] = []
    source: str | None = None
    for i, line in enumerate(lines):
        if line.startswith(_INPUT):
            source = line[len(_INPUT) :].removeprefix(" ")
        elif line.startswith(_DECODED) and source is not None:
            follows = lines[i + 1 : i + 3]
            whole = len(follows) == 2  # at the end of a text that was cut, nobody knows
            outputs.append((source, line[len(_DECODED) :].removeprefix(" "), follows[0] == "" if whole else None))
            source = None
    tells = any(ended for _, _, ended in outputs)  # empty lines may have been lost on the way
    yield from (Expected(source, output, ended if tells else None) for source, output, ended in outputs)


@dataclass(frozen=True)
class Trial:
    """What a set-up gives for expected outputs.

    Attributes:
        setup: that was tried, its greatest length settled by outputs that were cut.
        equal: how many outputs come out as expected.
        difference: the first that doesn't, in words; "" where all do.
        cut: how many outputs were cut at the greatest length, which they prove.
        longest: tokens of the longest output that ended by itself, the end counted.
    """

    setup: SetUp
    equal: int
    difference: str
    cut: int = 0
    longest: int = 0


@dataclass(frozen=True)
class Proof:
    """Tries set-ups with the graphs that go into the bundle.

    Attributes:
        model: the graphs.
        manifest: of the bundle.
        facts: how the model was understood.
        expected: outputs of the author's loop.
    """

    model: StepModel[Any]
    manifest: Manifest
    facts: Understanding
    expected: Sequence[Expected]

    def tried(self, setup: SetUp, count: int | None = None) -> Trial:
        """Decode the sources of the expected outputs, or of the first `count`, under a set-up, and compare.

        Raises:
            ExportError: there are no vocabularies.
            UnknownSymbolError: a source holds a symbol that the vocabulary lacks.
        """
        expected = self.expected[:count]
        model = Model(setup.in_manifest(self.manifest, self.facts), self.model)
        length = max(len(self._tokens(setup, output.output)) for output in expected) + _BEYOND
        results = model.generate([output.source for output in expected], max_length=length)
        matched = [_matched(output, result, setup) for output, result in zip(expected, results, strict=True)]
        limit = max((at for at in matched if at), default=None)
        wrong = [
            i
            for i, (at, result) in enumerate(zip(matched, results, strict=True))
            if at is None or (limit is not None and (at or len(result.ids) + 1) > limit) or at not in (0, None, limit)
        ]
        difference = _difference(wrong[0], expected[wrong[0]], results[wrong[0]]) if wrong else ""
        limited = setup if limit is None else replace(setup, max_length=limit)
        longest = max((len(result.ids) + 1 for at, result in zip(matched, results, strict=True) if at == 0), default=0)
        return Trial(limited, len(expected) - len(wrong), difference, matched.count(limit) if limit else 0, longest)

    def _tokens(self, setup: SetUp, text: str) -> Sequence[object]:
        vocabulary = setup.ends.vocabulary
        if vocabulary is None:
            raise ExportError(
                f"{option('expect')}: texts need both vocabularies; give {option('pairs', 'FILE')}, or "
                f"{option('source_vocab', 'FILE')} and {option('target_vocab', 'FILE')}"
            )
        return vocabulary.split(text)


def _matched(expected: Expected, result: Result, setup: SetUp) -> int | None:
    """Return how an output compares with what was expected.

    It is 0 where they are equal and the output ended by itself, the number of tokens at which it was cut where they are
    equal as far as it goes, and None where they differ.
    """
    whole = setup.aligned and setup.padding.masked  # as many outputs as the source has symbols: none is cut
    ended = whole or result.hypotheses[0].finish_reason == "end"
    if ended and result.text == expected.output:
        return None if expected.ended is False else 0
    if expected.ended or not result.text.startswith(expected.output):
        return None
    vocabulary = setup.ends.vocabulary
    for count in range(1, len(result.ids) + 1):
        if vocabulary is not None and vocabulary.decode(result.ids[:count]) == expected.output:
            return count
    return None


def _difference(index: int, expected: Expected, result: Result) -> str:
    """Return the sentence that says where an output first differs, and what stands there."""
    one, other = expected.output, result.text
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, at - 8)
    shown = [repr(text[start : start + _SHOWN]) for text in (one, other)]
    return (
        f"output {index + 1}, {expected.source!r}, from character {at + 1}: expected ...{shown[0]}, got ...{shown[1]}"
    )
