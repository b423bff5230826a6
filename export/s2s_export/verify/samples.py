"""Sentences to verify with, as the runtime, the encoder graph and Keras read them.

A sentence is a tuple with one unpadded array for each source input, in the order of the encoder's inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.bundle_terms import Understanding
from s2s_export.understand.padding_policy import ordinary_ids
from s2s_export.verify.coverage import LONGEST_SOURCE, SOURCES, UNKNOWN_LENGTH
from s2s_runtime.bundle.manifest_file import OtherSource
from s2s_runtime.spelling import option

Sentence = tuple[np.ndarray, ...]

_SHOWN = 60


def sentences(options: ExportOptions, facts: Understanding, count: int | None = None) -> list[Sentence]:
    """Return sentences to verify with: of texts that were given, or generated.

    Args:
        options: the texts, or how many sentences to generate.
        facts: how the model was understood.
        count: how many to generate, where the options don't say.

    Raises:
        ExportError: as `encoded`.
    """
    if options.verify_with:
        return encoded(options.verify_with, facts)
    return generated(facts, options.verify_sources or count or SOURCES)


def in_words(compared: Sequence[Sentence], options: ExportOptions, facts: Understanding) -> str:
    """Tell how many sentences there are, where they come from, and their steps where the model reads no more."""
    several = len(compared) > 1
    if options.verify_with:
        return f"{len(compared)} {'sentences' if several else 'sentence'} given"
    most = facts.most_read
    bound = "" if most is None else f" of at most {most} steps, as the model reads no longer ones"
    return f"{len(compared)} generated {'sources' if several else 'source'}{bound}"


def generated(facts: Understanding, count: int) -> list[Sentence]:
    """Return so many random sentences of several lengths, of ordinary symbols where a vocabulary tells which are."""
    rng = np.random.default_rng(0)
    if facts.source.kind == "vector":
        return _beside(rng, facts, _vectors(rng, facts, 0, count))
    if facts.without_source:
        size = facts.target.size if facts.without_start else 1
        special = {facts.target.padding_id, facts.target.unknown_id, *facts.target.end_ids}
        return [(rng.choice(ordinary_ids(size, special), size=1),) for _ in range(count)]
    lengths = _lengths(rng, facts, 0, count)
    vocabulary = facts.source_vocabulary
    special = set() if vocabulary is None else {vocabulary.padding_id, vocabulary.start_id, vocabulary.end_id}
    first = [_row(rng, facts.sources[0], length, special) for length in lengths]
    return _beside(rng, facts, first)


def encoded(texts: Sequence[str], facts: Understanding) -> list[Sentence]:
    """Return sentences of given texts; what the model reads beside the texts is random.

    Raises:
        ExportError: there is no vocabulary to read them with, or one is longer than what the training model reads.
    """
    if facts.source_vocabulary is None:
        raise ExportError(f"texts to verify with need a source vocabulary: give {option('source_vocab', 'FILE')}")
    first = [np.asarray(facts.source_vocabulary.encode_sentence(text), dtype=np.int64) for text in texts]
    longest = facts.longest[0]
    for text, row in zip(texts, first, strict=True):
        if longest is not None and len(row) > longest:
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            raise ExportError(
                f"{option('verify_with')}: {shown!r} has {len(row)} symbols, but the model reads at most {longest}; "
                f"leave the line out, or give the length of training with {option('source_length')} if that is another"
            )
    return _beside(np.random.default_rng(0), facts, first)


def _beside(rng: np.random.Generator, facts: Understanding, first: list[np.ndarray]) -> list[Sentence]:
    columns = [first]
    for index, other in list(enumerate(facts.sources))[1:]:
        if other.kind == "vector":
            columns.append(_vectors(rng, facts, index, len(first)))
            continue
        lengths = [len(row) for row in first] if other.aligned else _lengths(rng, facts, index, len(first))
        columns.append([_row(rng, other, length, set()) for length in lengths])
    return list(zip(*columns, strict=True))


def _lengths(rng: np.random.Generator, facts: Understanding, index: int, count: int) -> list[int]:
    """Return random lengths up to the greatest; a fixed number of values has no padding of its own."""
    source = facts.sources[index]
    if source.known:
        return [facts.target.max_length or UNKNOWN_LENGTH] * count
    if source.kind == "values" and source.padding.length:
        return [source.padding.length] * count
    return [int(n) for n in rng.integers(1, (facts.longest[index] or facts.most_read or LONGEST_SOURCE) + 1, count)]


def _vectors(rng: np.random.Generator, facts: Understanding, index: int, count: int) -> list[np.ndarray]:
    """Return so many random arrays for a source without a time axis, in the shape of its graph input."""
    return list(rng.normal(size=(count, *facts.source.inputs[index].shape[1:])).astype(np.float32))


def _row(rng: np.random.Generator, source: OtherSource, length: int, special: set[int | None]) -> np.ndarray:
    if source.kind == "values":
        return rng.normal(size=(length, source.size)).astype(np.float32)
    return rng.choice(ordinary_ids(source.size, special | {source.padding.id}), size=length)


def by_lengths(sentences: Sequence[Sentence]) -> list[list[int]]:
    """Return which sentences have sources of the same lengths: nothing pads these in a batch of their own."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, sentence in enumerate(sentences):
        groups.setdefault(tuple(len(array) for array in sentence), []).append(index)
    return list(groups.values())


def padded(sentences: Sequence[Sentence], facts: Understanding) -> list[np.ndarray]:
    """Return one batch of graph inputs, padded."""
    return [
        np.stack(rows) if source.kind == "vector" else _padded(rows, source)
        for rows, source in zip(zip(*sentences, strict=True), facts.sources, strict=True)
    ]


def _padded(rows: Sequence[np.ndarray], source: OtherSource) -> np.ndarray:
    policy = source.padding
    width = policy.length or max(len(row) for row in rows)
    shape = (len(rows), width, *rows[0].shape[1:])
    batch = np.full(shape, 0 if policy.id is None else policy.id, dtype=rows[0].dtype)
    for padded_row, row in zip(batch, rows, strict=True):
        padded_row[(slice(-len(row), None) if policy.side == "left" else slice(len(row)))] = row
    return batch


def for_runtime(sentences: Sequence[Sentence], facts: Understanding) -> Any:
    """Return sentences in the form that `generate` and `predict` of the runtime take."""
    if facts.without_source:  # what goes to a language model is what it goes on from
        return [source[0].tolist() if facts.without_start else [] for source in sentences]
    columns = [[row.tolist() for row in rows] for rows in zip(*sentences, strict=True)]
    names = [source.name for source in facts.sources]
    return columns[0] if len(columns) == 1 else dict(zip(names, columns, strict=True))
