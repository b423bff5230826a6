"""One comparison with Keras, as a line of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2s_export.verify.oracle import Decoded

NEAR_TIE = 1e-4
TIMES = 3
"""So many copies of the sources are the large batch."""

UNLIKELY = -20.0
"""Of log-probabilities: Keras's float32 softmax rounds what lies below to few digits, or to 0; only that it is below
counts."""


@dataclass(frozen=True)
class Check:
    """One comparison, a line of the report.

    Attributes:
        what: what was compared.
        compared: how many tensors or sequences.
        difference: the largest absolute difference met; None where tokens were compared.
        different: how many differ beyond tolerance, near ties not counted.
        near_ties: sequences that differ where two candidates were nearer than `NEAR_TIE`.
    """

    what: str
    compared: int
    difference: float | None
    different: int
    near_ties: int = 0

    @classmethod
    def of_numbers(cls, what: str, differences: Sequence[float], atol: float, compared: int | None = None) -> Check:
        """Return the check of numbers.

        Args:
            what: what was compared.
            differences: the largest difference of each tensor, or group of them.
            atol: largest difference allowed.
            compared: how many were compared, where that is another number than of the differences.
        """
        compared = len(differences) if compared is None else compared
        return cls(what, compared, max(differences, default=0.0), sum(each > atol for each in differences))

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return self.different == 0


def compare_tokens(what: str, results: Sequence[Any], expected: Sequence[Decoded]) -> Check:
    """Compare tokens with the oracle's; a difference that begins at a near tie is counted apart."""
    parted = [
        (result, decoded)
        for result, decoded in zip(results, expected, strict=True)
        if list(result.ids) != decoded.tokens
    ]
    ties = sum(_is_near_tie(result, decoded) for result, decoded in parted)
    return Check(what, len(expected), None, len(parted) - ties, ties)


def _is_near_tie(result: Any, decoded: Decoded) -> bool:
    """Return whether two candidates of some step stood too close, or two finished hypotheses of a beam."""
    close = result.score is not None and abs(result.score - decoded.score) < NEAR_TIE
    return bool(decoded.gap < NEAR_TIE) or close


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the log-probabilities (..., symbols) of what a graph gives, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def largest(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest absolute difference; infinite where shapes differ or a number is not finite."""
    if one.shape != other.shape:
        return float("inf")
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return float(difference.max(initial=0.0)) if np.isfinite(difference).all() else float("inf")
