"""Pairs of texts from lines: a source, a tab, a target, and further columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from s2s_runtime.errors import InputError
from s2s_runtime.files.text_source import TextSource

EMPTY, NO_SOURCE, NO_TARGET = "empty", "without source", "without target"
_NAMED: Final = 5  # numbers of lines in a message
_SHOWN: Final = 60  # characters of a line in a message


class PairRow(NamedTuple):
    """One line: its number, from 1, its source, and its targets, none of them empty unless asked for."""

    number: int
    source: str
    targets: tuple[str, ...]


@dataclass
class LeftOut:
    """The lines of files that hold no pair, counted by what is wrong with them.

    Args:
        strict: whether the first of them is an error instead.

    Attributes:
        lines: the numbers of the lines left out, by what is wrong with them.
        seen: how many lines were looked at.
    """

    strict: bool = False
    lines: dict[str, list[int]] = field(default_factory=dict, init=False)
    seen: int = field(default=0, init=False)

    def add(self, name: str, number: int, problem: str) -> None:
        """Count a line of a file that is left out.

        Raises:
            InputError: `strict` is set.
        """
        if self.strict:
            raise InputError(f"{name}, line {number}: {problem}; remove or mend it, or go without --strict")
        self.lines.setdefault(problem, []).append(number)

    def message(self, name: str) -> str | None:
        """Return a message on one line: how many lines of a file were left out, why, and which. None = none was."""
        count = sum(map(len, self.lines.values()))
        reasons = [f"{len(numbers):,} {problem} ({_named(numbers)})" for problem, numbers in self.lines.items()]
        return f"{name}: left out {count:,} of {self.seen:,} lines: {', '.join(reasons)}" if count else None


def read_pairs(
    source: TextSource,
    left_out: LeftOut,
    *,
    rows: int | None = None,
    all_targets: bool = False,
    keep_empty: bool = False,
) -> Iterator[PairRow]:
    """Yield the pairs of a text, in its order.

    Args:
        source: lines of `source<TAB>target`; further columns may follow.
        left_out: is told the lines that hold no pair.
        rows: only the first so many lines; None = all.
        all_targets: whether further columns are further targets; else they are passed over.
        keep_empty: whether every line with a tab is a pair, whatever stands on its sides.

    Raises:
        InputError: a line isn't UTF-8 or has no tab, or no line holds a pair; see also `LeftOut.add`.
    """
    has_pair = False
    for number, line in islice(source.lines(), rows):
        left_out.seen = number
        text, tab, rest = line.partition("\t")
        if not tab and text.strip():
            shown = f"{line[:_SHOWN]!r}"
            raise InputError(f"{source.name}, line {number}: expected source<TAB>target, got no tab in {shown}")
        targets = rest.split("\t") if all_targets else [rest.partition("\t")[0]]
        kept = tuple(targets if keep_empty else filter(str.strip, targets))
        problem = _problem(text, kept, rest) if not (keep_empty and tab) else None
        if problem is None:
            has_pair = True
            yield PairRow(number, text, kept)
        else:
            left_out.add(source.name, number, problem)
    if not has_pair:
        nothing = f"holds no pair in {left_out.seen:,} lines" if left_out.seen else "is empty"
        raise InputError(f"{source.name} {nothing}: expected lines of source<TAB>target")


def _problem(source: str, targets: tuple[str, ...], rest: str) -> str | None:
    """Return why a line holds no pair; None where it holds one."""
    if not source.strip():
        return NO_SOURCE if rest.strip() else EMPTY
    return None if targets else NO_TARGET


def _named(numbers: list[int]) -> str:
    more = f" and {len(numbers) - _NAMED:,} more" if len(numbers) > _NAMED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:_NAMED]))}{more}"
