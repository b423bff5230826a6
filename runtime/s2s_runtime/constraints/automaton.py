"""What a constraint remembers of the tokens that a row has written: a place in an automaton, one integer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from s2s_runtime.array_types import Floats, Ints

START: Final = 0
"""The place of a row that has written nothing."""

Places = tuple[Ints, ...]


class Automaton(Protocol):
    """A constraint that knows what it has to know of the tokens so far by an integer, the place of a row."""

    @property
    def restricts(self) -> bool:
        """Whether it forbids tokens; else it adds to their scores, to those of forced tokens too."""
        ...

    def advance(self, places: Ints, tokens: Ints) -> Ints:
        """Return the places after one more token: both int64 (rows,)."""
        ...

    def apply(self, logits: Floats, places: Ints, left: Ints) -> None:
        """Change what may follow, in place.

        Args:
            logits: float32 (rows, vocabulary), before or after normalisation.
            places: int64 (rows,).
            left: int64 (rows,), most tokens that may still be written, at least 1.
        """
        ...

    def problem(self, written: Sequence[int], limit: int) -> str:
        """Return why no target of at most so many tokens can begin like this, or "" where one can."""
        ...


def start_places(automata: Sequence[Automaton], rows: int) -> Places:
    """Return the places of rows that have written nothing, int64 (rows,) for each automaton."""
    return tuple(np.full(rows, START, np.int64) for _ in automata)


def advance_places(automata: Sequence[Automaton], places: Places, tokens: Ints) -> Places:
    """Return the places of rows after one more token each, int64 (rows,)."""
    return tuple([automaton.advance(place, tokens) for automaton, place in zip(automata, places, strict=True)])


def walk(automata: Sequence[Automaton], tokens: Ints) -> Places:
    """Return the places of rows that have written these tokens, int64 (rows, steps)."""
    places = start_places(automata, len(tokens))
    for step in range(tokens.shape[1]):
        places = advance_places(automata, places, tokens[:, step])
    return places
