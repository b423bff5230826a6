"""What callers give to decode, made into one unpadded array per sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.manifest import Manifest
from s2s_runtime.scoring import Ints
from s2s_runtime.vocabulary_side import UnknownPolicy

Source = NDArray[Any]  # int64 (time,) or float32 (time, features)
Inputs = Iterable[str | Sequence[int] | NDArray[Any]] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read.

    Attributes:
        arrays: int64 (time,) each, or float32 (time, features) for a source of values. Empty ones have time 0.
        unknown: symbols that the vocabulary lacks, of each text (by its place) that has any.
    """

    arrays: list[Source]
    unknown: Mapping[int, list[str]]


def read_sources(inputs: Inputs, manifest: Manifest, policy: UnknownPolicy | None = None, first: int = 0) -> Sources:
    """One array per sentence, without the padding of models that mask it.

    Args:
        inputs: texts, where the bundle has a source vocabulary; lists of ids of any lengths; an integer array
            (sentences, time); for values, a float array (sentences, time, features) or a list of (time, features);
            for one-hot models also the one-hot arrays themselves, a row of zeros standing for id -1.
        manifest: of the bundle.
        policy: what becomes of symbols that the vocabulary lacks; None = the vocabulary's own way.
        first: how many inputs came before these, for messages.

    Raises:
        InputError: wrong type, shape or range; a row longer than the bundle's padded length; padding before or
            between tokens of a model that masks it.
        UnknownSymbolError: a text holds a symbol that the vocabulary doesn't.
    """
    if isinstance(inputs, str):
        raise InputError(f"inputs: expected a list of texts, got one text {inputs!r}; put it in a list")
    items = list(inputs)
    _check_rank(inputs, manifest)
    unknown: dict[int, list[str]] = {}
    arrays = []
    for i, item in enumerate(items):
        if isinstance(item, str):
            array, missing = _read_text(first + i, item, manifest, policy)
            if missing:
                unknown[i] = missing
        else:
            array = _read(first + i, item, manifest)
        _check_length(first + i, array, manifest)
        arrays.append(array)
    return Sources(arrays, unknown)


def _check_length(place: int, source: Source, manifest: Manifest) -> None:
    length = manifest.padding.length
    if length is not None and len(source) > length:
        raise InputError(
            f"inputs[{place}]: {len(source)} tokens, but this bundle's model reads sources padded to {length}; "
            f"shorten it, or export again with a larger source length"
        )


def _check_rank(inputs: Inputs, manifest: Manifest) -> None:
    """A whole array of the wrong rank is reported as such, not as its first row."""
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind in "US":
        return
    ranks = {"values": (3,), "one-hot": (2, 3), "ids": (2,)}[manifest.source.kind]
    if inputs.ndim not in ranks:
        raise InputError(f"inputs: expected {_expected(manifest)}, got {inputs.dtype} of shape {inputs.shape}")


def _read(place: int, item: object, manifest: Manifest) -> Source:
    kind = manifest.source.kind
    try:
        array = np.asarray(item)
    except ValueError as error:  # a ragged list of rows
        raise InputError(f"inputs[{place}]: expected {_expected(manifest)}: {error}") from error
    if array.size == 0 and array.ndim == 1:
        return np.zeros((0, manifest.source.size), np.float32) if kind == "values" else np.zeros(0, np.int64)
    if kind == "values":
        return _strip_padding(place, _read_values(place, array, manifest), manifest)
    if kind == "one-hot" and array.ndim == 2:
        array = _from_one_hot(place, array, manifest)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"inputs[{place}]: expected {_expected(manifest)}, got {array.dtype} of shape {array.shape}")
    lowest = -1 if kind == "one-hot" else 0
    ids: Ints = array.astype(np.int64)
    if ids.min() < lowest or ids.max() >= manifest.source.size:
        wrong = next(int(i) for i in ids if not lowest <= i < manifest.source.size)
        raise InputError(f"inputs[{place}]: expected ids from {lowest} to {manifest.source.size - 1}, got {wrong}")
    return _strip_padding(place, ids, manifest)


def _read_text(place: int, text: str, manifest: Manifest, policy: UnknownPolicy | None) -> tuple[Ints, list[str]]:
    """Ids of a text, and those of its symbols that the vocabulary lacks."""
    vocabulary = manifest.source_vocabulary
    if vocabulary is None:
        raise InputError(
            f"inputs[{place}]: expected {_expected(manifest)}, as this bundle has no source vocabulary; got {text!r}"
        )
    try:
        ids, missing = vocabulary.look_up(text, policy)
    except UnknownSymbolError as error:
        error.place = place
        raise
    found = np.array(vocabulary.wrap(ids) if ids else [], np.int64)  # a text without symbols is an empty source
    return _strip_padding(place, found, manifest), missing


def _read_values(place: int, array: NDArray[Any], manifest: Manifest) -> NDArray[np.float32]:
    if array.ndim != 2 or array.shape[1] != manifest.source.size or array.dtype.kind not in "fiu":
        raise InputError(f"inputs[{place}]: expected {_expected(manifest)}, got {array.dtype} of shape {array.shape}")
    return array.astype(np.float32)


def _from_one_hot(place: int, array: NDArray[Any], manifest: Manifest) -> Ints:
    size = manifest.source.size
    sums = array.sum(axis=1) if array.shape[1] == size and array.dtype.kind in "fiub" else None
    if sums is None or not (np.isin(array, (0, 1)).all() and np.isin(sums, (0, 1)).all()):
        raise InputError(
            f"inputs[{place}]: expected one-hot rows of width {size} (or rows of zeros), "
            f"got {array.dtype} of shape {array.shape}"
        )
    ids: Ints = np.where(sums == 1, array.argmax(axis=1), -1).astype(np.int64)
    return ids


def _strip_padding(place: int, source: Source, manifest: Manifest) -> Source:
    """Take the padding off the end where the model masks it; elsewhere it can't be masked and is refused."""
    padding = manifest.padding
    if not padding.masked:
        return source
    real = (source != 0).any(axis=1) if source.ndim == 2 else source != padding.id
    length = int(real.sum())
    if not real[:length].all():
        what = "a row of zeros" if padding.id in (None, -1) else f"padding id {padding.id}"
        raise InputError(
            f"inputs[{place}]: {what} at position {int(np.argmin(real))}, before a token; this bundle's model masks "
            f"padding and takes it only at the end: move it there or leave it out"
        )
    return source[:length]


def _expected(manifest: Manifest) -> str:
    kind, size = manifest.source.kind, manifest.source.size
    if kind == "values":
        return f"float arrays (sentences, time, {size})"
    texts = "" if manifest.source_vocabulary is None else "texts, or "
    one_hot = f", or one-hot arrays (sentences, time, {size})" if kind == "one-hot" else ""
    return f"{texts}ids: lists, or an integer array (sentences, time){one_hot}"
