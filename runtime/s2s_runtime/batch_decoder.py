"""Decoding together the sentences that come one at a time from any threads, as to a server.

One thread decodes. Sentences that come meanwhile wait until the batch has ended, and are the next batch: a sentence
that comes alone is decoded at once, and the more sentences come, the larger the batches are.
"""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from threading import Condition, Event, Thread
from typing import Final, Unpack
from weakref import WeakSet

from s2s_runtime.array_types import Ints
from s2s_runtime.declared_options import takes_options, verb_problems
from s2s_runtime.decoding.streaming import refuse_prefix
from s2s_runtime.errors import ClosedModelError, OptionError, QueueFullError
from s2s_runtime.forks import watch_forks
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.sources import Row, Sources, read_sources
from s2s_runtime.model import Model
from s2s_runtime.options import DecodingOptions, OptionValues
from s2s_runtime.results import Result
from s2s_runtime.search.cancellation import stoppable
from s2s_runtime.search.engines import check_engine, search_batches
from s2s_runtime.search.graph_search import SentenceHypotheses

_FORKED: Final = (
    "this decoder's thread belongs to the process that this one was forked from; make a Decoder in this process"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A sentence that was handed in, and its result, for which a caller waits."""

    source: Sources
    result: Future[Result]


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
            raise OptionError(f"max_waiting: expected an integer of at least 1, got {max_waiting!r}")
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
        self._jobs: dict[int, _Job] = {}  # begun, by number
        self._begun = 0
        self._batches: deque[Batch] = deque()  # cut, not taken yet
        self._results: WeakSet[Future[Result]] = WeakSet()  # promised
        self._forked = False
        self._exiting = Event()
        self._model = stoppable(self._decoding.model, self._exiting)
        check_engine(self._model, self._plan, self._decoding.options)
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
        manifest, options = self._decoding.manifest, self._decoding.options
        read = read_sources([source], manifest, options.unknown_symbols, longest=options.max_source_length)
        job = _Job(read, Future())
        if not len(job.source.arrays[0]):
            job.result.set_result(self._decoding.result_builder.empty(job.source.unknown.get(0)))
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
                for ended in search_batches(self._model, iter(self._take, None), self._plan, decoding.options):
                    self._give(ended)
            except BaseException as error:  # a callback's SystemExit too: those who wait must hear of it
                for job in self._jobs.values():
                    job.result.set_exception(error)
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
                jobs = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            if not jobs:
                return None
            self._begin([job for job in jobs if job.result.set_running_or_notify_cancel()])
        return self._batches.popleft()

    def _begin(self, jobs: list[_Job]) -> None:
        """Give jobs their numbers and cut them into batches."""
        first, self._begun = self._begun, self._begun + len(jobs)
        self._jobs.update(enumerate(jobs, first))
        arrays, others = ([getattr(job.source, name)[0] for job in jobs] for name in ("arrays", "others"))
        decoding = self._decoding
        batches = make_batches(Sources(arrays, {}, others), [[]] * len(jobs), decoding.options, decoding.manifest)
        for batch in batches:
            numbers: Ints = batch.indices + first
            self._batches.append(replace(batch, indices=numbers))

    def _give(self, ended: SentenceHypotheses) -> None:
        """Hand a result to the caller who waits for it."""
        batch, row, hypotheses = ended
        number = int(batch.indices[row])
        job = self._jobs[number]
        result = self._decoding.result(hypotheses, job.source, 0, batch.columns[row])
        del self._jobs[number]  # not before: where that failed, whoever waits must hear of it
        job.result.set_result(result)


_decoders: WeakSet[Decoder] = WeakSet()  # whose threads run


@cache
def _end_at_exit() -> None:
    """End the threads of all decoders before the interpreter does: one inside onnxruntime then aborts the process."""
    atexit.register(_end_all)


def _end_all() -> None:
    for decoder in list(_decoders):
        if not decoder._forked:
            decoder._end()
