"""Dynamic batching: the texts of all requests with the same options go to the same `Decoder`s.

A lane is a `Decoder` with its thread. There are as many lanes for the same options as the server has workers, each made
when all before it are busy. Texts wait here until a lane is free, and what waits then is its next batch. All but the
decoding itself happens in the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Any, Final

from s2s_runtime.batch_decoder import Decoder
from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.model import Model
from s2s_runtime.options import CancelSignal
from s2s_runtime.results import Result
from s2s_runtime.search.cancellation import CancellableModel
from s2s_runtime.serving.request_options import ChosenOptions

_MOST_OPTIONS: Final = 16
"""Different options that are decoded at the same time; requests with others wait for one of these to be done."""

_QUIET: Final = 0.001  # seconds without another request after which a free lane waits no longer
_LONGEST_WAIT: Final = 0.008
_SHARE: Final = 8  # sentences from which on it is worth another lane


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
    """A `Decoder`, and the futures of those who wait for it."""

    def __init__(self, model: Model, chosen: ChosenOptions, note: Callable[[int], None]) -> None:
        steps = _WatchedSteps(model.step_model, self, note)
        watched = Model(model.manifest, steps, model.provider)
        self._decoder = Decoder(watched, max_waiting=2**31, options=chosen.options)
        self.load = 0
        self._submitting = Lock()  # what its thread begins is among the wanted before that thread looks
        self._wanted: set[Future[Result]] = set()
        self._unwanted: set[Future[Result]] = set()  # begun, and nobody waits for them any more

    def submit(self, source: Any, done: Callable[[Future[Result]], None]) -> Future[Result]:
        """Hand in a source; `done` is called, in any thread, once its future is done."""
        with self._submitting:
            future = self._decoder.submit(source)
            self._wanted.add(future)
        self.load += 1
        future.add_done_callback(done)
        return future

    def abandon(self, future: Future[Result]) -> None:
        """Forget that somebody waits for a future: it isn't begun any more, or ends with its batch."""
        with self._submitting:
            self._wanted.discard(future)
            if not future.done():
                self._unwanted.add(future)
        future.cancel()

    def finished(self, future: Future[Result]) -> None:
        """Take note that a future is done."""
        self.load -= 1
        with self._submitting:
            self._wanted.discard(future)
            self._unwanted.discard(future)

    def close(self) -> None:
        """End the thread, once what was handed in is decoded."""
        self._decoder.close()

    def is_set(self) -> bool:
        """Return whether nobody waits for what runs now; the decoder's thread calls this, which begins all it runs."""
        if not self._unwanted:
            return False
        with self._submitting:
            wanted, unwanted = (any(future.running() for future in kind) for kind in (self._wanted, self._unwanted))
            return unwanted and not wanted


class _Caller:
    """A request that waits for the results of its sources."""

    def __init__(self, sources: Sequence[Any], name: Callable[[int], str], loop: asyncio.AbstractEventLoop) -> None:
        self.sources, self.name = sources, name
        self._futures: list[tuple[_Lane, Future[Result]]] = []
        self._left = len(sources)
        self._all: asyncio.Future[None] = loop.create_future()

    @property
    def has_left(self) -> bool:
        """Whether nobody waits for the results any more."""
        return self._all.done()

    def waits_for(self, lane: _Lane, future: Future[Result]) -> None:
        """Wait for one more result."""
        self._futures.append((lane, future))

    def finished(self) -> bool:
        """Take note that a result is there; return whether it was the last."""
        self._left -= 1
        if self._left or self._all.done():
            return False
        self._all.set_result(None)
        return True

    def fail(self, error: Exception) -> None:
        """End the waiting with an error."""
        if not self._all.done():
            self._all.set_exception(error)

    async def results(self) -> list[Result]:
        """Return the results, in order."""
        await self._all
        return [future.result() for _, future in self._futures]

    def leave(self) -> None:
        """Abandon what isn't decoded."""
        self._all.cancel()
        for lane, future in self._futures:
            lane.abandon(future)


class _Group:
    """The lanes for the same options, and the sources that wait for one of them: each a caller and an index."""

    def __init__(self, chosen: ChosenOptions, lane: _Lane) -> None:
        self.chosen = chosen
        self.lanes = [lane]
        self.waiting: deque[tuple[_Caller, int]] = deque()
        self.expected = 0  # callers that were just answered, and may ask again
        self.timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits, or a lane works."""
        return bool(self.waiting) or any(lane.load for lane in self.lanes)


class Batcher:
    """A batcher for the requests to one loaded model.

    Who was just answered often asks again at once. So, where several were answered together, a free lane waits a
    moment for as many; otherwise it would decode the first alone, and the others in small batches after it.

    Args:
        model: decodes.
        lanes: batches with the same options decoded at the same time.
        note: called with the sentences of each batch, in any thread.
    """

    def __init__(self, model: Model, lanes: int, note: Callable[[int], None]) -> None:
        self._model, self._most, self._note = model, lanes, note
        self._groups: OrderedDict[str, _Group] = OrderedDict()  # by the key of their options, last used last
        self._freed = asyncio.Event()  # set for a moment when a group has become idle
        self._finished: deque[tuple[_Lane, _Group, _Caller, Future[Result]]] = deque()
        self._woken = False
        self._loop = asyncio.get_running_loop()

    async def decode(self, sources: Sequence[Any], chosen: ChosenOptions, name: Callable[[int], str]) -> list[Result]:
        """Return the results of sources, decoded together with those of other requests. Cancelling abandons them.

        Args:
            sources: what `Decoder.submit` takes, each.
            chosen: how to decode.
            name: what an error calls the source at an index.

        Raises:
            S2SError: a source can't be read, or decoding failed.
        """
        if not len(sources):
            return []
        group = await self._turn(chosen)
        caller = _Caller(sources, name, self._loop)
        group.waiting.extend((caller, index) for index in range(len(sources)))
        group.expected -= 1
        self._hand_in_soon(group)
        try:
            return await caller.results()
        except BaseException:
            caller.leave()
            raise

    def close(self) -> None:
        """End the threads. Waits until what was handed in is decoded."""
        for group in self._groups.values():
            for lane in group.lanes:
                lane.close()
        self._groups.clear()

    async def _turn(self, chosen: ChosenOptions) -> _Group:
        """Return the group of these options; waits where too many others are busy."""
        while chosen.key not in self._groups and len(self._groups) >= _MOST_OPTIONS:
            idle = next((key for key, group in self._groups.items() if not group.is_busy), None)
            if idle is not None:
                for lane in self._groups.pop(idle).lanes:
                    lane.close()
                break
            await self._freed.wait()
        if chosen.key not in self._groups:  # with a lane, as it is a lane that refuses what the model can't do
            self._groups[chosen.key] = _Group(chosen, _Lane(self._model, chosen, self._note))
        self._groups.move_to_end(chosen.key)
        return self._groups[chosen.key]

    def _hand_in_soon(self, group: _Group) -> None:
        """Hand in what waits where a lane is free, now or when those who are expected have come."""
        if not self._free(group) or not group.waiting:
            return
        if group.expected <= 0 or len(group.waiting) >= group.chosen.options.max_batch_size:
            self._hand_in(group)
        elif group.timer is None:
            self._wait(group, 0, self._loop.time() + _LONGEST_WAIT)

    def _wait(self, group: _Group, before: int, until: float) -> None:
        """Wait on while more come, but not beyond a time."""
        if len(group.waiting) > before and self._loop.time() < until:
            group.timer = self._loop.call_later(_QUIET, self._wait, group, len(group.waiting), until)
        else:
            self._hand_in(group)

    def _hand_in(self, group: _Group) -> None:
        """Share out what waits among the lanes that are free."""
        if group.timer is not None:
            group.timer.cancel()
        group.timer, group.expected = None, 0
        free, most = self._free(group), group.chosen.options.max_batch_size
        while free and group.waiting:
            share = min(most, max(_SHARE, -(-len(group.waiting) // free)))
            lane = self._free_lane(group)
            for _ in range(min(share, len(group.waiting))):
                self._submit(lane, group, *group.waiting.popleft())
            free -= 1

    def _submit(self, lane: _Lane, group: _Group, caller: _Caller, index: int) -> None:
        """Hand in a source of a caller; if it can't be read, that is the caller's error."""
        if caller.has_left:
            return
        try:
            future = lane.submit(caller.sources[index], partial(self._done, lane, group, caller))
        except (InputError, UnknownSymbolError) as error:
            caller.fail(InputError(f"{caller.name(index)}: {error.reason or error}"))
        except Exception as error:  # whatever it is, its caller must hear of it
            caller.fail(error)
        else:
            caller.waits_for(lane, future)

    def _free(self, group: _Group) -> int:
        """Return how many lanes are free, those that aren't made yet among them."""
        return self._most - sum(1 for lane in group.lanes if lane.load)

    def _free_lane(self, group: _Group) -> _Lane:
        lane = next((lane for lane in group.lanes if not lane.load), None)
        if lane is None:
            lane = _Lane(self._model, group.chosen, self._note)
            group.lanes.append(lane)
        return lane

    def _done(self, lane: _Lane, group: _Group, caller: _Caller, future: Future[Result]) -> None:
        """Take what a lane has decoded, in its thread; the loop is woken once for all that comes before it looks."""
        self._finished.append((lane, group, caller, future))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._woken = False  # first: what comes from here on wakes the loop again
        groups: dict[_Group, int] = {}
        while self._finished:
            lane, group, caller, future = self._finished.popleft()
            lane.finished(future)
            groups[group] = groups.get(group, 0) + caller.finished()
        for group, answered in groups.items():
            group.expected = max(group.expected, 0) + answered
            self._hand_in_soon(group)
        if any(not group.is_busy for group in self._groups.values()):
            self._freed.set()  # all who wait look again, in turn
            self._freed.clear()
