"""Weights of phrases: what each occurrence adds to the log-probability of a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.constraints.phrase_matcher import PhraseMatcher


class PhraseWeights:
    """Weights of phrases, as an automaton.

    A phrase of positive weight that was begun counts in part already, so that a beam keeps it; where it isn't gone on
    with, that is taken back. So a sequence that has ended has the weights of what occurs in it, and nothing else.

    Args:
        weights: by the ids of a phrase, none of them empty.
        size: of the vocabulary.
    """

    restricts = False

    def __init__(self, weights: Mapping[tuple[int, ...], float], size: int) -> None:
        self._matcher = matcher = PhraseMatcher(list(weights), size)
        gain = matcher.ending @ np.array(list(weights.values()))
        credit = np.zeros(len(matcher.prefixes))
        for phrase, weight in weights.items():
            for count in range(1, len(phrase)):
                node = matcher.nodes[phrase[:count]]
                credit[node] = max(credit[node], weight * count / len(phrase))
        for node, suffix in enumerate(matcher.suffixes.tolist()):  # shorter ones first
            credit[node] = max(credit[node], credit[suffix])
        following = matcher.following
        last = gain[following] - credit[:, None]
        self._last: Floats = last.astype(np.float32)  # what the last token that fits adds
        self._added: Floats = (last + credit[following]).astype(np.float32)  # and any other
        self.most_added = max(0.0, float(self._added.max()), float(self._last.max()))

    def advance(self, places: Ints, tokens: Ints) -> Ints:
        """See `Automaton.advance`."""
        return self._matcher.advance(places, tokens)

    def apply(self, logits: Floats, places: Ints, left: Ints) -> None:
        """Add what each token would add. See `Automaton.apply`."""
        added = self._at(places, left)
        logits += added[:, :1]
        logits[:, self._matcher.tokens] += added[:, 1:] - added[:, :1]

    def added(self, places: Ints, tokens: Ints, left: Ints) -> Floats:
        """Return what given tokens add: float32 (rows,)."""
        added: Floats = self._at(places, left)[np.arange(len(places)), self._matcher.columns[tokens]]
        return added

    def _at(self, places: Ints, left: Ints) -> Floats:
        return np.where((left > 1)[:, None], self._added[places], self._last[places])

    def problem(self, written: Sequence[int], limit: int) -> str:
        """See `Automaton.problem`: weights forbid nothing."""
        return ""
