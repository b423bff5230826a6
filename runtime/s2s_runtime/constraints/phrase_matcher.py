"""An automaton that tells where phrases end in what is written (Aho and Corasick 1975)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints


class PhraseMatcher:
    """A matcher of phrases. Its node is the longest end of what was written with which a phrase begins; 0 is none.

    Args:
        phrases: ids of each, none empty, none twice.
        size: of the vocabulary.

    Attributes:
        phrases: as given.
        tokens: int64 (used,), the ids that occur in phrases.
        columns: int64 (vocabulary,), the column of each id in `following`: 0 where it occurs in no phrase.
        following: int64 (nodes, used + 1), the node after one more token.
        prefixes: the ids that each node stands for, shorter ones first.
        nodes: the node of each.
        ending: bool (nodes, phrases), which phrases end at a node.
    """

    def __init__(self, phrases: Sequence[tuple[int, ...]], size: int) -> None:
        self.phrases = phrases
        self.tokens: Ints = np.array(sorted({token for phrase in phrases for token in phrase}), np.int64)
        self.columns: Ints = np.zeros(size, np.int64)
        self.columns[self.tokens] = np.arange(1, len(self.tokens) + 1)
        self.prefixes = [(), *sorted({p[:n] for p in phrases for n in range(1, len(p) + 1)}, key=lambda p: (len(p), p))]
        self.nodes = node_of = {prefix: node for node, prefix in enumerate(self.prefixes)}
        self.following: Ints = np.zeros((len(self.prefixes), len(self.tokens) + 1), np.int64)
        self.ending: NDArray[np.bool_] = np.zeros((len(self.prefixes), len(phrases)), np.bool_)
        self.suffixes: Ints = np.zeros(len(self.prefixes), np.int64)  # the node of the next shorter end
        numbers = {phrase: number for number, phrase in enumerate(phrases)}
        for node, prefix in enumerate(self.prefixes):  # shorter ones first, so that their suffix is done
            if len(prefix) > 1:
                before = self.suffixes[node_of[prefix[:-1]]]
                self.suffixes[node] = self.following[before, self.columns[prefix[-1]]]
            self.ending[node] = self.ending[self.suffixes[node]]
            if prefix in numbers:
                self.ending[node, numbers[prefix]] = True
            self.following[node] = self.following[self.suffixes[node]]
            for column, token in enumerate(self.tokens.tolist(), 1):
                self.following[node, column] = node_of.get((*prefix, token), self.following[node, column])

    def advance(self, nodes: Ints, tokens: Ints) -> Ints:
        """Return the nodes after one more token: both int64 (rows,)."""
        advanced: Ints = self.following[nodes, self.columns[tokens]]
        return advanced

    def overlap(self, prefix: Sequence[int], phrase: Sequence[int]) -> int:
        """Return how many of the last tokens of `prefix` a phrase begins with, all of it excepted."""
        longest = min(len(prefix), len(phrase) - 1)
        return next(n for n in range(longest, -1, -1) if tuple(prefix[len(prefix) - n :]) == tuple(phrase[:n]))
