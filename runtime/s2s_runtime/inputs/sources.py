"""Making unpadded arrays of what callers give: one per sentence and input of the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import InputError, S2SError, UnknownSymbolError
from s2s_runtime.inputs.given_rows import row_in, rows_in
from s2s_runtime.inputs.row_reader import RowReader, Source
from s2s_runtime.options.types import UnknownPolicy

__all__ = ["Inputs", "Row", "Rows", "Source", "Sources", "read_sources"]

Row = str | Sequence[int] | NDArray[Any]
Rows = Iterable[Row] | NDArray[Any]
Inputs = Iterable[Row | Mapping[str, Row]] | NDArray[Any] | Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources that were read.

    Attributes:
        arrays: int64 (time,) each, or float32 (time, features) for a source of values; time is 0 in empty ones.
        unknown: symbols that the vocabulary lacks, by the index of the text.
        others: for each sentence, what the other inputs of the encoder read; empty where there are none.
    """

    arrays: list[Source]
    unknown: Mapping[int, list[str]]
    others: list[tuple[Source, ...]]

    def __len__(self) -> int:
        return len(self.arrays)


def read_sources(
    inputs: Inputs,
    manifest: Manifest,
    policy: UnknownPolicy | None = None,
    first: int = 0,
    *,
    longest: int | None = None,
    errors: dict[int, S2SError] | None = None,
) -> Sources:
    """Return one array per sentence and input, without padding where the model masks it.

    Args:
        inputs: texts, where the bundle has a source vocabulary; lists of ids of any lengths; an integer array
            (sentences, time); for values, a float array (sentences, time, features) or a list of (time, features);
            for one-hot models also the one-hot arrays themselves, a row of zeros standing for id -1. For models that
            read several sources a mapping from their names to such, or a mapping of names to rows for each sentence.
        manifest: of the bundle.
        policy: what becomes of symbols that the vocabulary lacks; None = the vocabulary's own way.
        first: how many inputs came before these, for messages.
        longest: most tokens of the first input; None = no limit.
        errors: takes the errors of single rows by their index, which are empty then; None = they are raised.

    Raises:
        InputError: wrong type, shape or range; a row longer than the bundle's padded length; padding before or
            between tokens of a model that masks it; names that the bundle lacks, or not as many rows for each name.
        UnknownSymbolError: a text holds a symbol that the vocabulary doesn't.
    """
    readers = RowReader.of(manifest)
    columns = _columns(inputs, manifest.source.names)
    for reader, column in zip(readers, columns, strict=True):
        reader.check_rank(column)
    whole = readers[0].read_whole(columns[0]) if len(readers) == 1 else None
    if whole is not None and (longest is None or len(whole[0]) <= longest):
        return Sources(whole, {}, [()] * len(whole))
    unknown: dict[int, list[str]] = {}
    arrays, others = [], []
    for i, (row, *rest) in enumerate(zip(*columns, strict=True)):
        try:
            array, missing = readers[0].read(first + i, row, policy)
            if longest is not None and readers[0].kind != "vector" and len(array) > longest:
                reason = (
                    f"expected at most max_source_length = {longest} tokens, got {len(array)}; shorten it or cut it up"
                )
                raise InputError.at(readers[0].label, first + i, reason)
            read = [reader.read(first + i, item, policy)[0] for reader, item in zip(readers[1:], rest, strict=True)]
            beside = _beside(first + i, (row_in(row), array), read, manifest) if rest else ()
        except (InputError, UnknownSymbolError) as error:
            if errors is None:
                raise
            errors[i], missing = error, []
            array, beside = np.zeros(0, np.int64), tuple(np.zeros(0, np.int64) for _ in rest)
        if missing:
            unknown[i] = missing
        arrays.append(array)
        others.append(beside)
    return Sources(arrays, unknown, others)


def _columns(inputs: Inputs, names: Sequence[str]) -> list[Any]:
    """Return the rows of each input, equally many."""
    given: Any = inputs if isinstance(inputs, Mapping) else rows_in(inputs)
    if isinstance(given, np.ndarray) and len(names) == 1:
        return [given]
    if not isinstance(given, Mapping):
        rows = [row for row in given if isinstance(row, Mapping)]
        if len(names) == 1 and not rows:
            return [given]
        if len(rows) < len(given):
            raise InputError(
                f"inputs: this bundle's model reads {_quoted(names)}; expected a mapping from names to lists, such as "
                f"{{{', '.join(f'{name!r}: [...]' for name in names)}}}"
            )
        for row in rows:
            _check_names(row, names)
        given = {name: [row[name] for row in rows] for name in names}
    _check_names(given, names)
    columns = [rows_in(given[name], f"inputs[{name!r}]") for name in names]
    counts = [len(column) for column in columns]
    if len(set(counts)) > 1:
        given_counts = ", ".join(f"{count} of {name!r}" for name, count in zip(names, counts, strict=True))
        raise InputError(f"inputs: expected as many rows for each name, got {given_counts}")
    return columns


def _check_names(given: Mapping[str, object], names: Sequence[str]) -> None:
    if set(given) != set(names):
        raise InputError(f"inputs: this bundle's model reads {_quoted(names)}, got {_quoted(list(given))}")


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names)) or "no names"


def _beside(index: int, first: tuple[Any, Source], others: list[Source], manifest: Manifest) -> tuple[Source, ...]:
    """Return the other inputs of a sentence; those that go with the first step by step are made as long as it is."""
    row, array = first
    specs = manifest.source.others
    if not len(array):  # an empty sentence isn't decoded, whatever stands beside it
        return tuple(others)
    # What the first input says is padding is padding beside it too, whatever stands there.
    padded = None if isinstance(row, str) or not manifest.padding.masked else len(row)
    cut = [
        other[: len(array)] if spec.aligned and len(other) == padded else other
        for spec, other in zip(specs, others, strict=True)
    ]
    for spec, other in zip(specs, cut, strict=True):
        if spec.aligned and len(other) != len(array):
            raise InputError(
                f"inputs[{spec.name!r}][{index}]: expected {len(array)} steps, as inputs[{manifest.source.name!r}] has "
                f"there, got {len(other)}"
            )
        if len(other) == 0:
            raise InputError(f"inputs[{spec.name!r}][{index}]: expected at least 1 step, got none")
    return tuple(cut)
