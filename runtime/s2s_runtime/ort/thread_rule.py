"""How many threads a step is worth: one where it is short, those of all cores where it is long.

Threads that share an operator wait for each other at its end. Where the operators of a step are short, and its weights
lie in the cache of one core, that costs more than the second core gives. Time with two threads over time with one,
measured on two cores of an AMD EPYC with 1 MiB of second-level cache each (`s2s-bench --sweep threads` measures it):

| rows of states | 1 | 2 | 4 | 8 | 16 | 32 |
| --- | --- | --- | --- | --- | --- | --- |
| LSTM of 128 units, 77,000 weights a step | 1.15 | 1.13 | 1.39 | 1.48 | 1.31 | 1.10 |
| LSTM of 256 units, 285,000 | 1.12 | 1.33 | 1.35 | 1.13 | 0.98 | 0.73 |
| LSTM of 512 units, 1,090,000 | 0.63 | 0.68 | 0.64 | 0.62 | 0.63 | 0.62 |
| GRU of 256 units, 8,000 words, 2,200,000 | 0.64 | 0.65 | 0.62 | 0.61 | 0.91 | 0.60 |

What two threads give a short step changes with what else uses the cores and their caches. For a sentence alone and an
LSTM of 256 units, whole calls on the same two cores took 0.82 of one thread's time in some minutes and 1.1 in others,
nothing else running that the machine could see, and up to 1.6 where something was. One thread's time stayed as it was.

Products of 8 bits are over that soon, and what is left are short operators, with which two threads gain nothing:

| rows of states, int8 | 1 | 4 | 8 | 16 | 32 | 48 | 256 |
| --- | --- | --- | --- | --- | --- | --- | --- |
| LSTM of 128 units, 77,000 weights a step | 1.38 | 1.26 | 1.53 | 1.37 | 1.33 | 1.33 | |
| LSTM of 256 units, 285,000 | 1.40 | 1.56 | 1.44 | 1.37 | 1.43 | 1.25 | 0.78 |
| LSTM of 512 units, 1,090,000 | 1.50 | 1.46 | 1.19 | 1.24 | 1.06 | 1.10 | |
| GRU of 256 units with attention, 2,000 words, 640,000 | | | | | 0.86 | | |

A model of one pass has nothing but one graph, whose recurrent nodes share out directions and rows, not steps; its file
says how many weights a position is multiplied by:

| rows | 1 | 2 | 4 | 8 | 16 | 32 |
| --- | --- | --- | --- | --- | --- | --- |
| LSTM of 64 units in both directions, 68,000 weights a position | 1.6 | 1.7 | 1.9 | 1.3 | 1.2 | 0.61 |
| LSTM of 64 units, 34,000 | 1.4 | 2.0 | 1.7 | 1.4 | 1.1 | |
| LSTM of 256 units, 530,000 | 0.81 | 0.97 | 0.95 | 0.66 | 0.68 | |
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.ort.sessions import CPU, SessionSettings

NARROW: Final = 500_000
"""Weights of a step up to which one thread may do: more than lie in the cache of one core."""

SHORT: Final = 2_500_000
"""Products (rows times weights of a step) up to which one thread is quicker."""

SHORT_POSITION: Final = 400_000
"""The same where there is one graph for all positions: rows times the weights of one of them."""

HELD_TWICE: Final = 64 * 2**20
"""Bytes of weights up to which a graph of one pass may be opened once more, for few rows."""

PRODUCTS: Final = "s2s.products"
"""The property of an ONNX file that says how many weights each position of a model of one pass is multiplied by."""

INT8: Final = (8, 6)
"""How many times as many weights, and products, they are for int8."""

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def rows_for_one_thread(manifest: Manifest, settings: SessionSettings, ready: Mapping[str, Any]) -> int:
    """Return up to how many rows of states (sentences times beams) a step is for one thread; 0 = none.

    Args:
        manifest: manifest of the bundle.
        settings: how the model's sessions are opened. Whatever they say about threads holds for all rows.
        ready: sessions that the caller opened.
    """
    return rows_by_size(manifest) if _may_choose(settings, ready) else 0


def rows_for_one_pass(graph: bytes, settings: SessionSettings, ready: Mapping[str, Any]) -> int:
    """Return up to how many rows a model of one pass is for one thread; 0 = none, or nothing is known.

    Args:
        graph: its file, without weights.
        settings: as for `rows_for_one_thread`.
        ready: likewise.
    """
    said = _SAID.search(graph) if _may_choose(settings, ready) else None
    products = 0 if said is None else int(said[1])
    return SHORT_POSITION // products if products else 0


_SAID: Final = re.compile(re.escape(PRODUCTS).encode() + rb"\x12[\x01-\x12](\d+)", re.DOTALL)  # a property's value


def _may_choose(settings: SessionSettings, ready: Mapping[str, Any]) -> bool:
    """Return whether nobody said how many threads there are, and there is a choice."""
    said = settings.intra_op_threads is not None or settings.inter_op_threads is not None or settings.shared_threads
    return not (said or ready or settings.requested != (CPU,) or usable_cores() == 1)


def rows_by_size(manifest: Manifest) -> int:
    """Return up to how many rows a step is for one thread wherever there are several and nothing is said; 0 = none."""
    weights, (wider, longer) = step_weights(manifest), INT8 if manifest.precision == "int8" else (1, 1)
    return longer * SHORT // weights if weights is not None and weights <= wider * NARROW else 0


def step_weights(manifest: Manifest) -> int | None:
    """Return about how many weights a step multiplies with, as the widths of its states and output tell.

    A state of so many units takes part in two square matrices of the step (an LSTM has two states and four, a GRU one
    and three), the last one in the output layer. None where states aren't vectors, or there
    are none, so that nothing is told.
    """
    widths = [tensor.shape[1] for tensor in manifest.states if len(tensor.shape) == 2 and tensor.shape[1] is not None]
    if not widths or len(widths) < len(manifest.states):
        return None
    return sum(2 * width * width for width in widths) + widths[-1] * manifest.target.size


def usable_cores(quota: Path = _QUOTA) -> int:
    """Return how many cores this process may use: those that Linux allows it, and at most a container's share of time.

    Args:
        quota: file of the share, as Linux's control groups (version 2) write it: most microseconds used, of how many.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    if quota.is_file():
        most, _, period = quota.read_text(encoding="ascii").partition(" ")
        if most != "max":
            cores = min(cores, max(1, -(-int(most) // int(period))))
    return cores
