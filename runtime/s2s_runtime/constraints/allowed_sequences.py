"""A list of the outputs that there may be, as a trie in four arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.constraints.automaton import START

_NEVER: Final = np.float32(-np.inf)


class SequenceTrie:
    """A trie of sequences of ids. Its nodes are numbered level by level, those of a level in the order of their prefix.

    So the children of a node follow one another, and a child is found by bisection among the keys of all.

    Args:
        sequences: at least one; of several that are the same, one counts.
        size: of the vocabulary.
        end_ids: ids that end a target, at least one.
    """

    restricts = True

    def __init__(self, sequences: Sequence[Sequence[int]], size: int, end_ids: Ints) -> None:
        self._size, self._end_ids = size, end_ids
        table = _sorted_rows(sequences)
        lengths = (table >= 0).sum(axis=1)
        levels, parents, tokens, ends = [0, 1], [], [], [np.array([bool((lengths == 0).any())])]
        nodes = np.zeros(len(table), np.int64)  # of each sequence, on the level above
        differs = np.zeros(len(table), np.bool_)
        differs[0] = True
        for level in range(table.shape[1]):
            column = table[:, level]
            differs = differs | np.append(True, column[1:] != column[:-1])
            here = column >= 0
            first = differs & here  # the first sequence of each node of this level
            number = levels[-1] + np.cumsum(first) - 1
            parents.append(nodes[first])
            tokens.append(column[first])
            whole = np.zeros(int(first.sum()), np.bool_)
            whole[number[here & (lengths == level + 1)] - levels[-1]] = True
            ends.append(whole)
            nodes = np.where(here, number, nodes)
            levels.append(levels[-1] + int(first.sum()))
        parent = np.concatenate([np.zeros(0, np.int64), *parents])
        token = np.concatenate([np.zeros(0, np.int64), *tokens])  # of node i + 1, as `parent`
        self._keys: Ints = np.append(parent * size + token, np.iinfo(np.int64).max)
        self._ends: NDArray[np.bool_] = np.append(np.concatenate(ends), False)
        self._dead = len(self._ends) - 1  # where no sequence goes on from, the last node
        self._least = self._least_left(parent, levels)
        self._token = np.append(token, 0)
        self._alone = self._lead_to_one(parent, levels)
        self._follow(parent, token)

    def _least_left(self, parent: Ints, levels: Sequence[int]) -> Ints:
        """Return how many more tokens a sequence has at least, from each node on, its end not counted."""
        least: Ints = np.where(self._ends, 0, np.iinfo(np.int64).max)
        for first, stop in zip(levels[-2:0:-1], levels[:1:-1], strict=True):
            np.minimum.at(least, parent[first - 1 : stop - 1], least[first:stop] + 1)
        return least

    def _lead_to_one(self, parent: Ints, levels: Sequence[int]) -> NDArray[np.bool_]:
        """Return from which nodes on there is one sequence left, which is then known to its end."""
        left = self._ends.astype(np.int64)
        for first, stop in zip(levels[-2:0:-1], levels[:1:-1], strict=True):
            np.add.at(left, parent[first - 1 : stop - 1], left[first:stop])
        alone: NDArray[np.bool_] = left == 1
        return alone

    def _follow(self, parent: Ints, token: Ints) -> None:
        """List what may follow each node, its children's tokens and then the end's, those of a node side by side."""
        whole = np.flatnonzero(self._ends)
        nodes = np.concatenate([parent, whole.repeat(len(self._end_ids))])
        order = nodes.argsort(kind="stable")
        self._tokens: Ints = np.concatenate([token, np.tile(self._end_ids, len(whole))])[order]
        # how many tokens must be left for each of them
        self._needs: Ints = np.concatenate([self._least[1:-1] + 1, np.ones(len(nodes) - len(token), np.int64)])[order]
        self._first: Ints = nodes[order].searchsorted(np.arange(self._dead + 2))
        self._most_needed = int(self._needs.max())

    def decided(self, places: Ints) -> NDArray[np.bool_]:
        """Return at which nodes one sequence alone is left, bool (rows,), so that no model has to be asked."""
        decided: NDArray[np.bool_] = self._alone[places]
        return decided

    def rest(self, place: int) -> list[int]:
        """Return the tokens that are left of the one sequence that a node leads to, its end not counted."""
        tokens: list[int] = []
        while not self._ends[place]:
            place = int(self._keys.searchsorted(place * self._size)) + 1
            tokens.append(int(self._token[place - 1]))
        return tokens

    def best(self, logits: Floats, place: int, left: int) -> Ints:
        """Return the likeliest token, int64 (1,), that leads from a node to a whole sequence within what is left.

        Args:
            logits: float32 (1, vocabulary).
            place: the node.
            left: most tokens that may still be written.
        """
        tokens = self._listed(place, left)
        return tokens if len(tokens) == 1 else tokens[logits[0].take(tokens).argmax(keepdims=True)]

    def advance(self, places: Ints, tokens: Ints) -> Ints:
        """Return the nodes after one more token. See `Automaton.advance`."""
        if len(places) == 1:  # half the time of what follows
            key = int(places[0]) * self._size + int(tokens[0])
            found = int(self._keys.searchsorted(key))
            return np.array([found + 1 if self._keys[found] == key else self._dead])
        keys = places * self._size + tokens
        index = self._keys.searchsorted(keys)
        return np.where(self._keys[index] == keys, index + 1, self._dead)

    def apply(self, logits: Floats, places: Ints, left: Ints) -> None:
        """Leave the tokens that lead to a whole sequence within what is left. See `Automaton.apply`."""
        if len(places) == 1:  # half the time of what follows
            tokens, row = self._listed(int(places[0]), int(left[0])), logits[0]
            kept = row[tokens]
            row.fill(_NEVER)
            row[tokens] = kept
            return
        first = self._first[places]
        counts = self._first[places + 1] - first
        before = counts.cumsum() - counts
        index = np.arange(int(before[-1] + counts[-1])) + (first - before).repeat(counts)
        cells = self._tokens[index] + np.arange(0, logits.size, self._size).repeat(counts)
        if left.min() < self._most_needed:
            cells = cells[self._needs[index] <= left.repeat(counts)]
        kept = logits.take(cells)
        logits.fill(_NEVER)
        logits.put(cells, kept)

    def _listed(self, node: int, left: int) -> Ints:
        """Return the tokens that lead from a node to a whole sequence within what is left."""
        own = slice(int(self._first[node]), int(self._first[node + 1]))
        tokens = self._tokens[own]
        return tokens if left >= self._most_needed else tokens[self._needs[own] <= left]

    def problem(self, written: Sequence[int], limit: int) -> str:
        """Return why no sequence begins like this and fits, or "". See `Automaton.problem`."""
        place = np.array([START])
        for token in written:
            if token in self._end_ids:
                return "" if self._ends[place[0]] else "allowed_sequences: none of them is the prefix, which ends"
            place = self.advance(place, np.array([token]))
            if place[0] == self._dead:
                return "allowed_sequences: none of those that may be written begins with the prefix"
        shortest = len(written) + int(self._least[place[0]])
        if shortest > limit:
            return f"allowed_sequences: the shortest that fits has {shortest} tokens, but the target may have {limit}"
        return ""


def _sorted_rows(sequences: Sequence[Sequence[int]]) -> Ints:
    """Return sequences as rows, -1 behind the last token of each, in the order of their tokens."""
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    table = np.full((len(sequences), int(lengths.max())), -1, np.int64)
    flat = np.fromiter((token for sequence in sequences for token in sequence), np.int64, int(lengths.sum()))
    table[np.arange(table.shape[1]) < lengths[:, None]] = flat
    return table[np.lexsort(table.T[::-1])] if table.shape[1] else table
