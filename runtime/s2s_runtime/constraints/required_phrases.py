"""Phrases that every output must hold, and beams shared out among those that hold more and fewer of their tokens.

That is dynamic beam allocation (Post and Vilar 2018), with two differences: what is left to write is counted exactly,
phrases that overlap written once; and no token is taken after which the rest would not fit into the longest target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.constraints.automaton import START
from s2s_runtime.constraints.phrase_matcher import PhraseMatcher

MOST_PHRASES: Final = 10  # what is left is tabled for each set of them
_NEVER: Final = np.float32(-np.inf)


class RequiredPhrases:
    """Phrases that must occur, as an automaton. A place is the set of those that have, and the matcher's node.

    Args:
        phrases: ids of each, none empty; at most `MOST_PHRASES`.
        size: of the vocabulary.
        end_ids: ids that end a target; no phrase holds one.
    """

    restricts = True

    def __init__(self, phrases: Sequence[tuple[int, ...]], size: int, end_ids: Ints) -> None:
        distinct = list(dict.fromkeys(phrases))
        kept = [
            phrase for phrase in distinct if not any(_holds(other, phrase) for other in distinct if other != phrase)
        ]
        self._matcher = matcher = PhraseMatcher(kept, size)
        self._end_ids = end_ids
        self._nodes = len(matcher.prefixes)
        self._ended: Ints = matcher.ending @ (1 << np.arange(len(kept)))  # as sets
        self._left = self._table().reshape(-1)

    def _table(self) -> Ints:
        """Return how many tokens it takes at least to hold all phrases: int64 (sets, nodes)."""
        phrases, prefixes = self._matcher.phrases, self._matcher.prefixes
        table = np.full((1 << len(phrases), self._nodes), np.iinfo(np.int64).max // 2)
        table[-1] = 0
        more = [[len(p) - self._matcher.overlap(prefix, p) for prefix in prefixes] for p in phrases]
        own = [self._matcher.nodes[phrase] for phrase in phrases]
        for held in range(len(table) - 2, -1, -1):  # sets that hold more have higher numbers
            for number, steps in enumerate(more):
                if not held >> number & 1:
                    after = table[held | 1 << number, own[number]]
                    table[held] = np.minimum(table[held], np.array(steps) + after)
        return table

    def advance(self, places: Ints, tokens: Ints) -> Ints:
        """See `Automaton.advance`."""
        held, nodes = np.divmod(places, self._nodes)
        after = self._matcher.advance(nodes, tokens)
        return (held | self._ended[after]) * self._nodes + after

    def _left_after(self, places: Ints) -> Ints:
        """Return how many tokens are left after one more, by the matcher's columns: int64 (rows, used + 1)."""
        held, nodes = np.divmod(places, self._nodes)
        after = self._matcher.following[nodes]
        left: Ints = self._left[(held[:, None] | self._ended[after]) * self._nodes + after]
        return left

    def apply(self, logits: Floats, places: Ints, left: Ints) -> None:
        """Forbid the end while a phrase is missing, and tokens after which the rest doesn't fit. See `Automaton`."""
        fits = self._left_after(places) < left[:, None]
        kept = np.where(fits[:, 1:], logits[:, self._matcher.tokens], _NEVER)
        logits[~fits[:, 0]] = _NEVER
        logits[:, self._matcher.tokens] = kept
        logits[np.flatnonzero(self._left[places] > 0)[:, None], self._end_ids] = _NEVER

    def banks(self, places: Ints) -> Ints:
        """Return how many tokens are left after each token: int64 (rows, vocabulary)."""
        return self._left_after(places)[:, self._matcher.columns]

    def problem(self, written: Sequence[int], limit: int) -> str:
        """Return why the phrases don't fit, or "". See `Automaton.problem`."""
        place = np.array([START])
        for token in written:
            if token in self._end_ids:
                return "required_phrases: the prefix ends without them" if self._left[place[0]] else ""
            place = self.advance(place, np.array([token]))
        least = len(written) + int(self._left[place[0]])
        if least > limit:
            return f"required_phrases: take a target of at least {least} tokens, but it may have {limit}"
        return ""


def share_out(scores: Floats, banks: Ints, beam_size: int, count: int) -> tuple[Floats, Ints]:
    """Return the candidates of each sentence that are examined: the best of each bank in turn.

    Args:
        scores: float32 (sentences, candidates), -inf where there is none.
        banks: int64 (sentences, candidates), how many tokens each has left: the bank with fewest comes first.
        beam_size: candidates that may live on.
        count: candidates to return, at least `beam_size`.

    Returns:
        Scores and positions, (sentences, count): the first `beam_size` taken, best first, and then the others.
    """
    taken, positions = np.full((len(scores), count), _NEVER), np.zeros((len(scores), count), np.int64)
    for sentence, (own, bank) in enumerate(zip(scores, banks, strict=True)):
        turns = []
        for number in np.unique(bank).tolist():
            of_bank = np.flatnonzero((bank == number) & (own > _NEVER))
            ranked = of_bank[np.argsort(-own[of_bank], kind="stable")[:count]]
            turns += [(turn, number, int(index)) for turn, index in enumerate(ranked)]
        order = np.array([index for _, _, index in sorted(turns)[:count]], np.int64)
        for part in (slice(0, beam_size), slice(beam_size, count)):
            best = order[part][np.argsort(-own[order[part]], kind="stable")]
            taken[sentence, part.start : part.start + len(best)] = own[best]
            positions[sentence, part.start : part.start + len(best)] = best
    return taken, positions


def _holds(phrase: tuple[int, ...], part: tuple[int, ...]) -> bool:
    return any(phrase[start : start + len(part)] == part for start in range(len(phrase) - len(part) + 1))
