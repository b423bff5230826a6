"""Batches of a list decoded side by side, each on a core of its own. The rules stand here.

The operators of a small recurrent step are short, and two threads that share each of them wait for each other more than
they gain. Two threads with a batch each don't meet. So the batches of a list go to workers, whose graphs use one thread
each, and a single large batch is cut among them; a few sentences, for which someone waits, have the threads of all
cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from threading import Lock
from typing import Any, Final, TypeVar

import numpy as np

from s2s_runtime.errors import OptionError
from s2s_runtime.manifest import Manifest
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search import Batch
from s2s_runtime.sessions import CPU, SessionSettings
from s2s_runtime.step_model import StepModel

MOST_WEIGHTS: Final = 64 * 2**20
"""Bytes of weights up to which lists are decoded side by side unasked: the workers' graphs hold them once more."""

_OPENS: Final = (8, 256)  # batches, or rows of states, of the list that opens the graphs: as much work as opening them
_SHARE: Final = 64  # rows of states from which on a part of a batch is worth a worker

FoundT = TypeVar("FoundT")


class Workers:
    """Threads that decode a batch each.

    Safe to share between threads: every list gets threads of its own, all lists share the graphs.

    Args:
        count: how many at most.
        open_model: opens the graphs that they use; called with the first list that is long enough.
    """

    def __init__(self, count: int, open_model: Callable[[], StepModel[Any]]) -> None:
        self.count = count
        self._open_model = open_model
        self._opening = Lock()
        self._model: StepModel[Any] | None = None

    @property
    def model(self) -> StepModel[Any]:
        """What they decode with."""
        with self._opening:
            if self._model is None:
                self._model = self._open_model()
            return self._model

    def share_out(self, batches: Sequence[Batch], width: int) -> list[Batch]:
        """What they decode of a list: its batches, cut where there are fewer than workers; nothing if it is too short.

        Args:
            batches: of the list.
            width: rows of states for each sentence.
        """
        rows = width * sum(map(len, batches))
        if self._model is None and len(batches) < _OPENS[0] and rows < _OPENS[1]:
            return []
        parts = -(-self.count // len(batches)) if batches else 1
        shared = [part for batch in batches for part in _cut(batch, min(parts, width * len(batch) // _SHARE))]
        return shared if len(shared) > 1 else []

    def map(self, work: Callable[[Batch], Sequence[FoundT]], batches: Sequence[Batch]) -> Iterator[FoundT]:
        """What `work` finds for each batch, batch after batch in their order, up to `count` of them at a time.

        Where one fails, or the caller goes away, those that wait aren't begun.
        """
        with ThreadPoolExecutor(min(self.count, len(batches)), thread_name_prefix="s2s-worker") as pool:
            for found in pool.map(work, batches):
                yield from found


def _cut(batch: Batch, parts: int) -> Iterator[Batch]:
    """Parts of a batch, nearly equal; the batch itself where it isn't cut."""
    places = np.linspace(0, len(batch), max(1, parts) + 1).astype(int).tolist()
    return (batch.cut(first, last) for first, last in pairwise(places))


def allow_sharing(options: DecodingOptions) -> bool:
    """Whether options let batches be decoded at the same time.

    Functions of the caller are called from one thread, one batch after the other; with `batching` "continuous" all
    batches are one flow.
    """
    return options.callback is None and options.allowed_next is None and options.batching == "static"


def make_workers(
    count: int | None,
    settings: SessionSettings,
    manifest: Manifest,
    ready: Mapping[str, Any],
    open_model: Callable[[SessionSettings], StepModel[Any]],
) -> Workers | None:
    """The workers of a model, or None where batches are decoded one after the other.

    Args:
        count: how many; None = as many as there are cores, where nothing was said about threads, everything is on the
            CPU, and the weights have `MOST_WEIGHTS` at most.
        settings: of the model's own sessions.
        manifest: of the bundle.
        ready: sessions that the caller opened.
        open_model: opens the graphs with other settings.

    Raises:
        OptionError: `count` is out of range, or workers were asked for with what has no second set of sessions.
    """
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise OptionError(f"workers: expected an integer of at least 1 or None, got {count!r}")
    cores = usable_cores()
    unfit = {
        "a provider other than the CPU": settings.requested != (CPU,),
        "sessions": bool(ready),
        "shared_threads": settings.shared_threads,
    }
    obstacles = [name for name, is_there in unfit.items() if is_there]
    if count is None:
        said = settings.intra_op_threads is not None or settings.inter_op_threads is not None
        count = 1 if obstacles or said or weight_bytes(manifest) > MOST_WEIGHTS else cores
    elif count > 1 and obstacles:
        raise OptionError(f"workers: expected 1 or None with {' and '.join(obstacles)}, got {count}")
    if count == 1:
        return None
    threads = settings.intra_op_threads or max(1, cores // count)
    return Workers(count, partial(open_model, replace(settings, intra_op_threads=threads)))


def weight_bytes(manifest: Manifest) -> int:
    """Bytes of the weights on disk, where all graphs share them."""
    files = manifest.graphs.values() if manifest.weights is None else [manifest.weights]
    return sum(file.bytes for file in files)


def usable_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
