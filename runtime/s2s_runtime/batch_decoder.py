"""Decoding together the sentences that come one at a time from any threads, as to a server.

One thread decodes. Sentences that come meanwhile wait until the batch has ended, and are the next batch: a sentence
that comes alone is decoded at once, and the more sentences come, the larger the batches are.
"""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache
from queue import Full
from threading import Condition, Event, Thread
from typing import Final, Unpack
from weakref import WeakSet

from s2s_runtime.array_types import Ints
from s2s_runtime.declared_options import takes_options, verb_problems
from s2s_runtime.decoding.request import Request, together
from s2s_runtime.decoding.streaming import refuse_prefix
from s2s_runtime.errors import ClosedModelError, OptionError, S2SError
from s2s_runtime.forks import watch_forks
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.sources import Row
from s2s_runtime.model import Model
from s2s_runtime.options import DecodingOptions, OptionValues
from s2s_runtime.results import Result
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.spelling import shown

_FORKED: Final = (
    "this decoder's thread belongs to the process that this one was forked from; make a Decoder in this process"
)


class QueueFullError(S2SError, Full):
    """As many sentences wait to be decoded as a `Decoder` lets wait."""  # here: of all errors it alone needs a queue


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A sentence that was handed in, its result, for which a caller waits, and the results of its sources so far."""

    request: Request
    result: Future[Result]
    ended: dict[int, Result] = field(default_factory=dict)


class Decoder(AbstractContextManager["Decoder"]):
    """A batch decoder: it puts the sentences of all callers into batches and decodes them as they come.

    It may be shared between threads. A `with` block closes it at its end. Each sentence gets the result that
    `Model.generate` gives it. At the interpreter's exit the decoder ends by itself: what still
    waits is cancelled. A forked child has to make its own.

    Args:
        model: the model that decodes.
        max_waiting: most sentences that may wait to be decoded.
        options: see `Model.generate`.
        **values: the fields of `DecodingOptions`, the same for all sentences, without `prefix` and
            `return_alternatives`. `max_batch_size` says how many are decoded at once. Events of a `callback` count
            sentences in the order in which they begin.

    Raises:
        OptionError: an option is out of range, or needs what the bundle lacks.
        ClosedModelError: the model is closed.

    Example:
        >>> with Decoder(model, beam_size=4) as decoder:              # doctest: +SKIP
        ...     future = decoder.submit("Run!")                       # from any thread
        ...     print(future.result().text)
    """

    @takes_options(DecodingOptions)
    def __init__(
        self,
        model: Model,
        *,
        max_waiting: int = 1024,
        options: DecodingOptions | None = None,
        **values: Unpack[OptionValues],
    ) -> None:
        if not isinstance(max_waiting, int) or isinstance(max_waiting, bool) or max_waiting < 1:
            raise OptionError(f"max_waiting: expected an integer of at least 1, got {shown(max_waiting)}")
        if not hasattr(model, "prepare"):
            raise OptionError(f"model: expected a loaded model, got {shown(model)}")
        self._decoding = model.prepare(options, **values)
        refuse_prefix(self._decoding)
        problems = verb_problems(self._decoding.options, "Decoder")
        if problems:
            raise OptionError("; ".join(problems))
        self._plan = self._decoding.plan_from(0)
        self._max_waiting = max_waiting
        self._changed = Condition()  # guards the next two
        self._waiting: deque[_Job] = deque()
        self._closed = False
        self._jobs: dict[int, tuple[_Job, int]] = {}  # begun: a job and the index of a source of its, by number
        self._begun = 0
        self._batches: deque[Batch] = deque()  # cut, not taken yet
        self._results: WeakSet[Future[Result]] = WeakSet()  # promised
        self._forked = False
        self._exiting = Event()
        self._decoding = self._decoding.stoppable(self._exiting)
        self._thread = Thread(target=self._work, name="s2s-decoder", daemon=True)
        self._thread.start()
        watch_forks(self)
        _end_at_exit()
        _decoders.add(self)

    def after_fork(self) -> None:
        """Give up in a forked child, which doesn't have the thread: whoever waits there hears of it."""
        self._forked = self._closed = True
        self._changed = Condition()
        self._waiting.clear()
        for result in list(self._results):
            result._condition = Condition()  # another thread may have held it
            if not result.done():
                result.set_exception(ClosedModelError(_FORKED))

    def _end(self) -> None:
        """Cancel what waits, stop what runs at its next step, and end the thread."""
        self._exiting.set()
        with self._changed:
            self._closed = True
            for job in self._waiting:
                job.result.cancel()
            self._changed.notify()
        self._thread.join()

    def submit(self, source: Row | Mapping[str, Row]) -> Future[Result]:
        """Hand in a sentence to be decoded.

        Args:
            source: a text, or ids; for several sources a mapping from their names to these.

        Returns:
            A future of its result, or of the error in which decoding ended. Cancelling it has an effect while it waits.

        Raises:
            InputError, UnknownSymbolError: as `Model.generate`.
            QueueFullError: `max_waiting` sentences wait already.
            ClosedModelError: the decoder was closed.
        """
        job = _Job(self._decoding.read([source], None), Future())
        if job.request.is_empty:
            self._finish(job)
            return job.result
        with self._changed:
            if self._closed:
                raise ClosedModelError(_FORKED if self._forked else "this decoder is closed; make another")
            if len(self._waiting) >= self._max_waiting:
                raise QueueFullError(
                    f"{self._max_waiting} sentences wait already; try again later, or raise max_waiting"
                )
            self._waiting.append(job)
            self._results.add(job.result)
            self._changed.notify()
        return job.result

    def close(self) -> None:
        """Decode what was handed in, then end. Nothing can be handed in afterwards. Closing twice is no error."""
        if self._forked:
            return
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        _decoders.discard(self)

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _most(self) -> int:
        return self._decoding.options.max_batch_size

    def _work(self) -> None:
        """Decode what comes until the decoder is closed and nothing waits."""
        decoding = self._decoding
        while self._wait():
            try:
                for ended in decoding.search(iter(self._take, None), self._plan, apart=True):
                    self._give(ended)
            except BaseException as error:  # a callback's SystemExit too: those who wait must hear of it
                for result in {job.result for job, _ in self._jobs.values()}:
                    result.set_exception(error)
                self._jobs.clear()
                self._batches.clear()

    def _wait(self) -> bool:
        """Wait for a sentence; return False where none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return len(self._waiting) > 0

    def _take(self) -> Batch | None:
        """Return the next batch; None where nothing waits now."""
        while not self._batches:
            with self._changed:
                jobs = list(self._popped())
            if not jobs:
                return None
            self._begin([job for job in jobs if job.result.set_running_or_notify_cancel()])
        return self._batches.popleft()

    def _popped(self) -> Iterator[_Job]:
        """Take jobs off the queue: one, and as many more as have no more sources with it than a batch may have."""
        count = 0
        while self._waiting and (not count or count + len(self._waiting[0].request) <= self._most):
            job = self._waiting.popleft()
            count += len(job.request)
            yield job

    def _begin(self, jobs: list[_Job]) -> None:
        """Give the sources of jobs their numbers and cut them into batches."""
        own = [(job, index) for job in jobs for index in range(len(job.request))]
        first, self._begun = self._begun, self._begun + len(own)
        self._jobs.update(enumerate(own, first))
        for batch in self._decoding.batches(together([job.request for job in jobs])):
            numbers: Ints = batch.indices + first
            self._batches.append(replace(batch, indices=numbers))

    def _give(self, ended: SentenceHypotheses) -> None:
        """Hand a result to the caller who waits for it, once all sources of the job have ended."""
        number = int(ended.batch.indices[ended.sentence])
        job, index = self._jobs[number]
        job.ended[index] = self._decoding.result(job.request, index, ended)
        if len(job.ended) == sum(len(array) > 0 for array in job.request.sources.arrays):
            self._finish(job)
        del self._jobs[number]  # not before: where that failed, whoever waits must hear of it

    def _finish(self, job: _Job) -> None:
        [result] = self._decoding.rows(job.request, self._decoding.in_order(job.request, job.ended))
        if result.error is None:
            job.result.set_result(result)
        else:
            job.result.set_exception(result.error)


_decoders: WeakSet[Decoder] = WeakSet()  # whose threads run


@cache
def _end_at_exit() -> None:
    """End the threads of all decoders before the interpreter does: one inside onnxruntime then aborts the process."""
    atexit.register(_end_all)


def _end_all() -> None:
    for decoder in list(_decoders):
        if not decoder._forked:
            decoder._end()
