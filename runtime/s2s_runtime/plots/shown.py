"""What pictures and tables need to know of results, which stand above them and draw themselves by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ShownHypothesis(Protocol):
    """What is shown of a decoded sequence."""

    @property
    def text(self) -> str:
        """Return its text."""

    @property
    def tokens(self) -> Sequence[str]:
        """Return its symbols."""

    @property
    def score(self) -> float | None:
        """Return its log-probability, where it is known."""

    @property
    def finish_reason(self) -> str:
        """Return why it ended."""

    @property
    def attention(self) -> NDArray[np.float32] | None:
        """Return float32 (target, source) weights, where they were asked for."""


class ShownResult(Protocol):
    """What is shown of the hypotheses of one source."""

    @property
    def hypotheses(self) -> Sequence[ShownHypothesis]:
        """Return them, best first, at least one."""

    @property
    def source_tokens(self) -> Sequence[str]:
        """Return the source's symbols as the model read them."""

    @property
    def unknown_symbols(self) -> Sequence[str]:
        """Return symbols that the source vocabulary lacks."""
