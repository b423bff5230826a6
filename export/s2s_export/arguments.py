"""What lies in a notebook, as options of an export: dictionaries, text layers, symbols or ids that start and end."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeGuard

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.given_vocabularies import GivenSide, SideName, likely_ends, read_side
from s2s_runtime.declared_options.checks import has_items
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Unit, Vocabulary, VocabularyFile
from s2s_training.given import NONE, an

OPTIONS: Final = an(ExportOptions, "ExportOptions") | NONE


@dataclass(frozen=True)
class Words:
    """Symbols and tokens as a caller has them.

    Args:
        source, target: what `read_side` takes; None = that side is ids. For a model of several outputs, `target` may be
            a mapping from their names to such.
        start: symbol or id that is fed first.
        end: symbol or id that ends a target, or several.
        unit: how text is cut, where the symbols don't tell it.
    """

    source: object = None
    target: object = None
    start: str | int | None = None
    end: str | int | Iterable[str | int] | None = None
    unit: Unit | None = None

    def added_to(self, options: ExportOptions) -> ExportOptions:
        """Return the options with these symbols and tokens.

        Raises:
            ExportError: they are given twice, or contradict each other.
        """
        options = self._with_sides(options)
        if self.start is not None:
            options = replace(options, **_one("start", self.start))
        return options if self.end is None else self._with_end(options)

    def _with_sides(self, options: ExportOptions) -> ExportOptions:
        if self.source is None and self.target is None:
            return options
        if options.vocabulary is not None:
            raise ExportError(
                f"{option('vocab')}: it holds both sides; expected it, or {option('source_vocab')} and "
                f"{option('target_vocab')}"
            )
        source = self._side("source", self.source, options)
        if by_name(self.target):
            return self._with_outputs(options, source, self.target)
        target = self._side("target", self.target, options)
        file = VocabularyFile(source.vocabulary, target.vocabulary, PaddingPolicy(masked=False))
        notes = (*options.notes, *source.notes, *target.notes, *self._ends(target.vocabulary, options))
        return replace(options, vocabulary=file, unnamed_ids=True, notes=notes)

    def _with_outputs(self, options: ExportOptions, source: GivenSide, targets: Mapping[str, object]) -> ExportOptions:
        """Return the options with the symbols of several outputs, each given by the output's name."""
        sides = {name: self._side("target", given, options) for name, given in targets.items()}
        known = {name: side.vocabulary for name, side in sides.items() if side.vocabulary is not None}
        file = VocabularyFile(source.vocabulary, None, PaddingPolicy(masked=False))
        notes = (*options.notes, *source.notes, *(note for side in sides.values() for note in side.notes))
        return replace(options, vocabulary=file, target_vocabularies=known, unnamed_ids=True, notes=notes)

    def _side(self, name: SideName, given: object, options: ExportOptions) -> GivenSide:
        return GivenSide(None) if given is None else read_side(given, name, self.unit, options.encoding)

    def _ends(self, target: Vocabulary | None, options: ExportOptions) -> list[str]:
        """Return the symbols that are likely to start and end a target, where nobody named them."""
        likely = None if target is None else likely_ends(target)
        started = self.start is not None or options.start_id is not None or options.start_symbol or options.start_zeros
        if likely is None or started or (target is not None and target.start is not None):
            return []
        return [f"the target has the symbols {likely[0]!r} and {likely[1]!r}: are they its start and end?"]

    def _with_end(self, options: ExportOptions) -> ExportOptions:
        ends = [self.end] if isinstance(self.end, str) or not has_items(self.end) else list(self.end)
        if len(ends) == 1:
            return replace(options, **_one("end", ends[0]))
        known = None if options.vocabulary is None else options.vocabulary.target
        return replace(options, end_ids=tuple(_id("end", end, known) for end in ends))


def by_name(given: object) -> TypeGuard[Mapping[str, object]]:
    """Return whether symbols are given for several outputs by their names, rather than ids for symbols.

    A dictionary of symbols holds an id for each symbol, or a symbol for each id; neither is a vocabulary by itself.
    """
    if not isinstance(given, Mapping) or not given or not all(isinstance(name, str) for name in given):
        return False
    return not any(hasattr(value, "__index__") for value in given.values()) and not all(map(str.isdecimal, given))


def _one(name: str, given: object) -> dict[str, Any]:
    """Return the option for a symbol or an id, by its name."""
    if isinstance(given, str):
        return {f"{name}_symbol": given}
    return {"start_id": _id(name, given, None)} if name == "start" else {"end_ids": (_id(name, given, None),)}


def _id(name: str, given: object, known: Vocabulary | None) -> int:
    if isinstance(given, str):
        if known is None or given not in known.symbols:
            raise ExportError(f"{option(name)}: {given!r} is none of the target's symbols")
        return known.symbols.index(given)
    try:
        return operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        raise ExportError(f"{option(name)}: expected a symbol or an id, got {type(given).__name__}") from None
