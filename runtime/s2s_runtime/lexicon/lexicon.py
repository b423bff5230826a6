"""A lexicon: sources, and the outputs that each has, the best first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real

from s2s_runtime.errors import OptionError
from s2s_runtime.spelling import shown


class Lexicon(Mapping[str, tuple[str, ...]]):
    """A mapping from sources to their outputs, the best first; it doesn't change.

    Args:
        entries: for each source an output, or a list of outputs, each by itself or as a pair with its weight: higher
            ones come first, of equal ones the first, and those without a weight come behind. Of outputs that are the
            same, one counts.

    Raises:
        OptionError: an entry is something else; names it.
    """

    def __init__(self, entries: Mapping[str, str | Sequence[str | tuple[str, float]]]) -> None:
        self._entries = {source: _outputs(source, given) for source, given in entries.items()}
        self._by_rule: dict[object, Mapping[str, tuple[str, ...]]] = {}

    def __getitem__(self, source: str) -> tuple[str, ...]:
        return self._entries[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Lexicon: {len(self):,} sources>"

    def normalized(self, rule: object, normalize: Callable[[str], str]) -> Mapping[str, tuple[str, ...]]:
        """Return the outputs by normal forms of the sources, of sources with one form those of the first first.

        Args:
            rule: what tells apart how texts are normalised: for each the forms are made once.
            normalize: returns the normal form of a text.
        """
        known = self._by_rule.get(rule)
        if known is None:
            by_form: dict[str, tuple[str, ...]] = {}
            for source, outputs in self._entries.items():
                form = normalize(source)
                by_form[form] = (*by_form[form], *outputs) if form in by_form else outputs
            known = self._by_rule[rule] = {form: tuple(dict.fromkeys(outputs)) for form, outputs in by_form.items()}
        return known


def _outputs(source: object, given: object) -> tuple[str, ...]:
    if not isinstance(source, str):
        raise OptionError(f"lexicon: expected texts as sources, got {shown(source)}")
    if isinstance(given, str):
        return (given,)
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, bytes) else []
    weighted = [_weighted(item) for item in listed]
    if not weighted or None in weighted:
        expected = "a text, or a list of texts or of pairs (text, weight)"
        raise OptionError(f"lexicon[{source!r}]: expected {expected}, got {shown(given)}")
    ranked = sorted(filter(None, weighted), key=lambda pair: -pair[1])
    return tuple(dict.fromkeys(text for text, _ in ranked))


def _weighted(item: object) -> tuple[str, float] | None:
    """Return a text and its weight; None where the item is no such thing."""
    if isinstance(item, str):
        return item, -math.inf
    if isinstance(item, Sequence) and len(item) == 2:
        text, weight = item
        is_weight = isinstance(weight, Real) and not isinstance(weight, bool) and not math.isnan(weight)
        return (text, float(weight)) if isinstance(text, str) and is_weight else None
    return None
