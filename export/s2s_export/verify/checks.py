"""One comparison with Keras, as a line of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2s_export.verify.oracle import Decoded
from s2s_export.verify.rounding import NEAR_TIE, Rounding

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
        different: how many differ beyond what is allowed, near ties not counted.
        near_ties: sequences that differ where two candidates stood as near as rounding may exchange.
        allowed: the largest difference that would have been allowed; None where tokens were compared.
    """

    what: str
    compared: int
    difference: float | None
    different: int
    near_ties: int = 0
    allowed: float | None = None

    @classmethod
    def of_numbers(
        cls, what: str, differences: Sequence[float], rounding: Rounding, compared: int | None = None
    ) -> Check:
        """Return the check of numbers.

        Args:
            what: what was compared.
            differences: the largest difference of each tensor, or group of them.
            rounding: tells how large each may be.
            compared: how many were compared, where that is another number than of the differences.
        """
        compared = len(differences) if compared is None else compared
        allowed = rounding.allowed(differences)
        different = sum(each > most for each, most in zip(differences, allowed, strict=True))
        return cls(what, compared, max(differences, default=0.0), different, allowed=max(allowed, default=None))

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return self.different == 0


def compare_tokens(
    what: str, results: Sequence[Any], expected: Sequence[Decoded], rounding: Rounding | None = None
) -> Check:
    """Compare tokens with the oracle's; a difference that begins at a near tie is counted apart.

    Args:
        what: what was compared.
        results: what the bundle decoded.
        expected: what the oracle decoded.
        rounding: tells which ties are near; None = those within `NEAR_TIE`.
    """
    parted = [
        (result, decoded)
        for result, decoded in zip(results, expected, strict=True)
        if list(result.ids) != decoded.tokens
    ]
    near = NEAR_TIE
    if rounding is not None and not all(_is_near_tie(*pair, near) for pair in parted):
        near = rounding.near_tie()
    ties = sum(_is_near_tie(*pair, near) for pair in parted)
    return Check(what, len(expected), None, len(parted) - ties, ties)


def _is_near_tie(result: Any, decoded: Decoded, near: float) -> bool:
    """Return whether two candidates of some step stood too close, or two finished hypotheses of a beam."""
    close = result.score is not None and abs(result.score - decoded.score) < near
    return bool(decoded.gap < near) or close


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the log-probabilities (..., symbols) of what a graph gives, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
