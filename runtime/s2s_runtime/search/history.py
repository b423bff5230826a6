"""The tokens that each row has written so far and, where asked for, their scores and attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from s2s_runtime.array_types import Floats, Ints, doubled
from s2s_runtime.constraints.automaton import Automaton, Places, advance_places, start_places

_FIRST_CAPACITY: Final = 32


class History:
    """The tokens of each row, (rows, steps), and the log-probability and attention of each where these are kept.

    Arrays hold more columns than steps so far and are doubled when full: appending a step copies nothing.

    Args:
        rows: number of sequences.
        scores: whether the log-probability of each token is kept.
        attention_time: length of the padded source where attention is kept, else None.
        automata: constraints that follow what is written.

    Attributes:
        length: steps so far.
        places: int64 (rows,) for each of the automata, where each row stands.
    """

    def __init__(
        self,
        rows: int,
        *,
        scores: bool = False,
        attention_time: int | None = None,
        automata: Sequence[Automaton] = (),
    ) -> None:
        self.length = 0
        self.places: Places = start_places(automata, rows)
        self._automata = automata
        self._tokens: Ints = np.zeros((rows, _FIRST_CAPACITY), np.int64)
        self._scores: Floats | None = np.zeros((rows, _FIRST_CAPACITY), np.float32) if scores else None
        self._attention: Floats | None = None
        if attention_time is not None:
            self._attention = np.zeros((rows, _FIRST_CAPACITY, attention_time), np.float32)

    @property
    def tokens(self) -> Ints:
        """Tokens so far, int64 (rows, steps)."""
        return self._tokens[:, : self.length]

    def append(self, tokens: Ints, scores: Floats | None, attention: Floats | None) -> None:
        """Add one step: tokens int64 (rows,), scores float32 (rows,), attention float32 (rows, source time)."""
        if self.length == self._tokens.shape[1]:
            self._tokens = doubled(self._tokens)
            self._scores = None if self._scores is None else doubled(self._scores)
            self._attention = None if self._attention is None else doubled(self._attention)
        self._tokens[:, self.length] = tokens
        if self._scores is not None:
            self._scores[:, self.length] = scores
        if self._attention is not None:
            self._attention[:, self.length] = attention
        if self._automata:
            self.places = advance_places(self._automata, self.places, tokens)
        self.length += 1

    def select(self, rows: Ints) -> None:
        """Keep the given rows, int64 (kept,), in the given order; rows may be left out or repeated."""
        self._tokens = self._tokens.take(rows, axis=0)
        self.places = tuple(place.take(rows) for place in self.places)
        self._scores = None if self._scores is None else self._scores.take(rows, axis=0)
        self._attention = None if self._attention is None else self._attention.take(rows, axis=0)

    def of(self, row: int | np.intp, length: int) -> tuple[list[int], Floats | None, Floats | None]:
        """Return the first `length` steps of a row: tokens, and copies of scores and attention where these are kept."""
        return (
            self._tokens[row, :length].tolist(),
            None if self._scores is None else self._scores[row, :length].copy(),
            None if self._attention is None else self._attention[row, :length].copy(),
        )
