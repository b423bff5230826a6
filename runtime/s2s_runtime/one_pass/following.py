"""Following readings as they come: one in, the output of its position out, states kept between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options.checks import is_integer
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.one_pass.pass_model import OnePassModel
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.plan import make_plan
from s2s_runtime.search.scoring import log_normalizer
from s2s_runtime.search.step_model import StepModel
from s2s_runtime.spelling import shown

Reading = str | int | Sequence[str] | ArrayLike


class Position(NamedTuple):
    """What a model that gives tokens says of one position.

    Attributes:
        token: the best symbol; without a target vocabulary, its id as a text. A list of these for several rows.
        id: the id of the best symbol, or int64 (rows,).
        log_probabilities: float32 (size,), or (rows, size).
    """

    token: str | list[str]
    id: int | Ints
    log_probabilities: Floats


class Following:
    """Sequences that are followed as they come. `Model.start` makes it.

    What `advance` gave for all readings of a sequence is what `generate` (without scores of rules) or `predict` give
    for the whole. It belongs to one caller: its states change with every reading.

    Args:
        manifest: manifest of the bundle.
        model: a causal model of one pass.
        rows: how many sequences are followed side by side.

    Raises:
        OptionError: `rows` is out of range.
    """

    def __init__(self, manifest: Manifest, model: StepModel[Any], rows: int = 1) -> None:
        if not is_integer(rows) or rows < 1:
            raise OptionError(f"rows: expected an integer of at least 1, got {shown(rows)}")
        take_step = cast("OnePassModel", model).take_step
        if take_step is None:
            raise OptionError("start: this model has no step")
        self._manifest, self._take_step, self._rows = manifest, take_step, int(rows)
        if manifest.source_vocabulary is not None and manifest.source_vocabulary.reverse:
            raise OptionError(
                "start: this model reads its source backwards, so that the last reading would be the first"
            )
        values = manifest.target.feedback == "value"
        self._never = None if values else make_plan(DecodingOptions(), manifest).rules.always
        self._states: list[NDArray[Any]] = []
        self.position = 0
        self.restart()

    def __repr__(self) -> str:
        return f"<Following: {self._rows} row{'s' * (self._rows > 1)}, at position {self.position}>"

    def restart(self) -> None:
        """Forget all readings: the next one is the first."""
        shapes = [(self._rows, *(size or 1 for size in tensor.shape[1:])) for tensor in self._manifest.states]
        dtypes = [tensor.dtype for tensor in self._manifest.states]
        self._states = [np.zeros(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
        self.position = 0

    def advance(self, reading: Reading) -> Position | Floats:
        """Take one reading of each row in, and return what the model gives for its position.

        Args:
            reading: an id, or a symbol of the source vocabulary, or float32 (features,) where the source is values,
                of several axes where a step has these; for several rows one of these each.

        Returns:
            A `Position`, or float32 (features,) where the model gives values; with several rows, the rows first.

        Raises:
            InputError: the reading has another form, or isn't among the source's symbols; the states stay as they were.
        """
        read = self._values(reading) if self._manifest.source.kind == "values" else self._ids(reading)
        output, *self._states = self._take_step(read, self._states)
        self.position += 1
        if self._never is None:
            return cast("Floats", output[0] if self._rows == 1 else output)
        scores: Floats = output - log_normalizer(output)[:, None]
        ids: Ints = (scores + self._never).argmax(axis=1)
        vocabulary = self._manifest.target_vocabulary
        tokens = [str(token) if vocabulary is None else vocabulary.symbols[token] for token in ids.tolist()]
        if self._rows == 1:
            return Position(tokens[0], int(ids[0]), scores[0])
        return Position(tokens, ids, scores)

    def _values(self, reading: Reading) -> Floats:
        source = self._manifest.source
        size, step = source.size, source.step or (source.size,)
        try:
            values = np.asarray(reading, np.float32)
        except (TypeError, ValueError) as error:
            raise self._wrong(f"{size} numbers", reading) from error
        rows = () if self._rows == 1 else (self._rows,)
        expected = (*rows, *step)
        if values.shape not in (expected, (*rows, size)) and not (size == 1 and values.shape == rows):
            raise self._wrong(f"numbers of shape {expected}", reading)
        if not np.isfinite(values).all():
            raise self._wrong("finite numbers", reading)
        return np.ascontiguousarray(values.reshape(self._rows, size))

    def _ids(self, reading: Reading) -> Ints:
        one = isinstance(reading, str) or np.ndim(cast("ArrayLike", reading)) == 0
        given = [reading] if one else list(cast("Sequence[Any]", reading))
        if len(given) != self._rows:
            raise self._wrong(f"one id or symbol for each of {self._rows} rows", reading)
        return np.array([self._id(item) for item in given], np.int64)

    def _id(self, item: object) -> int:
        source, vocabulary = self._manifest.source, self._manifest.source_vocabulary
        if isinstance(item, str):
            if vocabulary is None:
                raise self._wrong("ids, as this bundle has no source vocabulary", item)
            found = vocabulary.encode(item, None)
            if len(found) != 1:
                raise self._wrong("one symbol", item)
            item = found[0]
        masked = self._manifest.padding.id if self._manifest.padding.masked else None
        lowest = -1 if source.kind == "one-hot" else 0
        if not is_integer(item) or not lowest <= int(cast("int", item)) < source.size:
            raise self._wrong(f"an id from {lowest} to {source.size - 1}", item)
        if item == masked:
            raise self._wrong("a symbol other than padding, which this model masks", item)
        return int(cast("int", item))

    def _wrong(self, expected: str, reading: object) -> InputError:
        return InputError(f"reading {self.position}: expected {expected}; got {shown(reading)}")
