"""The best sequences over positions that are independent: exact, as no choice at one position changes another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.finished import EndedSequence, rank
from s2s_runtime.search.plan import SearchPlan

Scores = NDArray[np.float64]


class _Kept(NamedTuple):
    """The best sequences so far of each row, best first: log-probabilities, and how each was made; all (rows, kept)."""

    totals: Scores
    parents: Ints
    tokens: Ints


def best_sequences(scores: Floats, batch: Batch, plan: SearchPlan) -> list[list[EndedSequence]]:
    """Return the `num_hypotheses` best sequences of each row, by score, best first.

    The best sequences of one length begin with some of the best of one position less, so keeping as many as are wanted
    at every position finds them all. Those that end sooner are set aside with the best end at their position.

    Args:
        scores: float32 (rows, positions, vocabulary), log-probabilities; -inf at tokens that may not stand there.
        batch: the sentences; a row has as many positions as its limit says.
        plan: how many are wanted, which tokens end a sequence, and how lengths count.
    """
    rows, count = len(scores), plan.num_hypotheses
    kept = _Kept(np.zeros((rows, 1)), np.zeros((rows, 1), np.int64), np.zeros((rows, 1), np.int64))
    steps: list[_Kept] = []
    ended: list[_Kept] = []
    for position in range(scores.shape[1]):
        here = scores[:, position].astype(np.float64)
        closing = np.where(plan.is_end, here, -np.inf)
        last = closing.argmax(axis=1)
        stops = kept.totals + closing[np.arange(rows), last][:, None]
        parents = np.broadcast_to(np.arange(stops.shape[1]), stops.shape)
        ended.append(_Kept(stops, parents, np.broadcast_to(last[:, None], stops.shape)))
        kept = _extended(kept.totals, np.where(plan.is_end, -np.inf, here), count)
        steps.append(kept)
    return [_ranked(row, int(batch.limits[row]), (steps, ended), scores[row], plan) for row in range(rows)]


def _extended(totals: Scores, here: Scores, count: int) -> _Kept:
    """Return the best sequences with one more token, at most so many of each row."""
    width = min(count, here.shape[1])
    tokens = np.argpartition(-here, width - 1, axis=1)[:, :width]
    tokens.sort(axis=1)  # of equal candidates the smallest id comes first
    found = np.take_along_axis(here, tokens, axis=1)
    sums = (totals[:, :, None] + found[:, None, :]).reshape(len(here), -1)
    order = np.argsort(-sums, axis=1, kind="stable")[:, :count]
    parents, which = np.divmod(order, width)
    return _Kept(np.take_along_axis(sums, order, axis=1), parents, np.take_along_axis(tokens, which, axis=1))


def _ranked(
    row: int, limit: int, found: tuple[list[_Kept], list[_Kept]], scores: Floats, plan: SearchPlan
) -> list[EndedSequence]:
    """Return the best of one row, whatever their lengths."""
    steps, ended = found
    candidates = [
        (position, at, ended[position]) for position in range(limit) for at in _possible(ended[position], row)
    ]
    candidates += [(limit - 1, at, steps[limit - 1]) for at in _possible(steps[limit - 1], row)]
    graded = [
        (plan.length_penalty.score(float(kept.totals[row, at]), position + 1), position, at, kept)
        for position, at, kept in candidates
    ]
    graded.sort(key=lambda item: -item[0])
    sequences = []
    for score, position, at, kept in graded[: plan.num_hypotheses]:
        ids = [int(kept.tokens[row, at])]
        parent = int(kept.parents[row, at])
        for before in steps[:position][::-1]:
            ids.append(int(before.tokens[row, parent]))
            parent = int(before.parents[row, parent])
        ids.reverse()
        reason: FinishReason = "end" if plan.is_end[ids[-1]] else "length"
        each = scores[np.arange(len(ids)), ids] if plan.token_scores else None
        sequences.append(EndedSequence(ids, reason, score, each))
    return rank(sequences, plan.num_hypotheses)


def _possible(kept: _Kept, row: int) -> list[int]:
    return np.flatnonzero(np.isfinite(kept.totals[row])).tolist()
