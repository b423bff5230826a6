"""Making unpadded arrays of what callers give: one per sentence and input of the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import InputError, S2SError, UnknownSymbolError
from s2s_runtime.inputs.given_rows import row_in, rows_in
from s2s_runtime.inputs.row_reader import LengthLimit, Part, ReadRow, RowReader, Source
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options.types import UnknownPolicy

if TYPE_CHECKING:
    from s2s_runtime.inputs import factored_rows
    from s2s_runtime.inputs.looked_up import LookedUp
else:
    factored_rows = LazyModule("inputs.factored_rows")

__all__ = ["Inputs", "Known", "Row", "Rows", "Source", "Sources", "read_sources", "with_known"]

Row = str | Sequence[int] | NDArray[Any]
Rows = Iterable[Row] | NDArray[Any]
Known = Mapping[str, Rows]
Inputs = Iterable[Row | Mapping[str, Row]] | NDArray[Any] | Mapping[str, Rows]

_NOTHING: Final = np.zeros(0, np.int64)
_ROWS: Final = {str, list, np.ndarray}  # types that are no mapping: asking that takes longer, of every row


@dataclass(slots=True, eq=False)
class Sources:
    """The sources that were read: one for each of the caller's rows, or several where a long one was split.

    Attributes:
        arrays: int64 (time,) each, or float32 (time, features) for a source of values; time is 0 in empty ones.
        unknown: symbols that the vocabulary lacks, by the index of the source.
        others: for each source, what the other inputs of the encoder read; empty where there are none.
        joints: what stands between the output of each source and the one before, where both are of one row; None where
            a row begins.
        left_out: how many tokens of a row were left out, by the index of the source.
        listed: the outputs that a lexicon has for a row, by the index of the row.
    """

    arrays: list[Source]
    unknown: dict[int, list[str]]
    others: list[tuple[Source, ...]]
    joints: list[str | None]
    left_out: dict[int, int] = field(default_factory=dict)
    listed: dict[int, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def are_whole(self) -> bool:
        """Whether each of the caller's rows is one source, with all its tokens, and nothing is known of it besides."""
        return not (self.left_out or self.listed) and self.joints.count(None) == len(self.joints)

    @property
    def rows(self) -> list[range]:
        """The sources of each of the caller's rows, by their indices."""
        starts = [i for i, joint in enumerate(self.joints) if joint is None]
        return [range(first, stop) for first, stop in pairwise([*starts, len(self.arrays)])]


def with_known(inputs: Any, known: Mapping[str, Any] | None, manifest: Manifest) -> Any:
    """Return inputs with what is known in advance beside them, as one mapping from names to rows.

    Args:
        inputs: what callers give as sources.
        known: what they give as `known`.
        manifest: of the bundle.

    Raises:
        InputError: the bundle's model reads nothing of that name, or something that wasn't given.
    """
    source = manifest.source
    if known is None and (not source.known or isinstance(inputs, Mapping) or _has_mappings(inputs)):
        return inputs
    if known is not None and not isinstance(known, Mapping):
        raise InputError(f"known: expected a mapping from names to rows, got {type(known).__name__}")
    given = known or {}
    if set(given) != set(source.known):
        expected = _quoted(source.known) if source.known else "nothing that is known in advance"
        raise InputError(
            f"known: this bundle's model reads {expected} at each step of the target, got {_quoted(list(given))}"
            + (f"; give known={{{', '.join(f'{name!r}: ...' for name in source.known)}}}" if source.known else "")
        )
    beside = dict(inputs) if isinstance(inputs, Mapping) else {source.name: inputs}
    return {**beside, **given}


def _has_mappings(inputs: object) -> bool:
    return isinstance(inputs, Sequence) and not isinstance(inputs, str) and any(isinstance(i, Mapping) for i in inputs)


def read_sources(
    inputs: Inputs,
    manifest: Manifest,
    policy: UnknownPolicy | None = None,
    first: int = 0,
    *,
    readers: Sequence[RowReader] | None = None,
    errors: dict[int, S2SError] | None = None,
    lexicon: LookedUp | None = None,
) -> Sources:
    """Return one array per sentence and input, without padding where the model masks it.

    Args:
        inputs: texts, where the bundle has a source vocabulary; lists of ids of any lengths; an integer array
            (sentences, time); for values, a float array (sentences, time, features) or a list of (time, features);
            for one-hot models also the one-hot arrays themselves, a row of zeros standing for id -1. For models that
            read several sources a mapping from their names to such, or a mapping of names to rows for each sentence;
            factors stand in the texts, or beside ids under their names.
        manifest: of the bundle.
        policy: what becomes of symbols that the vocabulary lacks; None = the vocabulary's own way.
        first: how many inputs came before these, for messages.
        readers: what reads the rows of each input, for who asks often; None = with no limit but the bundle's.
        errors: takes the errors of single rows by their index, which are empty then; None = they are raised.
        lexicon: what rows may be found in; None = nothing.

    Raises:
        InputError: wrong type, shape or range; a row longer than the bundle's padded length; padding before or
            between tokens of a model that masks it; names that the bundle lacks, or not as many rows for each name.
        UnknownSymbolError: a text holds a symbol that the vocabulary doesn't.
    """
    readers = RowReader.of(manifest, LengthLimit()) if readers is None else readers
    names, columns = _columns(inputs, manifest)
    if len(names) < len(readers):  # texts say the rest
        readers = [reader for reader, name in zip(readers, manifest.source.names, strict=True) if name in names]
    for reader, column in zip(readers, columns, strict=True):
        reader.check_rank(column)
    whole = readers[0].read_whole(columns[0]) if len(readers) == 1 and not manifest.factor_names else None
    if whole is not None:
        return Sources(whole, {}, [()] * len(whole), [None] * len(whole))
    sources = Sources([], {}, [], [])
    nothing = ReadRow([Part(_NOTHING, [], "", tuple(_NOTHING for _ in manifest.source.others))])
    for i, row in enumerate(zip(*columns, strict=True)):
        if lexicon is not None and (outputs := lexicon.outputs(row[0])):
            sources.listed[i] = outputs
            if lexicon.replaces:
                _add(sources, nothing)
                continue
        try:
            read = _read_row(first + i, row, (names, readers), policy, manifest)
        except (InputError, UnknownSymbolError) as error:
            if errors is None:
                raise
            errors[i] = error
            read = nothing
        _add(sources, read)
    return sources


def _read_row(
    index: int,
    row: Sequence[Any],
    named: tuple[Sequence[str], Sequence[RowReader]],
    policy: UnknownPolicy | None,
    manifest: Manifest,
) -> ReadRow:
    """Read what is given for one sentence, for each of its sources, by what reads them under their names."""
    names, readers = named
    read = readers[0].read(index, row[0], policy)
    if len(row) == 1 and not manifest.factor_names:
        return read
    others = {
        name: reader.read(index, item, policy).parts[0].array
        for name, reader, item in zip(names[1:], readers[1:], row[1:], strict=True)
    }
    return _with_others(index, row_in(row[0]), read, others, manifest)


def _add(sources: Sources, read: ReadRow) -> None:
    """Add the parts of a row to the sources that are being read."""
    if read.left_out:
        sources.left_out[len(sources)] = read.left_out
    for number, (array, missing, joint, beside) in enumerate(read.parts):
        if missing:
            sources.unknown[len(sources)] = missing
        sources.arrays.append(array)
        sources.others.append(beside)
        sources.joints.append(joint if number else None)


def _columns(inputs: Inputs, manifest: Manifest) -> tuple[Sequence[str], list[Any]]:
    """Return the names of the inputs that are given, and the rows of each, equally many."""
    given: Any = inputs if isinstance(inputs, Mapping) else rows_in(inputs)
    names = factored_rows.expected_names(given, manifest) if manifest.factor_names else manifest.source.names
    if isinstance(given, np.ndarray) and len(names) == 1:
        return names, [given]
    if not isinstance(given, Mapping):
        rows = [] if {*map(type, given)} <= _ROWS else [row for row in given if isinstance(row, Mapping)]
        if len(names) == 1 and not rows:
            return names, [given]
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
    return names, columns


def _check_names(given: Mapping[str, object], names: Sequence[str]) -> None:
    if set(given) != set(names):
        raise InputError(f"inputs: this bundle's model reads {_quoted(names)}, got {_quoted(list(given))}")


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names)) or "no names"


def _with_others(index: int, row: Any, read: ReadRow, others: Mapping[str, Source], manifest: Manifest) -> ReadRow:
    """Return a row with what the encoder reads beside it: the others, given by name, and what its text says."""
    parts = []
    for part in read.parts:
        beside: Sequence[Source] = tuple(others.values())
        if manifest.factor_names:
            beside = factored_rows.beside_units(index, part.beside, others, manifest)
        own = _beside(index, row, part.array, beside, manifest, left_out=read.left_out)
        parts.append(part._replace(beside=own))
    return ReadRow(parts, read.left_out)


def _beside(
    index: int, row: Any, array: Source, others: Sequence[Source], manifest: Manifest, *, left_out: int
) -> tuple[Source, ...]:
    """Return the other inputs of a sentence; those that go with the first step by step are made as long as it is."""
    specs = manifest.source.others
    if not len(array):  # an empty sentence isn't decoded, whatever stands beside it
        return tuple(others)
    # What the first input says is padding is padding beside it too, whatever stands there.
    padded = None if isinstance(row, str) or not manifest.padding.masked else len(row)
    longer = {padded, len(array) + left_out} if left_out else {padded}
    cut = [
        other[: len(array)] if spec.aligned and len(other) in longer else other
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
