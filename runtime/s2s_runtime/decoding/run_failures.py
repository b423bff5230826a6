"""Failures while a model runs: which sources they are about, and the others of a batch decoded without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np

from s2s_runtime.array_types import Ints
from s2s_runtime.errors import RunError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.graph_search import SentenceHypotheses

Search = Callable[[Batch], Iterator[SentenceHypotheses]]
T = TypeVar("T")


def failures_of(sources: Sequence[int] | Ints, time: int) -> AbstractContextManager[None]:
    """Raise what onnxruntime raises in the block, and a lack of memory, as an error that says which sources it was.

    Args:
        sources: positions of the sources that are computed.
        time: length that they are padded to.

    Raises:
        RunError: see there.
    """
    return _Failures(sources, time)


class _Failures(AbstractContextManager[None]):
    """See `failures_of`; a class, as a generator would cost each run a microsecond."""

    __slots__ = ("_sources", "_time")

    def __init__(self, sources: Sequence[int] | Ints, time: int) -> None:
        self._sources, self._time = sources, time

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        reason = _reason(error) if isinstance(error, Exception) else None
        if reason is not None:
            raise RunError.of([int(source) for source in self._sources], self._time, reason) from error


def search_apart(search: Search, batch: Batch, *, trim: bool) -> Iterator[SentenceHypotheses]:
    """Yield the hypotheses of each sentence of a batch, and in the place of those that fail their errors.

    What has not ended when a run fails is decoded again in two halves, down to the single sentences that fail.

    Args:
        search: searches a batch.
        batch: the sentences.
        trim: whether padding may be taken off where no sentence of a half needs it.
    """
    left = np.ones(len(batch), np.bool_)
    try:
        with failures_of(batch.indices, batch.time):
            for ended in search(batch):
                left[ended.sentence] = False
                yield ended
    except RunError as error:
        rows = left.nonzero()[0]
        if len(rows) == len(batch) == 1:
            yield SentenceHypotheses(batch, 0, [], error)
            return
        for half in np.array_split(rows, 2 if len(rows) > 1 else 1):
            yield from search_apart(search, batch.take(half, trim=trim), trim=trim)


def compute_apart(
    compute: Callable[[Batch], Sequence[T]], batch: Batch, *, trim: bool, apart: bool
) -> Iterator[tuple[int, T | RunError]]:
    """Yield the index of each source of a batch with what is computed for it, or with its error.

    Args:
        compute: returns something for each sentence of a batch.
        batch: the sentences.
        trim: as for `search_apart`.
        apart: whether those that fail are told apart; else the error of the whole batch is raised.

    Raises:
        RunError: computing fails, and sentences aren't told apart.
    """
    try:
        with failures_of(batch.indices, batch.time):
            computed = compute(batch)
    except RunError as error:
        if not apart:
            raise
        if len(batch) == 1:
            yield int(batch.indices[0]), error
            return
        for half in np.array_split(np.arange(len(batch)), 2):
            yield from compute_apart(compute, batch.take(half, trim=trim), trim=trim, apart=True)
    else:
        yield from zip(batch.indices.tolist(), computed, strict=True)


def _reason(error: Exception) -> str | None:
    """Return what failed in the run of a model, in a line; None where it is another error."""
    if isinstance(error, MemoryError):
        return f"not enough memory ({error})" if str(error) else "not enough memory"
    if type(error).__module__.startswith("onnxruntime"):
        return f"onnxruntime: {' '.join(str(error).split())}"
    return None
