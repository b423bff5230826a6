"""Sentences in flight: decoded together, those that come later beside those under way.

Between two runs of a search graph, sentences that have ended leave and others take their places: the states of those
that come are put behind the states that are there. Each starts at its own first token and has its own longest length;
with which others it shares its runs changes nothing that it gives. Batches are encoded whole, which is quicker than a
few sentences at a time, and taken in as there is room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.inputs.batch import Batch
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.finished import Ended
from s2s_runtime.search.plan import DROP_SHARE, SearchPlan
from s2s_runtime.search.step_model import StatesT, WritingModel

_FREE_SHARE: Final = 4  # others are taken in once a quarter of the places is free: each time, all states are copied


class Answer(NamedTuple):
    """What a sentence gave: the batch, its place in that, and its hypotheses, best first."""

    batch: Batch
    place: int
    hypotheses: list[Ended]


class Supply(NamedTuple):
    """What comes into a flow, and how much of it at once.

    Attributes:
        take: gives the next batch; None = there is none now.
        options: say how many sentences, or source steps, may be in flight.
        joins: whether others come in while some are in flight; if not, batches are decoded one after the other.
    """

    take: Callable[[], Batch | None]
    options: DecodingOptions
    joins: bool


class Part(Protocol):
    """What has been written of sentences that began together.

    Attributes:
        batch: the sentences.
        going: bool (sentences,), of those in flight: False at those that have ended and aren't dropped yet.
    """

    batch: Batch
    going: NDArray[np.bool_]

    @property
    def room(self) -> int:
        """Steps until the first sentence that goes on has its longest length."""
        ...

    def drop(self) -> None:
        """Drop the sentences that have ended."""
        ...


PartT = TypeVar("PartT", bound=Part)


class _Encoded(NamedTuple, Generic[StatesT]):
    """A batch of which the sentences from `first` on wait for places."""

    batch: Batch
    states: StatesT
    first: int


class Flow(ABC, Generic[StatesT, PartT]):
    """Sentences in flight.

    Args:
        model: writes.
        plan: how; the same for all.
        supply: what comes.
        width: rows of states for each sentence.
    """

    def __init__(self, model: WritingModel[StatesT], plan: SearchPlan, supply: Supply, width: int = 1) -> None:
        self.model = model
        self.plan = plan
        self.parts: list[PartT] = []
        self._supply = supply
        self._width = width
        self._states: list[StatesT] = []  # of all parts together; none where there are no parts
        self._encoded: _Encoded[StatesT] | None = None

    def run(self, most: int | None = None) -> list[Answer] | None:
        """Write up to `most` tokens (None = as many as there can be) of the sentences in flight.

        Returns:
            The answers of those that end; None where nothing is in flight and nothing came.
        """
        while self._take_in():
            pass
        if not self.parts:
            return None
        room = min(part.room for part in self.parts if part.going.any())
        least = self._least(self._count)
        answers = self._write(self._states[0], least, room if most is None else min(most, room))
        kept = np.flatnonzero(np.concatenate([part.going for part in self.parts]))
        if len(kept) <= least:
            self._keep(kept)
        return answers

    def _take_in(self) -> bool:
        """Let some more sentences take part; False where there is no room for them, or none wait."""
        places, count = self._places(), self._count
        if count and not (self._supply.joins and count + max(1, places // _FREE_SHARE) <= places):
            return False
        if self._encoded is None:
            batch = self._supply.take()
            if batch is None:
                return False
            self._encoded = _Encoded(batch, self._encode(batch), 0)
        batch, states, first = self._encoded
        last = len(batch)
        if self._supply.joins:
            last = min(last, first + max(self._places(batch.time) - count, 0 if count else 1))
        if last <= first:
            return False
        if last - first < len(batch):
            states = self.model.select(states, self._rows(np.arange(first, last)))
        if count:
            joined = self.model.join(self._states[0], states, max(self._time, batch.time))
            if joined is None:
                return False
            states = joined
        self._states = [states]
        self.parts.append(self._begin(batch.cut(first, last)))
        self._encoded = None if last == len(batch) else self._encoded._replace(first=last)
        return True

    @property
    def _count(self) -> int:
        """Sentences in flight."""
        return sum(len(part.going) for part in self.parts)

    @property
    def _time(self) -> int:
        """Length of the longest padded source in flight."""
        return max((part.batch.time for part in self.parts), default=0)

    def _places(self, time: int = 1) -> int:
        """How many sentences may be in flight, one with a padded source of length `time` among them."""
        options = self._supply.options
        return options.max_batch_size // (max(self._time, time) if options.batch_by == "tokens" else 1)

    def _keep(self, kept: NDArray[np.intp]) -> None:
        """Drop the sentences that have ended."""
        self._states = [self.model.select(self._states[0], self._rows(kept))] if len(kept) else []
        for part in self.parts:
            part.drop()
        self.parts = [part for part in self.parts if len(part.going)]

    def _pieces(self) -> Iterator[tuple[PartT, slice]]:
        """Each part, and where its sentences are among those of all."""
        start = 0
        for part in self.parts:
            yield part, slice(start, start + len(part.going))
            start += len(part.going)

    def _rows(self, sentences: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows of states of some sentences."""
        return (sentences[:, None] * self._width + np.arange(self._width)).reshape(-1)

    def _encode(self, batch: Batch) -> StatesT:
        """States before the first step."""
        states = self.model.encode(batch.source, *batch.others)
        return states if self._width == 1 else self.model.select(states, np.repeat(np.arange(len(batch)), self._width))

    def _least(self, count: int) -> int:
        """Of so many sentences in flight, how many may go on at most for those that have ended to be dropped."""
        return count - -(-count // DROP_SHARE)

    @abstractmethod
    def _begin(self, batch: Batch) -> PartT:
        """A part of which nothing is written yet."""

    @abstractmethod
    def _write(self, states: StatesT, least: int, steps: int) -> list[Answer]:
        """Run the graph over all parts and let each take in its piece.

        Args:
            states: of all, advanced by as many steps as were written.
            least: come back once no more sentences than this go on.
            steps: most tokens to write.
        """
