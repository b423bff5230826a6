"""Error rates of decoded sequences against references."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

import numpy as np


def edit_distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Return the least number of insertions, deletions and substitutions between two sequences (Levenshtein 1966).

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(second) + 1))  # distances of the empty sequence to each prefix of `second`
    for i, a in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


@dataclass(frozen=True)
class ErrorRates:
    """The distances of hypotheses from their references.

    Attributes:
        sequences: how many were compared.
        sequence_accuracy: share that equal a reference.
        sequence_error_rate: share that equal none; word error rate where a sequence spells a word.
        token_error_rate: edits over reference tokens, of each sequence with its nearest reference; phone error rate
            where tokens are phones. May exceed 1.
    """

    sequences: int
    sequence_accuracy: float
    sequence_error_rate: float
    token_error_rate: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def error_rates(
    hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Sequence[Hashable]]]
) -> ErrorRates:
    """Compare each hypothesis with its references, any of which counts as right.

    Args:
        hypotheses: one sequence of tokens per source.
        references: the right sequences of each source, at least one.

    Raises:
        ValueError: different numbers of both, none at all, or a source without reference.
    """
    if not hypotheses or len(hypotheses) != len(references) or not all(references):
        raise ValueError(
            f"expected as many hypotheses as sets of references, at least one, and no set empty; got "
            f"{len(hypotheses)} and {len(references)}"
        )
    edits, lengths = np.transpose([nearest(*pair) for pair in zip(hypotheses, references, strict=True)])
    right = float(np.mean(edits == 0))
    return ErrorRates(
        sequences=len(hypotheses),
        sequence_accuracy=right,
        sequence_error_rate=1 - right,
        token_error_rate=float(edits.sum() / max(1, lengths.sum())),
    )


def nearest(hypothesis: Sequence[Hashable], references: Sequence[Sequence[Hashable]]) -> tuple[int, int]:
    """Return the edits to the nearest reference and the length of that reference; the longest of equally near ones."""
    edits, length = min((edit_distance(hypothesis, reference), -len(reference)) for reference in references)
    return edits, -length
