"""The texts of a run whose pairs lie on the disk: vocabularies, batches, and what is held out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_training.config.fit import FitConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.data.arrays import Layout
from s2s_training.data.corpus import PARTS, Example
from s2s_training.data.lengths import OFTEN, TooLong, limits_and_bounds, say_longer, warn
from s2s_training.data.vocabulary_builder import SymbolCounts, cutters, reads_training_alone, vocabulary_of
from s2s_training.source_factors import shown_unit, unit_ids
from s2s_training.stages import Stages, unseen
from s2s_training.streaming.drawing import Side, StreamedPairs
from s2s_training.streaming.pair_store import PairRows, Sizes
from s2s_training.streaming.pass_over_files import read_into, sides
from s2s_training.streaming.symbol_table import Counts, counted

_NAMED = 3  # outliers whose text is kept for the warning


class StreamedTexts:
    """The texts of a run, of which `shuffle_buffer` pairs are in memory.

    Args:
        config: of the run.
        folder: where pairs are kept while it trains.
        stages: is told how far it is.

    Attributes:
        vocabulary: of both sides.

    Raises:
        DataError, DataNotFoundError, MissingExtraError: the data can't be read.
    """

    def __init__(self, config: TrainingConfig, folder: Path, stages: Stages = unseen) -> None:
        self._block_size = config.data.shuffle_buffer or 0
        self._read = read_into(folder, config.data, stages)
        stages("building vocabularies")
        self._limits, self._bounds = self._lengths(config)
        self.vocabulary = vocabulary_of(*self._symbols(config), config, self._read.pieces)

    @property
    def files(self) -> dict[str, Any]:
        """How many files were read, and the digest of their content."""
        return self._read.files

    def batches(self, part: str, layout: Layout, config: FitConfig) -> StreamedPairs:
        """Return the pairs of a part, to draw batches from."""
        vocabulary = self.vocabulary
        ids = [
            unit_ids(symbols, side)
            for symbols, side in zip(self._read.symbols, (vocabulary.source, vocabulary.target), strict=True)
        ]
        source = Side.of(
            vocabulary.source, ids[0], layout.source_padding, layout.source_length, on_left=layout.source_side == "left"
        )
        target = Side.of(vocabulary.target, ids[1], layout.target_padding, layout.target_row)
        return StreamedPairs(
            self._read.stores[part],
            partial(_within, self._most(part)),
            (source, target),
            buckets=config.buckets,
            batch_size=config.batch_size,
            block_size=self._block_size,
        )

    def merged(self, part: str, most: int | None = None) -> Iterator[Example]:
        """Yield each source of a held-out part once with all its targets; see `Corpus.merged`."""
        source, target = self._bounds
        with self._read.held_out() as held_out:
            yield from held_out.merged(part, (source, target), most)

    def held_out(self, most: int | None = None) -> Iterator[Example]:
        """Yield the examples to score: those of the test part, else those of the validation part."""
        return self.merged("test" if self._read.stores["test"].rows else "valid", most)

    def _most(self, part: str) -> Sequence[float]:
        """Return the most symbols of each side in a pair of a part."""
        if part != "train":
            return self._bounds
        return [min(limits) for limits in zip(self._limits, self._bounds, strict=True)]

    def _lengths(self, config: TrainingConfig) -> tuple[list[float], list[float]]:
        """Return limits and bounds, and log what is left out; see `s2s_training.data.lengths`."""
        train = self._read.stores["train"]
        counts = [np.zeros(1, np.int64)] * len(PARTS[:2])
        for chunk in range(train.chunks):
            counts = [counted(total, own) for total, own in zip(counts, train.lengths(chunk).T, strict=True)]
        usual = [_percentile(own) for own in counts]
        limits, bounds = limits_and_bounds(config.data, usual)
        if min(bounds) < math.inf:
            outliers = [outlier for part in PARTS for outlier in self._too_long(part, bounds, config)]
            warn(outliers, usual, sum(store.rows for store in self._read.stores.values()))
        kept = longer = 0
        for chunk in range(train.chunks):
            lengths = train.lengths(chunk)
            usual_ones = lengths[_within(bounds, lengths)]
            within = int(_within(limits, usual_ones).sum())
            kept, longer = kept + within, longer + len(usual_ones) - within
        say_longer(limits, longer, kept, train.rows)
        return limits, bounds

    def _too_long(self, part: str, bounds: Sequence[float], config: TrainingConfig) -> Iterator[TooLong]:
        """Yield the outliers of a part, the first of them with their texts."""
        cutter = cutters(config.data, self._read.pieces)
        single = (rows.select(np.array([row])) for rows in self._beyond(part, bounds) for row in range(len(rows)))
        for number, pair in enumerate(single):
            lengths = pair.lengths[0]
            side = 0 if lengths[0] > bounds[0] else 1
            text = ""
            if number < _NAMED:
                units = (self._read.symbols[side][symbol] for symbol in sides(pair)[side])
                text = cutter[side].join([shown_unit(unit, cutter[side]) for unit in units])
            yield TooLong(side, int(lengths[side]), text)

    def _beyond(self, part: str, most: Sequence[float]) -> Iterator[PairRows]:
        """Yield the pairs of a part that are longer than this on some side, those of each chunk that has such."""
        store = self._read.stores[part]
        for chunk in range(store.chunks):
            beyond = np.flatnonzero(~_within(most, store.lengths(chunk)))
            if len(beyond):
                yield store.chunk(chunk).select(beyond)

    def _symbols(self, config: TrainingConfig) -> tuple[SymbolCounts, SymbolCounts]:
        """Return the symbols of both sides, without those of pairs that are left out."""
        parts = PARTS[:1] if reads_training_alone(config) else PARTS
        dropped: list[Counts] = [np.zeros(len(symbols), np.int64) for symbols in self._read.symbols]
        longest = np.zeros(2, np.int64)
        for part in parts:
            most, store = self._most(part), self._read.stores[part]
            for rows in self._beyond(part, most):
                dropped = [counted(counts, own) for counts, own in zip(dropped, sides(rows), strict=True)]
            for chunk in range(store.chunks):
                lengths = store.lengths(chunk)
                longest = np.maximum(longest, lengths[_within(most, lengths)].max(axis=0, initial=0))
        source, target = (
            SymbolCounts(self._read.counter(side, parts, dropped[side]), int(longest[side])) for side in (0, 1)
        )
        return source, target


def _within(most: Sequence[float], lengths: Sizes) -> NDArray[np.bool_]:
    """Return which pairs have at most so many symbols of each side, from their lengths (pairs, 2)."""
    within: Any = (lengths <= np.array(most)).all(axis=1)
    return within


def _percentile(counts: Counts) -> int:
    """Return the length that `OFTEN` per cent of texts have at most, of how many there are of each length."""
    total = int(counts.sum())
    place = math.ceil(OFTEN / 100 * (total - 1))  # as np.percentile's "higher"
    return int(np.searchsorted(np.cumsum(counts), place, side="right"))
