"""Batches of a list decoded side by side, each on a core of its own.

The operators of a small recurrent step are short, and two threads that share each of them wait for each other more than
they gain. Two threads with a batch each don't wait for each other. So the batches of a list go to workers, whose graphs
use one thread each, and a single large batch is cut among them. A few sentences are decoded with the threads of all
cores, as someone waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from threading import Event, Lock, Thread
from typing import Any, Final, TypeVar

import numpy as np

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import BundleError, OptionError
from s2s_runtime.forks import watch_forks
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.options import DecodingOptions
from s2s_runtime.ort.sessions import CPU, SessionSettings
from s2s_runtime.ort.thread_rule import usable_cores
from s2s_runtime.search.step_model import StepModel
from s2s_runtime.spelling import shown

MOST_WEIGHTS: Final = 64 * 2**20
"""Bytes of weights up to which lists are decoded side by side unasked: the workers' graphs hold them once more."""

MOST_UNASKED: Final = 8
"""Workers that there are unasked on machines of more cores: each has a batch in memory."""

_MANY: Final = 8  # batches of a list that is worth them, however small
_SHARE: Final = 32  # rows of states from which on a part of a batch is worth a worker
_SHARES: Final = 4  # most of them that a shorter list has to have: threads sharing operators do less than four cores

ResultT = TypeVar("ResultT")


class Workers:
    """A group of threads that decode a batch each.

    It is safe to share between threads: every list gets threads of its own, and all lists share the graphs.

    Args:
        count: most threads, the caller's own thread among them.
        open_model: opens the graphs that they use; called with the first list that is worth it.
        asked: whether the caller asked for workers. If not, batches are decoded one after the other where the bundle's
            files were removed or changed before the graphs are opened.
        weights: bytes of memory that the second set of graphs takes.
    """

    def __init__(
        self, count: int, open_model: Callable[[], StepModel[Any]], *, asked: bool = True, weights: int = 0
    ) -> None:
        self.count = count
        self.weights = weights
        self._open_model = open_model
        self.asked = asked
        self._opening = Lock()
        self._model: StepModel[Any] | None = None
        watch_forks(self)

    def after_fork(self) -> None:
        """Take a lock that nobody holds."""
        self._opening = Lock()

    @property
    def model(self) -> StepModel[Any] | None:
        """The model that they decode with; None where it can't be opened and the caller didn't ask for workers.

        Raises:
            BundleError: it can't be opened.
        """
        with self._opening:
            if self._model is None and self.count > 1:
                try:
                    self._model = self._open_model()
                except BundleError:
                    if self.asked:
                        raise
                    self.count = 1  # from now on, as if there were none
            return self._model

    def share_out(self, batches: Sequence[Batch], width: int) -> tuple[list[Batch], StepModel[Any]] | None:
        """Return the batches that workers decode, cut where there are fewer than workers, and the model to decode with.

        Args:
            batches: batches of the list.
            width: rows of states for each sentence.

        Returns:
            None where the list is too short to be shared, or no model can be opened for it.

        Raises:
            BundleError: as `model`.
        """
        if not are_worth_it(len(batches), width * sum(map(len, batches)), self.count):
            return None
        parts = -(-self.count // len(batches))
        shared = [
            part for batch in batches for part in _cut(batch, min(parts, len(batch), width * len(batch) // _SHARE))
        ]
        model = self.model if len(shared) > 1 else None
        return None if model is None else (shared, model)

    def map(
        self, work: Callable[[Batch], Sequence[ResultT]], batches: Sequence[Batch], stop: Event | None = None
    ) -> list[ResultT]:
        """Return the results of `work` for all batches, in order, working on up to `count` batches at a time.

        Where one fails, or the caller is interrupted, the batches under way are finished and no others are begun.
        `stop` is set then, so that work may end early.
        """
        results: list[Sequence[ResultT]] = [()] * len(batches)
        failed: list[BaseException] = []
        waiting, taking = iter(range(len(batches))), Lock()

        def fail(error: BaseException) -> None:
            failed.append(error)
            if stop is not None:
                stop.set()

        def take_turns() -> None:
            while not failed:
                with taking:
                    index = next(waiting, None)
                if index is None:
                    return
                try:
                    results[index] = work(batches[index])
                except BaseException as error:
                    fail(error)

        begun: list[Thread] = []
        try:
            _start(take_turns, min(self.count, len(batches)) - 1, begun)
            take_turns()
            for thread in begun:
                thread.join()
        except BaseException as error:  # Ctrl-C while waiting for the others
            fail(error)
            for thread in begun:
                thread.join()
        if failed:
            raise failed[0]
        return [result for part in results for result in part]


def _start(work: Callable[[], None], count: int, begun: list[Thread]) -> None:
    """Start up to `count` threads; where the system gives fewer, the caller's thread does their share too."""
    for number in range(1, count + 1):
        thread = Thread(target=work, name=f"s2s-worker-{number}")
        try:
            thread.start()
        except RuntimeError:  # a limit of the system; from Python 3.12 on also once the main thread has ended
            return
        begun.append(thread)


def _cut(batch: Batch, parts: int) -> Iterator[Batch]:
    """Yield `parts` nearly equal parts of a batch; the batch itself where `parts` is below two."""
    bounds = np.linspace(0, len(batch), max(1, parts) + 1).astype(int).tolist()
    return (batch.cut(first, last) for first, last in pairwise(bounds))


def are_worth_it(batches: int, rows: int, count: int = 2) -> bool:
    """Return whether so many workers decode a list of so many batches, or so many rows of states."""
    return batches >= _MANY or rows >= _SHARE * min(count, _SHARES)


def allow_sharing(options: DecodingOptions) -> bool:
    """Return whether options let batches be decoded at the same time.

    Functions of the caller are called from one thread, one batch after the other.
    """
    return not any((options.callback, options.allowed_next, options.logits_processor))


def make_workers(
    count: int | None,
    settings: SessionSettings,
    manifest: Manifest,
    ready: Mapping[str, Any],
    opener: Callable[[int], Callable[[], StepModel[Any]]],
) -> Workers | None:
    """Return the workers of a model, or None where batches are decoded one after the other.

    Args:
        count: how many; None = as many as there are cores and `MOST_UNASKED` at most, where nothing was said about
            threads, everything is on the CPU, and the weights have `MOST_WEIGHTS` at most.
        settings: settings of the model's own sessions.
        manifest: manifest of the bundle.
        ready: sessions that the caller opened.
        opener: returns a function that opens the graphs with so many threads each.

    Raises:
        OptionError: `count` is out of range, or workers were asked for where no second set of sessions can be opened.
    """
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise OptionError(f"workers: expected an integer of at least 1 or None, got {shown(count)}")
    asked = count is not None
    unfit = {
        "a provider other than the CPU": settings.requested != (CPU,),
        "sessions": bool(ready),
        "shared_threads": settings.shared_threads,
    }
    obstacles = [name for name, is_there in unfit.items() if is_there]
    if count is None:
        said = settings.intra_op_threads is not None or settings.inter_op_threads is not None
        count = 1 if obstacles or said else unasked_workers(manifest)
    elif count > 1 and obstacles:
        raise OptionError(f"workers: expected 1 or None with {' and '.join(obstacles)}, got {count}")
    if count == 1:
        return None
    threads = settings.intra_op_threads or (max(1, usable_cores() // count) if asked else 1)
    return Workers(count, opener(threads), asked=asked, weights=weight_bytes(manifest))


def unasked_workers(manifest: Manifest) -> int:
    """Return how many batches are decoded at the same time where nobody says how many."""
    return 1 if weight_bytes(manifest) > MOST_WEIGHTS else min(usable_cores(), MOST_UNASKED)


def weight_bytes(manifest: Manifest) -> int:
    """Return the bytes of the weights on disk, where all graphs share them."""
    files = manifest.graphs.values() if manifest.weights is None else [manifest.weights]
    return sum(file.bytes for file in files)
