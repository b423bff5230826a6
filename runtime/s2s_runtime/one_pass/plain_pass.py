"""The plain call of a model of one pass, from its rows to the best symbols of each, all rows at once.

Most calls want the best symbols and nothing else, of rows that hold nothing strange. These go a short way: rows become
one array, the graph runs, and the best symbols are taken of all positions together. Whatever is asked for besides, and
whatever is to be said of a row, is left to the long way, which gives the same symbols.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options import given_values
from s2s_runtime.inputs.memory_bound import most_tokens
from s2s_runtime.one_pass.pass_model import OnePassModel
from s2s_runtime.options import DecodingOptions
from s2s_runtime.results import FinishReason
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.vocabulary.known_ids import known_ids

_PLAIN: Final = frozenset(
    (
        *("max_length", "max_batch_size", "max_batch_tokens", "end_tokens", "return_end_token"),
        *("suppress_tokens", "allow_unknown", "unknown_symbols", "length_penalty", "length_penalty_kind"),
    )
)
"""Options with which a call is plain: those that say which symbols are best, and those without a meaning there."""

_ANY: Final = 2**31 - 1  # positions: as many as there are


class Rows(NamedTuple):
    """Rows of ids, read.

    Attributes:
        ids: int64 (rows, longest), padded on the right.
        lengths: int64 (rows,), how many of these are each row's own, at least one; None = all of them.
        are_texts: whether they were given as texts; who gives texts asks for texts.
    """

    ids: Ints
    lengths: Ints | None
    are_texts: bool = False


class BestSymbols(NamedTuple):
    """The best symbols of each row, up to its end, why each ended, and their texts where these are asked for."""

    ids: list[list[int]]
    reasons: list[FinishReason]
    texts: list[str] | None = None


class PlainPass:
    """Reads plain rows and gives the best symbols of each.

    Args:
        manifest: manifest of the bundle, of one source of ids.
        model: a model of one pass.
        plan: options made ready.
        options: plain ones, see `is_plain`.
    """

    def __init__(self, manifest: Manifest, model: OnePassModel, plan: SearchPlan, options: DecodingOptions) -> None:
        padding, vocabulary = manifest.padding, manifest.source_vocabulary
        self._model = model
        self._is_end = plan.is_end if plan.ends else None
        self._never = frozenset(plan.rules.banned.tolist())
        self._always = plan.rules.always if self._never else None
        self._shows_end = options.return_end_token
        self._size = manifest.source.size
        self._masked, self._length = padding.masked, padding.length
        self._fill = 0 if padding.id is None else padding.id
        self._look_up = known_ids(vocabulary) if vocabulary is not None and not vocabulary.reverse else None
        self._symbols, self._glue = _joined(manifest, plan, options)
        self._before, self._behind = _around(manifest)
        most = options.max_length or manifest.target.max_length
        self._most = _ANY if most is None else most
        self._follows_source = manifest.target.aligned and padding.masked
        self._most_rows = options.max_batch_size
        self._most_tokens = most_tokens(options, manifest)

    def read(self, inputs: object) -> Rows | None:
        """Return rows as one array, padded as the model reads them; None where they aren't plain.

        Plain are texts of known symbols and arrays of ids within the vocabulary, none empty, without padding inside
        and within the longest length.
        """
        if type(inputs) is np.ndarray:
            return self._read_array(inputs)
        if type(inputs) is list and inputs:
            return self._read_texts(inputs)
        return None

    def _read_array(self, rows: NDArray[Any]) -> Rows | None:
        if rows.ndim != 2 or rows.dtype.kind not in "iu" or not rows.size:
            return None
        ids = rows.astype(np.int64)
        if np.maximum.reduce(ids.view(np.uint64), axis=None) >= self._size:  # as those below zero are, too
            return None
        if not self._masked:
            return self._padded(ids, None)
        own = ids != self._fill
        lengths = own.sum(axis=1)
        if not (lengths.min() and (own == (np.arange(ids.shape[1]) < lengths[:, None])).all()):
            return None
        return self._padded(ids[:, : int(lengths.max())], lengths)

    def _read_texts(self, texts: list[Any]) -> Rows | None:
        look_up, before, behind = self._look_up, self._before, self._behind
        if look_up is None or set(map(type, texts)) != {str}:
            return None
        read = list(map(look_up, texts))
        if not all(read):
            return None  # one without symbols
        if before or behind:
            read = [[*before, *ids, *behind] for ids in read]
        counts = list(map(len, read))
        longest, lengths = max(counts), None
        if longest > min(counts):
            if not self._masked and self._length is None:
                return None  # lengths that don't go together
            read = [ids + [self._fill] * (longest - len(ids)) for ids in read]
            lengths = np.array(counts)
        try:
            array = np.fromiter(chain.from_iterable(read), np.int64, longest * len(counts)).reshape(-1, longest)
        except TypeError:
            return None  # a symbol that the vocabulary lacks
        if self._masked and (array == self._fill).sum() > longest * len(counts) - sum(counts):
            return None  # a text that spells the padding
        rows = self._padded(array, lengths)
        return None if rows is None else rows._replace(are_texts=True)

    def _padded(self, ids: Ints, lengths: Ints | None) -> Rows | None:
        """Return rows with the padding that the model reads; None where they are too long."""
        count, width = ids.shape
        if self._length is None or width == self._length:
            return Rows(ids, lengths)
        if width > self._length:
            return None
        filled = np.full((count, self._length), self._fill)
        filled[:, :width] = ids
        return Rows(filled, np.full(count, width) if lengths is None else lengths)

    def best(self, rows: Rows) -> BestSymbols:
        """Return the best symbols of rows that were read."""
        count, time = rows.ids.shape
        most = min(self._most_rows, max(1, self._most_tokens // time))
        if count <= most:
            return self._best(rows)
        lengths = np.full(count, time) if rows.lengths is None else rows.lengths
        order = np.argsort(-lengths, kind="stable")  # the longest first: little is computed for padding
        found: list[list[int]] = [[]] * count
        reasons: list[FinishReason] = ["length"] * count
        texts: list[str] = [""] * count
        whole = True
        for first in range(0, count, most):
            taken = order[first : first + most]
            width = time if self._length is not None else int(lengths[taken].max())
            part = self._best(Rows(rows.ids[taken, :width], lengths[taken], rows.are_texts))
            whole = whole and part.texts is not None
            for place, ids, reason, text in zip(
                taken.tolist(), part.ids, part.reasons, part.texts or repeat(""), strict=False
            ):
                found[place], reasons[place], texts[place] = ids, reason, text
        return BestSymbols(found, reasons, texts if whole else None)

    def _best(self, rows: Rows) -> BestSymbols:
        tokens = self._model.best(rows.ids, self._never)
        if tokens is None:
            outputs = self._model.encode(rows.ids).outputs
            tokens = (outputs if self._always is None else outputs + self._always).argmax(axis=2)
        count, positions = tokens.shape
        limit = min(self._most, positions)
        lengths = rows.lengths if self._follows_source else None
        shown: Ints | None = None
        reasons: list[FinishReason] = ["length"] * count
        if lengths is not None:
            shown = np.minimum(lengths, limit)
        elif limit < positions:
            shown = np.full(count, limit)
        if self._is_end is not None:
            limits = np.full(count, limit) if shown is None else shown
            ends = self._is_end[tokens]
            first = ends.argmax(axis=1)
            ended = ends.any(axis=1) & (first < limits)
            shown = np.where(ended, first + int(self._shows_end), limits)
            reasons = ["end" if end else "length" for end in ended.tolist()]
        texts = None
        if rows.are_texts and self._symbols is not None:
            texts = list(map(self._glue.join, _cut(self._symbols.take(tokens), shown)))
        return BestSymbols(_cut(tokens, shown), reasons, texts)


def _cut(rows: NDArray[Any], lengths: Ints | None) -> list[list[Any]]:
    """Return rows as lists, each up to its length."""
    listed: list[list[Any]] = rows.tolist()
    if lengths is None:
        return listed
    return [row[:length] for row, length in zip(listed, lengths.tolist(), strict=True)]


def _joined(manifest: Manifest, plan: SearchPlan, options: DecodingOptions) -> tuple[NDArray[np.object_] | None, str]:
    """Return the symbols of target ids, and what stands between them in a text; None where texts are more than that."""
    vocabulary = manifest.target_vocabulary
    glue = None if vocabulary is None or options.return_end_token else vocabulary.glue
    if vocabulary is None or glue is None or len(vocabulary) < manifest.target.size:
        return None, ""
    shown = np.flatnonzero(~plan.is_end)
    written = set(shown[np.isfinite(plan.rules.always[shown])].tolist())
    return (np.array(vocabulary.symbols, object) if vocabulary.decodes_whole(written) else None), glue


def _around(manifest: Manifest) -> tuple[list[int], list[int]]:
    """Return the ids before and behind each source."""
    vocabulary = manifest.source_vocabulary
    start, end = (None, None) if vocabulary is None else (vocabulary.start_id, vocabulary.end_id)
    return [] if start is None else [start], [] if end is None else [end]


def is_plain(manifest: Manifest, options: DecodingOptions) -> bool:
    """Return whether calls with these options may be plain, of a bundle of one pass: one source of ids, one output."""
    source, padding, target = manifest.source, manifest.padding, manifest.target
    reads_ids = source.kind in ("ids", "one-hot") and not source.others
    gives_one = not manifest.outputs
    fits = options.max_length is None or target.most is None or options.max_length <= target.most
    on_the_right = padding.side == "right" and not (padding.masked and padding.id is None)
    return reads_ids and gives_one and fits and on_the_right and given_values(options).keys() <= _PLAIN
