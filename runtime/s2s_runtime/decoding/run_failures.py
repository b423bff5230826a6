"""Failures while a model runs: which sources they are about, and the others of a batch decoded without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from s2s_runtime.array_types import Ints
from s2s_runtime.errors import RunError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.graph_search import SentenceHypotheses

Search = Callable[[Batch], Iterator[SentenceHypotheses]]
Given = TypeVar("Given")
T = TypeVar("T")


@contextmanager
def failures_of(sources: Sequence[int] | Ints, time: int) -> Iterator[None]:
    """Raise what onnxruntime raises in the block, and a lack of memory, as an error that says which sources it was.

    Args:
        sources: positions of the sources that are computed.
        time: length that they are padded to.

    Raises:
        RunError: see there.
    """
    try:
        yield
    except Exception as error:
        failure = _failure_of(error, sources, time)
        if failure is None:
            raise
        raise failure from error


def compute_all(compute: Callable[[Given], T], given: Given, sources: Sequence[int], time: int) -> T:
    """Return what is computed; fails as the block of `failures_of` does, and costs less where nothing fails.

    Raises:
        RunError: see there.
    """
    try:
        return compute(given)
    except Exception as error:
        failure = _failure_of(error, sources, time)
        if failure is None:
            raise
        raise failure from error


def _failure_of(error: Exception, sources: Sequence[int] | Ints, time: int) -> RunError | None:
    reason = _reason(error)
    return None if reason is None else RunError.of([int(source) for source in sources], time, reason)


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
