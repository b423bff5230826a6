"""The pairs a model was trained on: which rows of them give its sizes, and the vocabularies that these rows give.

The sets of symbols only grow with the rows read, so the row counts whose sets are as large as the model is wide are one
stretch; what differs within it is how long the longest source and target are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.vocabularies import PairsRecipe, cutter, pairs_of_file
from s2s_runtime.bundle.provenance import Origin, SetUpItem, Sign
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Unit, Vocabulary, VocabularyFile

# Start and end symbols that people wrap targets in, the published scripts' first.
CHARACTER_ENDS: Final = (("\t", "\n"), ("^", "$"), ("<", ">"), ("[", "]"), ("{", "}"), ("@", "#"))
WORD_ENDS: Final = (
    *(("<start>", "<end>"), ("[START]", "[END]"), ("<sos>", "<eos>"), ("<s>", "</s>"), ("<bos>", "<eos>")),
    *(("<go>", "<eos>"), ("start", "end"), ("startseq", "endseq"), ("START_", "_END"), ("sos", "eos"), ("\t", "\n")),
)


@dataclass(frozen=True)
class Widths:
    """How many symbols a model reads and writes.

    Attributes:
        source: of the source; None where it doesn't say.
        target: of the target.
        exact: whether the source has exactly as many symbols; an Embedding may know more ids than there are.
    """

    source: int | None
    target: int
    exact: bool

    def fits_source(self, count: int) -> bool:
        """Return whether a source vocabulary of so many symbols can be the model's."""
        return self.source is None or (count == self.source if self.exact else count <= self.source)


@dataclass(frozen=True)
class TrainingPairs:
    """The pairs a model was trained on, and how they are cut.

    Attributes:
        pairs: (source, target) texts in the order of the file.
        name: what messages call them.
        unit: how texts are cut.
    """

    pairs: Sequence[tuple[str, str]]
    name: str
    unit: Unit = "char"

    @classmethod
    def of(
        cls, given: str | os.PathLike[str] | Sequence[tuple[str, str]], unit: Unit, encoding: str | None = None
    ) -> TrainingPairs:
        """Read pairs from a file, or take them as they are.

        Raises:
            ExportError: there are none, or something else stands in their place.
            FileNotFoundError: there is no such file.
        """
        if isinstance(given, str | os.PathLike):
            return cls(pairs_of_file(given, encoding=encoding), str(given), unit)
        pairs = [tuple(pair)[:2] for pair in given]
        wrong = [pair for pair in pairs if len(pair) < 2 or not all(isinstance(text, str) for text in pair)]
        if wrong or not pairs:
            shown = f"got {wrong[0]!r}" if wrong else "got none"
            raise ExportError(f"{option('pairs')}: expected a file, or (source, target) texts, {shown}")
        return cls([(str(source), str(target)) for source, target in pairs], option("pairs"), unit)

    def fitting(self, widths: Widths, ends: tuple[str, str]) -> range:
        """Return the row counts whose sets of symbols are as large as the model is wide; an empty range for none."""
        cut = cutter(self.unit)
        sources, targets, fits = set[str](), set(ends), list[int]()
        for rows, (source, target) in enumerate(self.pairs, 1):
            sources.update(cut.split(source))
            targets.update(cut.split(target))
            if widths.fits_source(len(sources)) and len(targets) == widths.target:
                fits.append(rows)
            if len(targets) > widths.target or (widths.source is not None and len(sources) > widths.source):
                break
        return range(fits[0], fits[-1] + 1) if fits else range(0)

    def sizes(self, rows: int, ends: tuple[str, str]) -> tuple[int, int]:
        """Return how many source and target symbols some rows give."""
        file, _ = self.vocabularies(rows, ends)
        return len(file.source or ()), len(file.target or ())

    def vocabularies(self, rows: int, ends: tuple[str, str]) -> tuple[VocabularyFile, int]:
        """Return the vocabularies that the first rows give, and the longest source of these."""
        cut = cutter(self.unit)
        taken = self.pairs[:rows]
        sources, targets = ([cut.split(pair[side]) for pair in taken] for side in (0, 1))
        read, written = ({symbol for row in side for symbol in row} for side in (sources, [*targets, ends]))
        source = Vocabulary(self.unit, tuple(sorted(read)))
        target = Vocabulary(self.unit, tuple(sorted(written)), start=ends[0], end=ends[1])
        return VocabularyFile(source, target, PaddingPolicy(masked=False)), max(map(len, sources))

    def longest_target(self, rows: int) -> int:
        """Return how many symbols the longest target of the first rows has, without start and end."""
        cut = cutter(self.unit)
        return max(len(cut.split(target)) for _, target in self.pairs[:rows])


@dataclass(frozen=True)
class ChosenRows:
    """The rows of the pairs that a model was trained on, and what they tell of it.

    Attributes:
        pairs: all of them.
        count: how many rows from the top are taken.
        fits: row counts that give the model's sizes; an empty range where its vocabulary was given.
        ends: the start and end symbols that give these sizes, the most usual first.
        given: whether the caller gave their number.
        rebuilt: whether the vocabularies are made of these rows; they are evidence alone otherwise.
        item: for the report.
    """

    pairs: TrainingPairs
    count: int
    fits: range
    ends: tuple[tuple[str, str], ...]
    given: bool
    rebuilt: bool
    item: SetUpItem | None

    @property
    def taken(self) -> Sequence[tuple[str, str]]:
        """The pairs of the rows that are taken."""
        return self.pairs.pairs[: self.count]

    @property
    def certain(self) -> bool:
        """Whether the rows are given, or every fitting row count has the same longest source and longest target."""
        if self.given or not self.fits:
            return self.given
        first, last = self.fits[0], self.fits[-1]
        texts = (self.pairs.pairs[:first], self.pairs.pairs[:last])
        one, other = ([max(len(pair[side]) for pair in rows) for side in (0, 1)] for rows in texts)
        return one == other

    @property
    def same_symbols(self) -> bool:
        """Whether every fitting row count gives the same symbols."""
        if not self.rebuilt or not self.fits:
            return False
        one, other = (self.pairs.vocabularies(rows, self.ends[0])[0] for rows in (self.fits[0], self.fits[-1]))
        return one == other


def choose_rows(pairs: TrainingPairs, widths: Widths, options: ExportOptions) -> ChosenRows:
    """Find the rows, and the start and end symbols, that give a model's sizes.

    Raises:
        ExportError: none do, or the rows given don't; names `rows`, both sizes, and the rows that do.
    """
    by_ends = {ends: pairs.fitting(widths, ends) for ends in _likely_ends(pairs.unit, options)}
    fitting = {ends: fits for ends, fits in by_ends.items() if fits}
    first = next(iter(by_ends))
    if options.rows is not None:
        fitting = {ends: fits for ends, fits in fitting.items() if min(options.rows, len(pairs.pairs)) in fits}
    if not fitting:
        raise ExportError(_none_fit(pairs, widths, options.rows, by_ends[first], first))
    fits = next(iter(fitting.values()))
    count = _roundest(fits, len(pairs.pairs)) if options.rows is None else min(options.rows, len(pairs.pairs))
    counts = f"{fits[0]:,} to {fits[-1]:,}" if len(fits) > 1 else f"{fits[0]:,}"
    sign = Sign(f"rows that give {widths.source} source and {widths.target} target symbols", counts, f"{count:,}")
    chosen = ChosenRows(pairs, count, fits, tuple(fitting), options.rows is not None, True, None)
    origin: Origin = "given" if options.rows is not None else ("pairs" if chosen.certain else "assumed")
    item = SetUpItem("rows", f"{count:,}", origin, option("rows"), (sign,))
    return replace(chosen, item=item)


def with_pairs(options: ExportOptions, widths: Callable[[], Widths | None]) -> tuple[ExportOptions, ChosenRows | None]:
    """Return options whose vocabularies come from their pairs, where they have none, and the rows taken.

    Args:
        options: of the export.
        widths: tells how many symbols the model reads and writes; None = texts are cut inside the model.

    Raises:
        ExportError: see `choose_rows`.
    """
    if options.pairs is None:
        return options, None
    pairs = TrainingPairs.of(options.pairs, options.unit or "char", options.encoding)
    known = options.vocabulary
    given = known is not None and (known.source is not None or known.target is not None)
    sizes = None if given else widths()
    if sizes is None:
        count = min(options.rows or len(pairs.pairs), len(pairs.pairs))
        longest = None if known is None or known.source is None else _longest(pairs, count, known.source)
        rows = ChosenRows(pairs, count, range(count, count + 1), (), options.rows is not None, rebuilt=False, item=None)
        return replace(options, longest_source=options.longest_source or longest), rows
    chosen = choose_rows(pairs, sizes, options)
    file, longest = pairs.vocabularies(chosen.count, chosen.ends[0])
    return replace(options, vocabulary=file, longest_source=options.longest_source or longest), chosen


def _longest(pairs: TrainingPairs, count: int, source: Vocabulary) -> int:
    wrapped = sum(symbol is not None for symbol in (source.start, source.end))
    return max(len(source.split(text)) for text, _ in pairs.pairs[:count]) + wrapped


def _likely_ends(unit: Unit, options: ExportOptions) -> Iterator[tuple[str, str]]:
    """Yield pairs of start and end symbols that agree with what was given."""
    known = CHARACTER_ENDS if unit == "char" else WORD_ENDS
    start, end = options.start_symbol, options.end_symbol
    if start is not None and end is not None:
        known = ((start, end),)
    elif start is not None or end is not None:
        known = (*((s, e) for s, e in known if start in (None, s) and end in (None, e)), (start or end, end or start))  # type: ignore[assignment]
    for ends in known:
        for symbol in ends:
            PairsRecipe(unit=unit, start=symbol)  # refuses what is no single character
        yield ends


def _roundest(fits: range, everything: int) -> int:
    """Return the row count that a person would have typed.

    It is all the rows there are, or the count with the most zeros at its end.
    """
    if everything in fits:
        return everything
    return max(fits, key=lambda rows: (len(str(rows)) - len(str(rows).rstrip("0")), -rows))


def _none_fit(pairs: TrainingPairs, widths: Widths, rows: int | None, fits: range, ends: tuple[str, str]) -> str:
    source, target = pairs.sizes(rows or len(pairs.pairs), ends)
    side, has, verb = ("target", target, "gives") if target != widths.target else ("source", source, "reads")
    wanted = widths.source if side == "source" else widths.target
    what = f"the {side} vocabulary has {has} symbols but the model {verb} {wanted}"
    if fits and rows is not None:
        best = _roundest(fits, len(pairs.pairs))
        counts = f"rows {fits[0]} to {fits[-1]} do" if len(fits) > 1 else f"the first {fits[0]} do"
        return (
            f"{what}: {option('rows', str(rows))} of {pairs.name} are not the rows it was trained on; {counts}: give "
            f"{option('rows', str(best))}"
        )
    return (
        f"{what}: no number of rows of {pairs.name} gives {widths.source} source and {widths.target} target symbols "
        f"with start {ends[0]!r} and end {ends[1]!r}; give the file in the order it had in training (its rows then: "
        f"{option('rows', 'N')}), or {option('start', 'SYMBOL')} and {option('end', 'SYMBOL')}, or the symbols "
        f"themselves with {option('source_vocab', 'FILE')} and {option('target_vocab', 'FILE')}"
    )
