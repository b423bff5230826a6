"""What the errors of many items have in common: tokens, lengths, frequencies, ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from s2s_runtime.report.items import Item

_MOST_BINS: Final = 12


@dataclass(frozen=True, slots=True)
class Confusion:
    """A token that was written as another: None as `right` = put in, as `written` = left out.

    `share` is the part of the right token's occurrences, of all right tokens where it was put in.
    """

    right: str | None
    written: str | None
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Items or tokens of one kind: how many there are, and how many of them are wrong."""

    name: str
    count: int
    wrong: int

    @property
    def share(self) -> float:
        """Return the part that is wrong."""
        return self.wrong / self.count


@dataclass(frozen=True, slots=True)
class Rank:
    """The error rates if the best of the first hypotheses could be told."""

    hypotheses: int
    sequence_error_rate: float
    token_error_rate: float


def confusions(items: Sequence[Item]) -> list[Confusion]:
    """Return what was written in the place of which token, the most frequent first."""
    steps = Counter(step for item in items for step in item.steps)
    occurring: Counter[str | None] = Counter()
    for step, count in steps.items():
        if step.right is not None:
            occurring[step.right] += count
    occurring[None] = max(1, occurring.total())
    wrong = [(step, count) for step, count in steps.items() if step.right != step.written]
    wrong.sort(key=lambda pair: (-pair[1], pair[0].right or "", pair[0].written or ""))
    return [Confusion(*step, count, count / occurring[step.right]) for step, count in wrong]


def by_length(items: Sequence[Item]) -> list[Bin]:
    """Return the share of wrong sequences by the length of the right one, a few lengths together where many occur."""
    lengths = [item.length for item in items]
    least, most = min(lengths), max(lengths)
    width = -(-(most - least + 1) // _MOST_BINS)
    bins = []
    for low in range(least, most + 1, width):
        inside = [item for item in items if low <= item.length < low + width]
        name = str(low) if width == 1 else f"{low} to {low + width - 1}"
        if inside:
            bins.append(Bin(name, len(inside), sum(item.edits > 0 for item in inside)))
    return bins


def by_frequency(items: Sequence[Item], occurring: Mapping[str, int]) -> list[Bin]:
    """Return the share of right tokens that were left out or replaced, by how often they occur in some text.

    The bins are never, once, 2 to 3, 4 to 7, and so on by powers of two.
    """
    counts: Counter[int] = Counter()
    wrong: Counter[int] = Counter()
    for item in items:
        for step in item.steps:
            if step.right is not None:
                number = occurring.get(step.right, 0).bit_length()
                counts[number] += 1
                wrong[number] += step.right != step.written
    return [Bin(_frequency(number), counts[number], wrong[number]) for number in sorted(counts)]


def _frequency(bits: int) -> str:
    """Return words for the numbers of so many binary digits.

    >>> [_frequency(bits) for bits in range(4)]
    ['never', 'once', '2 to 3', '4 to 7']
    """
    return ("never", "once")[bits] if bits < 2 else f"{2 ** (bits - 1):,} to {2**bits - 1:,}"


def oracle(items: Sequence[Item]) -> list[Rank]:
    """Return the error rates of the best among the first 1, 2, ... hypotheses of each item."""
    ranks = []
    for count in range(1, max(len(item.nbest) for item in items) + 1):
        best = [min(item.nbest[:count], key=lambda one: (one[0], -one[1])) for item in items]
        edits, lengths = sum(one[0] for one in best), sum(one[1] for one in best)
        ranks.append(Rank(count, sum(one[0] > 0 for one in best) / len(items), edits / max(1, lengths)))
    return ranks
