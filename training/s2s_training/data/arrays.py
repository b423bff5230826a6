"""Encoded pairs as padded arrays, and batches of similar length.

Two layouts. Ids: `(pairs, time)` int32, padded with id 0, which embeddings mask. One-hot: the same ids while on the
host, turned into `(pairs, time, symbols)` float32 batch by batch; id -1 becomes a row of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.vocabulary.factors import FactoredVocabulary
from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.config.model import ModelConfig
from s2s_training.data.corpus import Example
from s2s_training.data.vocabulary_builder import BLANK_ID, SPACE, ZERO_ROW
from s2s_training.source_factors import Unit, encode_units

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Layout:
    """How a run's pairs become arrays.

    Attributes:
        source_size: symbols of the source side.
        target_size: symbols of the target side.
        one_hot: whether the model takes one-hot vectors instead of ids.
        fed: whether there is a decoder input (the target one step earlier).
        source_padding: id that fills source rows; -1 = a row of zeros.
        target_padding: id that fills target rows; -1 = a row of zeros.
        source_length: fixed source length, or None where each batch has its own.
        target_length: fixed number of decoder steps, or None.
        source_side: where a source row is filled, "right" or "left".
        padding_counts: whether padded steps count as predictions (the model learns to write its padding).
        per_step: whether a batch's loss is divided by all its steps, padded ones too, as the published models do;
            else by the steps that count.
        start_id: what a fed decoder reads first; None where nothing is fed.
        aligned: whether there is a target symbol for each source symbol, or the padding of targets.
        factor_sizes: symbols of each factor of the source.
        frames: of CTC: how many there are for each source symbol; None = no CTC, in which id 0 of the target is the
            blank, and fills rows.
    """

    source_size: int
    target_size: int
    one_hot: bool
    fed: bool
    source_padding: int
    target_padding: int
    source_length: int | None
    target_length: int | None
    source_side: str
    padding_counts: bool
    per_step: bool
    start_id: int | None = None
    aligned: bool = False
    frames: int | None = None
    factor_sizes: tuple[int, ...] = ()

    @property
    def unit_shape(self) -> tuple[int, ...]:
        """The shape of what stands for one symbol of a source: with factors an id, and the ids of these."""
        return (1 + len(self.factor_sizes),) if self.factor_sizes else ()

    @property
    def target_row(self) -> int | None:
        """Fixed length of target rows, or None. The input of a fed decoder drops the last id, its labels the first."""
        return self.target_length if self.target_length is None or not self.fed else self.target_length + 1

    @classmethod
    def of(cls, vocabulary: VocabularyFile, model: ModelConfig) -> Layout:
        """Return the layout for a model of this configuration with these vocabularies."""
        source, target, policy = vocabulary.source, vocabulary.target, vocabulary.padding
        padding_counts = model.padding == "space"
        target_padding = ZERO_ROW if target.padding_id is None else target.padding_id
        ctc = model.kind == "ctc"
        return cls(
            source_size=len(source),
            target_size=len(target),
            one_hot=not model.embedding,
            fed=target.start_id is not None,
            source_padding=policy.id,
            target_padding=BLANK_ID if ctc else target.symbols.index(SPACE) if padding_counts else target_padding,
            source_length=policy.length,
            target_length=None if policy.masked and model.kind != "repeat-vector" else vocabulary.max_length,
            source_side=policy.side,
            padding_counts=padding_counts,
            per_step=not policy.masked,
            start_id=target.start_id,
            aligned=model.kind == "same-length",
            frames=(model.upsample or 1) if ctc else None,
            factor_sizes=tuple(map(len, source.factors)) if isinstance(source, FactoredVocabulary) else (),
        )


@dataclass(frozen=True)
class EncodedPairs:
    """Pairs of texts as ids.

    Attributes:
        sources: ids of each source, without padding; with factors, tuples of ids.
        targets: ids of each target with its start and end ids, without padding.
    """

    sources: list[list[Unit]]
    targets: list[list[int]]

    def __len__(self) -> int:
        return len(self.sources)


def encode_pairs(examples: Sequence[Example], vocabulary: VocabularyFile, layout: Layout | None = None) -> EncodedPairs:
    """Encode both sides of each example; of several targets the first is taken.

    Where a layout aligns targets with sources, one that is as long as its source has no end.
    """
    sources = [encode_units(vocabulary.source, example.source) for example in examples]
    targets = [vocabulary.target.encode_sentence(example.targets[0]) for example in examples]
    if layout is not None and layout.aligned:
        targets = [target[: len(source)] for source, target in zip(sources, targets, strict=True)]
    return EncodedPairs(sources, targets)


def pad(
    rows: Sequence[Sequence[Unit]],
    padding: int,
    length: int | None = None,
    side: str = "right",
    shape: tuple[int, ...] = (),
) -> Ids:
    """Return rows of ids as one int32 array `(rows, length)`; a `length` of None is that of the longest row.

    Rows of tuples give `(rows, length, *shape)`.

    >>> pad([[1, 2, 3], [4]], padding=0)
    array([[1, 2, 3],
           [4, 0, 0]], dtype=int32)
    """
    array = np.full((len(rows), max(map(len, rows)) if length is None else length, *shape), padding, np.int32)
    for row, ids in zip(array, rows, strict=True):
        if not ids:
            continue
        if side == "right":
            row[: len(ids)] = ids
        else:
            row[len(row) - len(ids) :] = ids
    return array


class BucketedPairs:
    """Padded pairs in buckets of similar length, from which batches are drawn.

    Rows of a batch come from one bucket, and are padded only as far as the longest of them (or to the layout's fixed
    lengths).

    Args:
        pairs: encoded pairs, not empty.
        layout: padding ids and lengths.
        buckets: how many buckets at most.
        batch_size: rows in a batch; the last of a bucket may have fewer.
    """

    def __init__(self, pairs: EncodedPairs, layout: Layout, buckets: int, batch_size: int) -> None:
        self._batch_size = batch_size
        self._fixed = (layout.source_length, layout.target_length)
        self._side = layout.source_side
        self._source_lengths = np.array([len(ids) for ids in pairs.sources])
        self._target_lengths = np.array([len(ids) for ids in pairs.targets])
        sizes = (layout.source_padding, layout.source_length, layout.source_side, layout.unit_shape)
        self._sources = pad(pairs.sources, *sizes)
        self._targets = pad(pairs.targets, layout.target_padding, layout.target_row)
        total = self._source_lengths + self._target_lengths
        self.buckets = [np.flatnonzero(group) for group in _groups(total, buckets)]

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""
        return sum(-(-len(bucket) // self._batch_size) for bucket in self.buckets)

    def batches(self, generator: np.random.Generator | None = None) -> Iterator[tuple[Ids, Ids]]:
        """Yield the batches of one epoch as `(source (batch, time), target (batch, time))`, int32.

        With factors a source is (batch, time, 1 + factors).

        Args:
            generator: shuffles rows within buckets, and the batches; None = the order given.
        """
        plan = []
        for bucket in self.buckets:
            rows = bucket if generator is None else generator.permutation(bucket)
            plan += [rows[start : start + self._batch_size] for start in range(0, len(rows), self._batch_size)]
        order = range(len(plan)) if generator is None else generator.permutation(len(plan))
        for i in order:
            yield self._batch(plan[i])

    def _batch(self, rows: NDArray[np.int64]) -> tuple[Ids, Ids]:
        source, target = self._sources[rows], self._targets[rows]
        if self._fixed[0] is None:
            source = source[:, : self._source_lengths[rows].max()]
        if self._fixed[1] is None:
            target = target[:, : self._target_lengths[rows].max()]
        return source, target


def bucket_limits(distinct: NDArray[np.int64], counts: NDArray[np.int64], buckets: int) -> NDArray[np.int64]:
    """Return the lengths by which rows are grouped: (groups + 1,), a group being above one limit, up to the next.

    The groups are those for which padding each row to the longest of its group costs least.

    Args:
        distinct: the lengths that occur, in rising order.
        counts: rows of each.
        buckets: how many groups at most.
    """
    below = np.concatenate([[0], np.cumsum(counts)])  # rows shorter than each distinct length, and all
    first, last = np.ogrid[: len(distinct) + 1, : len(distinct) + 1]
    longest = np.concatenate([[0], distinct])
    # cost[i, j]: steps in a group of the distinct lengths i to j - 1
    cost = np.where(first < last, (below[None, :] - below[:, None]) * longest[None, :], np.inf)
    least, cuts = cost[0], []  # least[j]: steps when the lengths up to j - 1 are divided into the groups so far
    for _ in range(1, min(buckets, len(distinct))):
        divided = least[:, None] + cost
        cuts.append(divided.argmin(axis=0))
        least = divided.min(axis=0)
    edges = [len(distinct)]
    for cut in reversed(cuts):
        edges.append(int(cut[edges[-1]]))
    return longest[[0, *reversed(edges)]]


def _groups(lengths: NDArray[np.int64], buckets: int) -> list[NDArray[np.bool_]]:
    """Return masks (rows,) of at most `buckets` groups of similar length; see `bucket_limits`."""
    limits = bucket_limits(*np.unique(lengths, return_counts=True), buckets)
    return [(lengths > low) & (lengths <= high) for low, high in pairwise(limits)]
