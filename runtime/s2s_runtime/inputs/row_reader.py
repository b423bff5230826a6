"""Reading what callers give for one input of the encoder: texts, ids or values become unpadded arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints
from s2s_runtime.bundle.manifest import Manifest, SourceKind
from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.inputs.given_rows import row_in
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options.types import LongPolicy, UnknownPolicy
from s2s_runtime.spelling import shown
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from s2s_runtime.inputs import factored_rows, long_rows
else:
    factored_rows, long_rows = LazyModule("inputs.factored_rows"), LazyModule("inputs.long_rows")

Source = NDArray[Any]  # int64 (time,), float32 (time, features), or float32 of any shape for a vector

_RANKS = {"values": (3,), "one-hot": (2, 3), "ids": (2,)}


class Part(NamedTuple):
    """A row, or the part of a row that was too long: its array, its symbols that the vocabulary lacks, and its joint.

    The joint is what stands between the text before and this one's, where they are joined. Where texts say more than
    what the first input reads, `beside` has that.
    """

    array: Source
    missing: list[str]
    joint: str = ""
    beside: tuple[Source, ...] = ()


class ReadRow(NamedTuple):
    """What a row was read as: one part or several, and how many of its tokens were left out."""

    parts: list[Part]
    left_out: int = 0


class LengthLimit(NamedTuple):
    """The most tokens that a source may have, and what becomes of a longer one.

    Args:
        longest: as the model reads it, start and end symbols too; None = no limit.
        policy: "error", "truncate" or "split".
    """

    longest: int | None = None
    policy: LongPolicy = "error"

    def within(self, padded: int | None) -> int | None:
        """Return the most tokens for a model that reads sources padded to a length, or, with None, of any length."""
        if self.longest is None or padded is None:
            return padded if self.longest is None else self.longest
        return min(self.longest, padded)


_NO_LIMIT = LengthLimit()


class RowReader(NamedTuple):
    """A reader of the rows of one input.

    Args:
        label: what messages call the input.
        kind: what the input is: "ids", "one-hot", "values" or "vector".
        size: number of different ids, or of features.
        padding: how it is padded.
        vocabulary: turns texts into ids; None where only numbers are known.
        shape: of one row of a vector, or of one step of values where that has several axes.
        limit: most tokens of a row, and what becomes of a longer one.
    """

    label: str
    kind: SourceKind
    size: int
    padding: PaddingPolicy
    vocabulary: Vocabulary | None
    shape: tuple[int | None, ...] = ()
    limit: LengthLimit = _NO_LIMIT

    @classmethod
    def of(cls, manifest: Manifest, limit: LengthLimit) -> list[RowReader]:
        """Return a reader for each input of a bundle, in order; the limit is that of the first."""
        source = manifest.source
        several = len(manifest.given_names) - len(source.known) > 1
        labels = [f"inputs[{name!r}]" if several else "inputs" for name in source.names[:1]]
        labels += [f"{'known' if other.known else 'inputs'}[{other.name!r}]" for other in source.others]
        vectors = [tensor.shape[1:] for tensor in source.inputs]
        steps = [(source.kind, source.step), *((other.kind, other.step) for other in source.others)]
        shapes = [step if kind == "values" else vectors[i] for i, (kind, step) in enumerate(steps)]
        sizes = (labels[0], source.kind, source.size, manifest.padding, manifest.source_vocabulary)
        others = zip(labels[1:], source.others, shapes[1:], strict=True)
        rest = [cls(label, o.kind, o.size, o.padding, None, shape) for label, o, shape in others]
        return [cls(*sizes, shapes[0], limit), *rest]

    @property
    def expected(self) -> str:
        """Words for what may be given, for messages."""
        if self.kind == "values":
            return f"float arrays (sentences, time, {', '.join(map(str, self.shape or (self.size,)))})"
        if self.kind == "vector":
            return f"a float array (sentences, {', '.join(map(str, self.shape))})"
        texts = "" if self.vocabulary is None else "texts, or "
        if self.vocabulary is not None and self.vocabulary.factor_names:
            texts = f"texts of words as {factored_rows.factored(self.vocabulary).form!r}, or "
        one_hot = f", or one-hot arrays (sentences, time, {self.size})" if self.kind == "one-hot" else ""
        return f"{texts}ids: lists, or an integer array (sentences, time){one_hot}"

    @property
    def _ranks(self) -> tuple[int, ...]:
        if self.kind == "values" and self.shape:
            return (*_RANKS["values"], len(self.shape) + 2)
        return (len(self.shape) + 1,) if self.kind == "vector" else _RANKS[self.kind]

    def check_rank(self, rows: object) -> None:
        """Refuse a whole array of the wrong rank, so that the message isn't about its first row.

        Raises:
            InputError: it has another rank than this input.
        """
        if isinstance(rows, np.ndarray) and rows.dtype.kind not in "US" and rows.ndim not in self._ranks:
            raise InputError(f"{self.label}: expected {self.expected}, got {rows.dtype} of shape {rows.shape}")

    def read_whole(self, rows: object) -> list[Source] | None:
        """Return the rows of an array of ids, checked all at once; None where they have to be checked one by one."""
        if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "iu" or rows.size == 0:
            return None
        longest = self.limit.within(self.padding.length)
        if self.kind not in ("ids", "one-hot") or self.padding.masked or (longest and rows.shape[1] > longest):
            return None
        lowest = -1 if self.kind == "one-hot" else 0
        return list(rows.astype(np.int64)) if rows.min() >= lowest and rows.max() < self.size else None

    def read(self, index: int, item: object, policy: UnknownPolicy | None) -> ReadRow:
        """Return the array of one sentence, int64 (time,) or float32, and the symbols that the vocabulary lacks.

        A row that is too long is cut up or truncated where the limit says so.

        Raises:
            InputError: wrong type, shape or range; too long; padding where it can't be masked.
            UnknownSymbolError: a text holds a symbol that the vocabulary doesn't.
        """
        try:
            item = row_in(item)
        except InputError as error:
            raise self._wrong(index, f"expected {self.expected}, {error}") from error
        whole = (
            self._read_text(index, item, policy) if isinstance(item, str) else Part(self._read_numbers(index, item), [])
        )
        array = whole.array
        longest = self.limit.within(self.padding.length)
        if self.kind == "vector" or longest is None or len(array) <= longest:
            return ReadRow([whole])
        parts = [] if self.limit.policy == "error" else self._parts(item, array, longest, policy)
        if not parts:
            raise self._too_long(index, len(array))
        if self.limit.policy == "split":
            return ReadRow(parts)
        return ReadRow(parts[:1], len(array) - len(parts[0].array))

    def _too_long(self, index: int, count: int) -> InputError:
        length, most = self.padding.length, self.limit.longest
        advice = "shorten it, or give on_long='truncate' or 'split'"
        if length is not None and (most is None or most > length):
            return self._wrong(
                index,
                f"{count} tokens, but this bundle's model reads sources padded to {length}; {advice}, or export again "
                "with a larger source length",
            )
        return self._wrong(index, f"expected at most max_source_length = {most} tokens, got {count}; {advice}")

    def _parts(self, item: object, array: Source, longest: int, policy: UnknownPolicy | None) -> list[Part]:
        """Return the parts of a row that is too long; none where start and end alone are as long as it may be.

        Numbers are cut as they are: whether a start and an end are among them, only who gives them knows.
        """
        vocabulary = self.vocabulary
        if vocabulary is None or not isinstance(item, str):
            return [
                Part(array[cut.first : cut.stop], [], cut.joint) for cut in long_rows.cut_evenly(len(array), longest)
            ]
        room = longest - len(vocabulary.wrap([]))
        if room < 1:
            return []
        units = factored_rows.factored(vocabulary).units(item) if vocabulary.factor_names else None
        symbols, ids = vocabulary.symbol_ids(item) if units is None else (units.symbols, units.ids)
        split = self.limit.policy == "split"
        cuts = long_rows.cut_up(symbols, vocabulary.unit, room) if split else [long_rows.Cut(0, room, "")]
        cuts = cuts or [long_rows.Cut(0, 0, "")]  # nothing but white space
        parts = []
        for first, stop, joint in cuts:
            if units is not None:
                array, missing, beside = factored_rows.read_units(vocabulary, units.part(first, stop), policy, item)
                parts.append(Part(array, missing, joint, beside))
                continue
            own, missing = vocabulary.resolve(symbols[first:stop], ids[first:stop], policy, item)
            parts.append(Part(np.array(vocabulary.wrap(own) if own else [], np.int64), missing, joint))
        return parts

    def _read_numbers(self, index: int, item: object) -> Source:
        try:
            array = np.asarray(item)
        except ValueError as error:  # a ragged list of rows
            raise self._wrong(index, f"expected {self.expected}: {error}") from error
        if self.kind == "vector":
            return self._read_values(index, array, self.shape)
        if array.size == 0 and array.ndim == 1:
            return np.zeros((0, self.size), np.float32) if self.kind == "values" else np.zeros(0, np.int64)
        if array.ndim == 0:
            raise self._unexpected(index, array)
        if self.kind == "values":
            if self.shape and array.shape[1:] == self.shape:
                array = array.reshape(len(array), self.size)
            return self._strip_padding(index, self._read_values(index, array, (len(array), self.size)))
        if self.kind == "one-hot" and array.ndim == 2:
            array = self._from_one_hot(index, array)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise self._unexpected(index, array)
        lowest = -1 if self.kind == "one-hot" else 0
        ids: Ints = array.astype(np.int64)
        if ids.min() < lowest or ids.max() >= self.size:
            wrong = next(int(i) for i in ids if not lowest <= i < self.size)
            raise self._wrong(index, f"expected ids from {lowest} to {self.size - 1}, got {wrong}")
        return self._strip_padding(index, ids)

    def _read_text(self, index: int, text: str, policy: UnknownPolicy | None) -> Part:
        """Return the ids of a text, and those of its symbols that the vocabulary lacks."""
        if self.vocabulary is None:
            raise self._wrong(
                index,
                f"expected {self.expected}, as this bundle has no source vocabulary"
                f"{'' if self.label == 'inputs' else ' for it'}; got {shown(text)}",
            )
        try:
            if self.vocabulary.factor_names:
                return self._read_factored(index, text, policy)
            ids, missing = self.vocabulary.look_up(text, policy)
        except UnknownSymbolError as error:
            error.place = index
            raise
        wrapped = np.array(self.vocabulary.wrap(ids) if ids else [], np.int64)  # without symbols: an empty source
        return Part(self._strip_padding(index, wrapped), missing)

    def _read_factored(self, index: int, text: str, policy: UnknownPolicy | None) -> Part:
        """Return the ids of a text and of its factors."""
        try:
            ids, missing, beside = factored_rows.read_text(self.vocabulary, text, policy)
        except InputError as error:
            raise self._wrong(index, str(error)) from error
        array = self._strip_padding(index, ids)
        return Part(array, missing, "", tuple(factor[: len(array)] for factor in beside))

    def _read_values(self, index: int, array: NDArray[Any], shape: tuple[int | None, ...]) -> NDArray[np.float32]:
        if array.shape != shape or array.dtype.kind not in "fiu":
            raise self._unexpected(index, array)
        with np.errstate(over="ignore", invalid="ignore"):  # what doesn't fit into 32 bits is said below
            values = array.astype(np.float32)
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            names = {1: ("feature",), 2: ("step", "feature")}.get(values.ndim, ("axis",) * values.ndim)
            where = ", ".join(f"{name} {number}" for name, number in zip(names, wrong[0].tolist(), strict=True))
            raise self._wrong(
                index,
                f"expected finite numbers (float32), got {array[tuple(wrong[0])]} at {where}"
                f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}; fill gaps, or leave the row out",
            )
        return values

    def _unexpected(self, index: int, array: NDArray[Any]) -> InputError:
        return self._wrong(index, f"expected {self.expected}, got {array.dtype} of shape {array.shape}")

    def _wrong(self, index: int, reason: str) -> InputError:
        return InputError.at(self.label, index, reason)

    def _from_one_hot(self, index: int, array: NDArray[Any]) -> Ints:
        sums = array.sum(axis=1) if array.shape[1] == self.size and array.dtype.kind in "fiub" else None
        if sums is None or not (np.isin(array, (0, 1)).all() and np.isin(sums, (0, 1)).all()):
            raise self._wrong(
                index,
                f"expected one-hot rows of width {self.size} (or rows of zeros), got {array.dtype} of shape "
                f"{array.shape}",
            )
        ids: Ints = np.where(sums == 1, array.argmax(axis=1), -1).astype(np.int64)
        return ids

    def _strip_padding(self, index: int, source: Source) -> Source:
        """Take the padding off the end where the model masks it; elsewhere it can't be masked and is refused."""
        padding = self.padding
        if not padding.masked:
            return source
        real = (source != 0).any(axis=1) if source.ndim == 2 else source != padding.id
        length = int(real.sum())
        if not real[:length].all():
            what = "a row of zeros" if padding.id in (None, -1) else f"padding id {padding.id}"
            raise self._wrong(
                index,
                f"{what} at position {int(np.argmin(real))}, before a token; this bundle's model masks padding and "
                "takes it only at the end: move it there (padding='post' of pad_sequences) or leave it out",
            )
        return source[:length]
