"""Greedy search by a graph that writes many tokens in one run; the same tokens as `s2s_runtime.search.greedy` takes.

The graph comes back when enough rows have ended to be worth dropping, or when a row reaches its longest length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.finished import Ended
from s2s_runtime.search.graph_search import Answer, Flow
from s2s_runtime.search.history import doubled
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StatesT, Writing

_FIRST_CAPACITY = 64


class GreedyFlow(Flow[StatesT, "_Written"]):
    """Sentences of which the likeliest token is taken at each step; each gives one hypothesis, without a score."""

    def _begin(self, batch: Batch) -> _Written:
        return _Written(batch, self.plan)

    def _write(self, states: StatesT, least: int, steps: int) -> list[Answer]:
        tokens = np.concatenate([part.tokens for part in self.parts])
        live = np.concatenate([part.going for part in self.parts]).astype(np.float32)
        writing = Writing(self.plan.rules.always, self.plan.goes_on, live, least, steps)
        block = self.model.write(states, tokens, writing)  # (steps, rows)
        return [answer for part, place in self._pieces() for answer in part.add(block[:, place])]


class _Written:
    """What has been written of a batch."""

    def __init__(self, batch: Batch, plan: SearchPlan) -> None:
        self.batch = batch
        self.going: NDArray[np.bool_] = np.ones(len(batch), np.bool_)
        self.tokens: Ints = np.full(len(batch), plan.start_id, np.int64)  # the last of each in flight
        self._sentences = np.arange(len(batch))  # in flight: places in the batch
        self._plan = plan
        self._length = 0
        self._written: Ints = np.zeros((len(batch), _FIRST_CAPACITY), np.int64)  # of all sentences

    @property
    def room(self) -> int:
        return int(self.batch.limits[self._sentences[self.going]].min()) - self._length

    def add(self, block: Ints) -> Iterator[Answer]:
        """Take in tokens (steps, sentences); rows that have ended are written on like the others."""
        before, self._length = self._length, self._length + len(block)
        while self._length > self._written.shape[1]:
            self._written = doubled(self._written)
        self._written[self._sentences, before : self._length] = block.T
        self.tokens = block[-1]
        ends = self._plan.is_end[block]
        ended = ends.any(axis=0) & self.going
        full = (self.batch.limits[self._sentences] <= self._length) & self.going & ~ended
        self.going = self.going & ~ended & ~full
        lengths = np.where(ended, before + ends.argmax(axis=0) + 1, self._length)
        for row in np.flatnonzero(ended | full):
            sentence = int(self._sentences[row])
            ids = self._written[sentence, : lengths[row]].tolist()
            yield Answer(self.batch, sentence, [Ended(ids, "end" if ended[row] else "length", None)])

    def drop(self) -> None:
        self._sentences, self.tokens = self._sentences[self.going], self.tokens[self.going]
        self.going = self.going[self.going]
