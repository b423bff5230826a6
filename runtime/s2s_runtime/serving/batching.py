"""Dynamic batching: the texts of all requests with the same options are decoded together.

A lane is a thread with a batch under way. There are as many lanes for the same options as the server has workers. A
lane takes what waits as its next batch by itself, so that it never waits for the event loop, which has answers to
write meanwhile; and it hands each result over as it is there.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Final

from s2s_runtime.decoding.decoding import Decoding
from s2s_runtime.decoding.request import Request
from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.model import Model
from s2s_runtime.options import CancelSignal
from s2s_runtime.results import Result
from s2s_runtime.search.cancellation import CancellableModel
from s2s_runtime.serving.request_options import ChosenOptions

_MOST_OPTIONS: Final = 16
"""Different options that are decoded at the same time; requests with others wait for one of these to be done."""

_SHARE: Final = 8  # sentences from which on it is worth another lane


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One source of a caller, by its index."""

    caller: _Caller
    index: int

    @property
    def source(self) -> Any:
        return self.caller.sources[self.index]


class _Caller:
    """A request that waits for the results of its sources.

    Args:
        sources: what it asks for.
        name: what errors call a source.
        loop: the event loop in which it waits.
    """

    def __init__(self, sources: Sequence[Any], name: Callable[[int], str], loop: asyncio.AbstractEventLoop) -> None:
        self.sources, self._name = sources, name
        self._results: list[Any] = [None] * len(sources)
        self._left = len(sources)
        self.answered: asyncio.Future[list[Result]] = loop.create_future()

    @property
    def has_left(self) -> bool:
        """Whether nobody waits for the results any more; any thread may look."""
        return self.answered.done()

    def take(self, index: int, result: Result | Exception) -> None:
        """Take a result, or the error in which it ended; the first error is the caller's."""
        if self.answered.done():
            return
        error = result.error if isinstance(result, Result) else result
        if error is not None:
            self.answered.set_exception(self._named(error, index))
            return
        self._results[index] = result
        self._left -= 1
        if not self._left:
            self.answered.set_result(self._results)

    def _named(self, error: Exception, index: int) -> Exception:
        if isinstance(error, InputError | UnknownSymbolError):
            return InputError(f"{self._name(index)}: {error.reason or error}")
        return error


class _WatchedSteps(CancellableModel[Any]):
    """A step model that tells how large each batch is, and stops where nobody waits for the batch any more.

    Args:
        model: the step model that does the work.
        abandoned: set where nobody waits; looked at before each run of a graph.
        note: called with the sentences of each batch.
    """

    def __init__(self, model: Any, abandoned: CancelSignal, note: Callable[[int], None]) -> None:
        super().__init__(model, abandoned, sys.maxsize)  # the decoder cuts long runs
        self._note = note

    def encode(self, source: Any, *others: Any) -> Any:
        """See `StepModel.encode`."""
        self._note(len(source))
        return super().encode(source, *others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Lane:
    """What decodes one batch after the other, in whichever thread calls it."""

    def __init__(self, model: Model, chosen: ChosenOptions, note: Callable[[int], None]) -> None:
        steps = _WatchedSteps(model.step_model, self, note)
        watched = Model(model.manifest, steps, model.provider)
        self._decoding: Decoding = watched.prepare(replace(chosen.options, on_error="return"))
        self._under_way: Sequence[_Part] = ()

    def close(self) -> None:
        """Let go of the model, which refers to this lane; nothing can be decoded any more."""
        del self._decoding

    def is_set(self) -> bool:
        """Return whether nobody waits for what is under way."""
        return all(part.caller.has_left for part in self._under_way)

    def decode(self, parts: Sequence[_Part], give: Callable[[_Part, Result | Exception], None]) -> None:
        """Decode a batch, and give each result as it is there, or the error in its place. Raises nothing."""
        given: set[_Part] = set()

        def give_once(part: _Part, result: Result | Exception) -> None:
            if part not in given:
                given.add(part)
                give(part, result)

        try:
            for taken, request, batches in self._read(parts, give_once):
                self._under_way = taken
                self._decode(taken, request, batches, give_once)
        except BaseException as error:  # whatever it is, those who wait must hear of it
            failure = error if isinstance(error, Exception) else RuntimeError(f"decoding ended: {error!r}")
            for part in parts:
                give_once(part, failure)
        self._under_way = ()

    def _read(
        self, parts: Sequence[_Part], give: Callable[[_Part, Exception], None]
    ) -> Iterator[tuple[Sequence[_Part], Request, list[Batch]]]:
        """Yield the parts as they can be decoded together: all, or, where some are refused, without these.

        Sources of different callers may be of kinds that don't go together: what is refused is halved and read again.
        """
        try:
            request = self._decoding.read([part.source for part in parts], None)
            batches = self._decoding.batches(request)
        except Exception as error:
            if len(parts) == 1:
                give(parts[0], error)
                return
            middle = len(parts) // 2
            yield from self._read(parts[:middle], give)
            yield from self._read(parts[middle:], give)
        else:
            yield parts, request, batches

    def _decode(
        self,
        parts: Sequence[_Part],
        request: Request,
        batches: Sequence[Batch],
        give: Callable[[_Part, Result | Exception], None],
    ) -> None:
        """Decode what was read of some parts; `give` heeds the first result of each."""
        decoding, is_plain = self._decoding, request.is_plain
        found: dict[int, Result] = {}
        for ended in decoding.search(batches, decoding.plan, apart=True):
            index = int(ended.batch.indices[ended.sentence])
            found[index] = result = decoding.result(request, index, ended)
            if is_plain:
                give(parts[index], result)  # which isn't to wait for the others
        rows = decoding.rows(request, decoding.in_order(request, found))
        for part, result in zip(parts, rows, strict=True):
            give(part, result)


class _Group:
    """The lanes for the same options, and what waits for one of them.

    Args:
        make_lane: makes one more lane.
        most: lanes.
        batch: most sentences in a batch.
        give: called, in the threads, with each result.
        freed: called, in the threads, when a lane has nothing more to do.
    """

    def __init__(
        self,
        make_lane: Callable[[], _Lane],
        most: int,
        batch: int,
        give: Callable[[_Part, Result | Exception], None],
        freed: Callable[[], None],
    ) -> None:
        self._make_lane, self._most, self._batch, self._give, self._freed = make_lane, most, batch, give, freed
        self._resting = [make_lane()]  # with a lane, as it is a lane that refuses what the model can't do
        self._working = 0
        self._woken: set[_Lane] = set()  # working, but without a batch yet
        self._waiting: deque[_Part] = deque()
        self._taking = Lock()  # guards all of these
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="s2s-lane")

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits, or a lane works."""
        return bool(self._waiting) or self._working > 0

    def add(self, caller: _Caller) -> None:
        """Let the sources of a caller wait, and wake as many lanes that rest as it is worth."""
        parts = [_Part(caller, index) for index in range(len(caller.sources))]
        with self._taking:
            self._waiting.extend(parts)
            while (lane := self._rested()) is not None:
                self._threads.submit(self._work, lane)

    def close(self) -> None:
        """End the threads, once what waits is decoded, and let go of the model: that isn't to wait for a collection."""
        self._threads.shutdown()
        while self._resting:
            self._resting.pop().close()

    def _rested(self) -> _Lane | None:
        """Return a lane that is to work: where one rests or may be made, and so many wait that it is worth it."""
        if self._working == self._most or len(self._waiting) < (_SHARE * self._working or 1):
            return None
        if not self._resting:
            self._resting.append(self._make_lane())
        lane = self._resting.pop()
        self._working += 1
        self._woken.add(lane)
        return lane

    def _work(self, lane: _Lane) -> None:
        """Decode what waits, batch after batch; rest when nothing waits."""
        while parts := self._taken(lane):
            lane.decode(parts, self._give)
        self._freed()

    def _taken(self, lane: _Lane) -> list[_Part]:
        """Return the share of a lane in what waits; where that is nothing, it rests from now on."""
        with self._taking:
            self._woken.discard(lane)
            sharing = 1 + len(self._woken) + self._most - self._working
            share = max(_SHARE, -(-len(self._waiting) // sharing))
            parts: list[_Part] = []
            while self._waiting and len(parts) < min(share, self._batch):
                part = self._waiting.popleft()
                if not part.caller.has_left:
                    parts.append(part)
            if not parts:
                self._working -= 1
                self._resting.append(lane)
            return parts


class Batcher:
    """A batcher for the requests to one loaded model.

    Args:
        model: decodes.
        lanes: batches with the same options decoded at the same time.
        note: called with the sentences of each batch, in any thread.
    """

    def __init__(self, model: Model, lanes: int, note: Callable[[int], None]) -> None:
        self._model, self._most, self._note = model, lanes, note
        self._groups: OrderedDict[str, _Group] = OrderedDict()  # by the key of their options, last used last
        self._freed = asyncio.Event()  # set for a moment when a group has become idle
        self._given: deque[tuple[_Part, Result | Exception]] = deque()
        self._woken = False
        self._loop = asyncio.get_running_loop()

    async def decode(self, sources: Sequence[Any], chosen: ChosenOptions, name: Callable[[int], str]) -> list[Result]:
        """Return the results of sources, decoded together with those of other requests. Cancelling abandons them.

        Args:
            sources: rows that `Model.generate` takes.
            chosen: how to decode.
            name: what an error calls the source at an index.

        Raises:
            S2SError: a source can't be read, or decoding failed.
        """
        if not len(sources):
            return []
        group = await self._turn(chosen)
        caller = _Caller(sources, name, self._loop)
        group.add(caller)
        return await caller.answered

    def close(self) -> None:
        """End the threads. Waits until what was handed in is decoded."""
        for group in self._groups.values():
            group.close()
        self._groups.clear()

    async def _turn(self, chosen: ChosenOptions) -> _Group:
        """Return the group of these options; waits where too many others are busy."""
        while chosen.key not in self._groups and len(self._groups) >= _MOST_OPTIONS:
            idle = next((key for key, group in self._groups.items() if not group.is_busy), None)
            if idle is not None:
                self._groups.pop(idle).close()
                break
            await self._freed.wait()
        if chosen.key not in self._groups:
            self._groups[chosen.key] = _Group(
                lambda: _Lane(self._model, chosen, self._note),
                self._most,
                chosen.options.max_batch_size,
                self._give,
                self._rested,
            )
        self._groups.move_to_end(chosen.key)
        return self._groups[chosen.key]

    def _give(self, part: _Part, result: Result | Exception) -> None:
        """Take a result, in the thread of a lane; the loop is woken once for all that come before it looks."""
        self._given.append((part, result))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._woken = False  # first: what comes from here on wakes the loop again
        while self._given:
            part, result = self._given.popleft()
            part.caller.take(part.index, result)

    def _rested(self) -> None:
        """Take note, in the thread of a lane, that it has nothing more to do."""
        self._loop.call_soon_threadsafe(self._look_again)

    def _look_again(self) -> None:
        """Wake those who wait for a group to become idle, in turn."""
        self._freed.set()
        self._freed.clear()
