"""The frame of searches by a graph that writes many tokens in one run.

Between two runs, sentences that have ended are dropped once there are enough of them: dropping copies states, and
keeping them computes what nobody reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.errors import RunError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.plan import DROP_SHARE, SearchPlan
from s2s_runtime.search.step_model import StatesT, WritingModel


class SentenceHypotheses(NamedTuple):
    """The hypotheses of one sentence, best first; `sentence` is its index in the batch. Or why there are none.

    `further` holds what a model of several outputs gives beside, by name: hypotheses likewise, or values.
    """

    batch: Batch
    sentence: int
    hypotheses: list[EndedSequence]
    error: RunError | None = None
    further: Mapping[str, list[EndedSequence] | Floats] | None = None


class GraphSearch(ABC, Generic[StatesT]):
    """One search over one batch by a graph.

    Args:
        model: the model whose graph writes.
        batch: the sentences.
        plan: how to search.
        width: rows of states for each sentence.
    """

    def __init__(self, model: WritingModel[StatesT], batch: Batch, plan: SearchPlan, width: int = 1) -> None:
        self.model = model
        self.batch = batch
        self.plan = plan
        self.sentences: Ints = np.arange(len(batch))  # in flight: indices in the batch
        self.going: NDArray[np.bool_] = np.ones(len(batch), np.bool_)  # of these, False where ended and not dropped yet
        self.length = 0
        self._width = width

    def run(self) -> Iterator[SentenceHypotheses]:
        """Yield the hypotheses of each sentence as it ends."""
        states = self._encoded()
        while self.going.any():
            count = len(self.going)
            room = int(self.batch.limits[self.sentences[self.going]].min()) - self.length
            yield from self.write(states, self.least(count), room)
            kept = np.flatnonzero(self.going)
            if 0 < len(kept) <= self.least(count):
                states = self.model.select(states, self._rows(kept))
                self.drop(kept)

    def least(self, count: int) -> int:
        """Return how many of so many sentences may go on at most for those that have ended to be dropped."""
        return count - -(-count // DROP_SHARE)

    @abstractmethod
    def write(self, states: StatesT, least: int, steps: int) -> Iterator[SentenceHypotheses]:
        """Run the graph once, take in what it wrote, and yield the sentences that have ended with it.

        Args:
            states: advanced by as many steps as were written.
            least: the graph comes back once no more sentences than this go on.
            steps: most tokens to write.
        """

    def drop(self, kept: NDArray[np.intp]) -> None:
        """Drop all sentences in flight but these, int64 (kept,)."""
        self.sentences, self.going = self.sentences[kept], self.going[kept]

    def _encoded(self) -> StatesT:
        states = self.model.encode(self.batch.source, *self.batch.others)
        return states if self._width == 1 else self.model.select(states, np.arange(len(self.batch)).repeat(self._width))

    def _rows(self, sentences: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the rows of states of some sentences."""
        return (sentences[:, None] * self._width + np.arange(self._width)).reshape(-1)
