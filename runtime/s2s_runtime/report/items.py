"""The outputs of a system one by one, each beside the right target that it is nearest to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2s_runtime.error_rates import edit_distance
from s2s_runtime.report.alignment import Step, align


@dataclass(frozen=True, slots=True)
class Item:
    """One source with what was written for it.

    Attributes:
        source: its text.
        output: the text that was written.
        right: the right text that is nearest to it; of equally near ones the longest in tokens.
        steps: how the right tokens became those written.
        edits: how many of the steps change something.
        length: tokens of `right`.
        log_probability: natural logarithm of the probability that the model gives the output; None = not known.
        right_log_probability: that of `right`; None = not known, or the vocabulary can't write it.
        nbest: edits of each hypothesis from the right target nearest to it, and that one's length, best first.
        confidence: how sure the model is of the output, at the temperature that it was calibrated to; None = not known.
    """

    source: str
    output: str
    right: str
    steps: Sequence[Step]
    edits: int
    length: int
    log_probability: float | None = None
    right_log_probability: float | None = None
    nbest: Sequence[tuple[int, int]] = ()
    confidence: float | None = None

    @property
    def is_search_error(self) -> bool:
        """Whether the model finds the right text likelier than its output, so that a better search may find it."""
        own, right = self.log_probability, self.right_log_probability
        return self.edits > 0 and own is not None and right is not None and right > own


def nearest_right(written: Sequence[str], rights: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Return which of the right sequences is nearest, the longest of equally near ones, and by how many edits."""
    edits, _, index = min((edit_distance(written, right), -len(right), i) for i, right in enumerate(rights))
    return index, edits


def steps_of(right: Sequence[str], written: Sequence[str], edits: int) -> list[Step]:
    """Return how right tokens became those written; nothing is searched where they are the same."""
    return align(right, written) if edits else [Step(token, token) for token in right]
