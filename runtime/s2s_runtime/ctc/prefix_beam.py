"""Prefix beam search (Graves et al. 2006; Hannun et al. 2014): the likeliest sequences of symbols, over all alignments.

Many alignments say the same. So the search keeps sequences of symbols, not alignments, and for each the probability of
all alignments of the frames so far that say it: those that end in a blank and those that end in its last symbol, as
the same symbol can be written again only behind a blank. Sequences that an extension makes equal are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints
from s2s_runtime.ctc.alignments import log_probabilities
from s2s_runtime.ctc.frames import Frames, Logs

_NONE = -1  # the last symbol of an empty sequence; and no symbol, where a sequence stays as it is
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits spread: 2**64 over the golden ratio


@dataclass(frozen=True, slots=True)
class _Beams:
    """The sequences kept of each source, best first; all arrays are (sources, width).

    Attributes:
        in_blank, in_symbol: float64, log-probability of the alignments that end in a blank, and in the last symbol.
        last: int64, the last symbol.
        name, parent: uint64, what stands for the sequence, and for all of it but its last symbol: equal where and only
            where sequences are equal (two of 64 bits that fall together don't occur).
    """

    in_blank: Logs
    in_symbol: Logs
    last: Ints
    name: NDArray[np.uint64]
    parent: NDArray[np.uint64]

    @property
    def total(self) -> Logs:
        """The log-probability of all alignments."""
        total: Logs = np.logaddexp(self.in_blank, self.in_symbol)
        return total


def prefix_beam_search(frames: Frames, beam_size: int, count: int = 1) -> list[list[tuple[list[int], float]]]:
    """Return the likeliest sequences of symbols of each source.

    Args:
        frames: of the sources; classes of log-probability -inf are never written.
        beam_size: how many sequences are kept after each frame. Where none is dropped what is found is exact.
        count: how many are returned at most.

    Returns:
        For each source symbols with their log-probability, the sum over *all* alignments, best first. Where nothing
        is possible there are none.
    """
    if not len(frames):
        return []
    beams, steps = _start(len(frames)), []
    for frame in range(frames.logs.shape[1]):
        beams, parents, symbols = _take_frame(beams, frames, frame, beam_size)
        steps.append((parents, symbols))
    possible = beams.total > -np.inf
    rows, places = np.nonzero(possible)
    found = [_symbols(steps, row, place) for row, place in zip(rows.tolist(), places.tolist(), strict=True)]
    scores = log_probabilities(frames.of(rows), found) if found else np.zeros(0)
    ranked: list[list[tuple[list[int], float]]] = [[] for _ in range(len(frames))]
    for row, sequence, score in zip(rows.tolist(), found, scores.tolist(), strict=True):
        ranked[row].append((sequence, score))
    return [sorted(kept, key=lambda item: -item[1])[:count] for kept in ranked]


def _start(sources: int) -> _Beams:
    """Return the empty sequence of each source, before its first frame."""
    empty = np.full((sources, 1), _FACTOR)
    nothing = np.full((sources, 1), -np.inf)
    return _Beams(np.zeros((sources, 1)), nothing, np.full((sources, 1), _NONE), empty, np.zeros_like(empty))


def _take_frame(beams: _Beams, frames: Frames, frame: int, beam_size: int) -> tuple[_Beams, Ints, Ints]:
    """Return the best sequences with one more frame, which beam each was made of, and the symbol added (or none)."""
    logs, width = frames.logs[:, frame], beams.last.shape[1]
    rows = np.arange(len(logs))[:, None]
    total = beams.total
    blank = logs[:, frames.blank][:, None]
    again = np.where(beams.last == _NONE, -np.inf, logs[rows, beams.last])
    in_blank, in_symbol = total + blank, beams.in_symbol + again
    # A sequence is also made of another one that is kept, where that is all of it but its last symbol. Places that
    # hold nothing possible may bear the name of a sequence that is kept elsewhere.
    source, child, parent = np.nonzero(
        (beams.parent[:, :, None] == beams.name[:, None, :]) & (total > -np.inf)[:, :, None]
    )
    symbol = beams.last[source, child]
    before = np.where(symbol == beams.last[source, parent], beams.in_blank[source, parent], total[source, parent])
    in_symbol[source, child] = np.logaddexp(in_symbol[source, child], before + logs[source, symbol])
    # Of an extension only so many symbols can be among the best: that many may be kept already, or be the last again.
    symbols = _likeliest(logs, frames.blank, 2 * beam_size + 1)
    repeats = symbols[:, None, :] == beams.last[:, :, None]  # (sources, width, symbols)
    extended = np.where(repeats, beams.in_blank[..., None], total[..., None]) + logs[rows, symbols][:, None, :]
    places = np.full(logs.shape, -1)
    np.put_along_axis(places, symbols, np.arange(symbols.shape[1])[None], axis=1)
    place = places[source, symbol]
    looked_at = place >= 0
    extended[source[looked_at], parent[looked_at], place[looked_at]] = -np.inf
    scores = np.concatenate([np.logaddexp(in_blank, in_symbol), extended.reshape(len(logs), -1)], axis=1)
    best = _best(scores, beam_size)
    stays = best < width
    parents, which = np.divmod(np.where(stays, 0, best - width), symbols.shape[1])
    parents = np.where(stays, best, parents)
    added = np.where(stays, _NONE, symbols[rows, which])
    following = _Beams(
        np.where(stays, in_blank[rows, parents], -np.inf),
        np.where(stays, in_symbol[rows, parents], scores[rows, best]),
        np.where(stays, beams.last[rows, parents], added),
        np.where(stays, beams.name[rows, parents], _named(beams.name[rows, parents], added)),
        np.where(stays, beams.parent[rows, parents], beams.name[rows, parents]),
    )
    over = np.flatnonzero(frames.lengths <= frame)
    if not len(over):
        return following, parents, added
    return _kept(following, beams, over), *_nothing_added(parents, added, over)


def _likeliest(logs: Logs, blank: int, count: int) -> Ints:
    """Return the likeliest symbols of a frame in each source, blank left out: int64 (sources, symbols)."""
    symbols = np.delete(np.arange(logs.shape[1]), blank)
    if count >= len(symbols):
        return np.broadcast_to(symbols, (len(logs), len(symbols)))
    chosen: Ints = symbols[np.argpartition(-logs[:, symbols], count - 1, axis=1)[:, :count]]
    return chosen


def _best(scores: Logs, count: int) -> Ints:
    """Return the indices of the best scores of each row, best first."""
    if count < scores.shape[1]:
        kept = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
    else:
        kept = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order: Ints = np.argsort(-np.take_along_axis(scores, kept, axis=1), axis=1, kind="stable")
    best: Ints = np.take_along_axis(kept, order, axis=1)
    return best


def _named(names: NDArray[np.uint64], symbols: Ints) -> NDArray[np.uint64]:
    """Return what stands for sequences with one more symbol each."""
    mixed = (names ^ (names >> np.uint64(29))) * _FACTOR + symbols.astype(np.uint64) + np.uint64(1)
    named: NDArray[np.uint64] = (mixed ^ (mixed >> np.uint64(32))) * _FACTOR
    return named


def _kept(following: _Beams, beams: _Beams, over: NDArray[np.intp]) -> _Beams:
    """Return the beams after a frame, but those of before of the sources that have no such frame."""
    width, before = following.last.shape[1], beams.last.shape[1]
    fields = [np.array(getattr(following, name)) for name in _Beams.__slots__]
    for made, name in zip(fields, _Beams.__slots__, strict=True):
        made[over, :before] = getattr(beams, name)[over, :width]
    fields[0][over, before:] = fields[1][over, before:] = -np.inf
    return _Beams(*fields)


def _nothing_added(parents: Ints, added: Ints, over: NDArray[np.intp]) -> tuple[Ints, Ints]:
    """Return where beams come from, but each from itself in the sources that have no such frame."""
    parents, added = parents.copy(), added.copy()
    parents[over], added[over] = np.arange(parents.shape[1]), _NONE
    return parents, added


def _symbols(steps: list[tuple[Ints, Ints]], row: int, place: int) -> list[int]:
    """Return the symbols of a beam, followed back from the last frame."""
    symbols = []
    for parents, added in reversed(steps):
        if added[row, place] != _NONE:
            symbols.append(int(added[row, place]))
        place = int(parents[row, place])
    return symbols[::-1]
