"""What each input of the decoder is given at a step: the output before, values known in advance, zeros, or a constant.

A decoder input may be put together of several of these along its features. What is known in advance crosses from
encoder to decoder as memory, and a state counts the steps: the decoder picks its row there by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from s2s_runtime.spelling import option, option_by_name
from s2s_training.errors import SplitError
from s2s_training.splitting.graph import Graph, Value
from s2s_training.splitting.source_inputs import holds_ids

FeedKind = Literal["previous", "known", "zeros", "constant"]

_PART: Final = re.compile(r"(?P<kind>[a-z]+)(\[(?P<columns>\d+(,\d+)*)\])?")
_EXPECTED: Final = (
    f"expected {', '.join(get_args(FeedKind)[:-1])} or {get_args(FeedKind)[-1]}, or several joined in the order of the "
    "input's features, such as previous+known or previous[0]+known"
)


@dataclass(frozen=True)
class Part:
    """Some features of a decoder input.

    Attributes:
        kind: what they are given.
        columns: which features of the output before; empty = all of them.
    """

    kind: FeedKind
    columns: tuple[int, ...] = ()


@dataclass(frozen=True)
class Feed:
    """What a decoder input is given, its parts in the order of its features."""

    parts: tuple[Part, ...] = (Part("previous"),)

    @classmethod
    def read(cls, name: str, text: str) -> Feed:
        """Read what is fed as people type it, such as `previous[0]+known`.

        Args:
            name: of the input, for messages.
            text: the parts.

        Raises:
            SplitError: it is none of what may be fed.
        """
        parts = []
        for typed in text.replace(" ", "").split("+"):
            match = _PART.fullmatch(typed)
            if match is None or match["kind"] not in get_args(FeedKind):
                raise SplitError(f"{option_by_name('feed', {name: text})}: {_EXPECTED}")
            if match["columns"] and match["kind"] != "previous":
                raise SplitError(f"{option_by_name('feed', {name: text})}: only previous has features to choose from")
            columns = tuple(map(int, match["columns"].split(","))) if match["columns"] else ()
            parts.append(Part(cast("FeedKind", match["kind"]), columns))
        kinds = [part.kind for part in parts]
        if kinds.count("known") + kinds.count("zeros") > 1 or (len(kinds) > 1 and "constant" in kinds):
            raise SplitError(
                f"{option_by_name('feed', {name: text})}: expected known or zeros once, which fill what previous "
                "leaves, and constant by itself"
            )
        return cls(tuple(parts))

    def reads(self, kind: FeedKind) -> bool:
        """Return whether some of its features are given this."""
        return any(part.kind == kind for part in self.parts)

    @property
    def is_plain(self) -> bool:
        """Whether the whole input is the output before, as it is."""
        return self == Feed()

    @property
    def is_made_of_parts(self) -> bool:
        """Whether it speaks of some features of the input, or of the output before."""
        return len(self.parts) > 1 or any(part.columns for part in self.parts)

    def widths(self, name: str, width: int, output: int) -> tuple[int, ...]:
        """Return the number of features of each part.

        Args:
            name: of the input, for messages.
            width: features of the input.
            output: features of the model's output.

        Raises:
            SplitError: they don't add up to the input's.
        """
        sizes = [len(part.columns) or output if part.kind == "previous" else 0 for part in self.parts]
        rest = width - sum(sizes)
        wrong = [column for part in self.parts for column in part.columns if column >= output]
        fills = [i for i, part in enumerate(self.parts) if part.kind != "previous"]
        if wrong or rest < 0 or bool(fills) != bool(rest):
            raise SplitError(
                f"{option_by_name('feed', {name: str(self)})}: the decoder input {name!r} has {width} features and the "
                f"model gives {output}, numbered from 0: this doesn't come to {width}"
            )
        return tuple(rest if i in fills else size for i, size in enumerate(sizes))

    def __str__(self) -> str:
        return "+".join(
            part.kind + (f"[{','.join(map(str, part.columns))}]" if part.columns else "") for part in self.parts
        )


@dataclass(frozen=True)
class FedInput:
    """An input of the training model that is read at every step of the target.

    Attributes:
        index: its place among the model's inputs.
        value: itself.
        feed: what it is given.
        asked: whether that was said; otherwise it is what most decoders read.
        ids: whether it holds ids.
    """

    index: int
    value: Value
    feed: Feed
    asked: bool
    ids: bool

    def width(self, output: int, kind: FeedKind) -> int:
        """Return how many of its features are given this, the model's output having so many."""
        sizes = self.feed.widths(self.value.name, int(self.value.shape[-1] or 0), output)
        return sum(size for part, size in zip(self.feed.parts, sizes, strict=True) if part.kind == kind)


def read_feeds(feeds: Mapping[str, str], graph: Graph) -> dict[Value, Feed]:
    """Return what inputs of a model are fed, as the caller says.

    Raises:
        SplitError: a name is none of the model's inputs, or what is fed none of what may be.
    """
    by_name = {value.name: value for value in graph.inputs}
    unknown = [name for name in feeds if name not in by_name]
    if unknown:
        raise SplitError(
            f"{option('feed')}: no input is called {unknown[0]!r}; the model's inputs are {', '.join(by_name)}"
        )
    read = {by_name[name]: Feed.read(name, text) for name, text in feeds.items()}
    for value, feed in read.items():
        if holds_ids(graph, value) and feed.is_made_of_parts:
            raise SplitError(
                f"{option_by_name('feed', {value.name: str(feed)})}: the decoder input {value.name!r} holds ids, which "
                f"have no features to join or to choose from; expected one of {', '.join(get_args(FeedKind))}"
            )
    return read


@keras.saving.register_keras_serializable(package="s2s")
class AtPosition(keras.layers.Layer):
    """Picks each row's own step of a sequence; the last one where there are no more."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        """Return None: one step has no padding."""

    def call(self, known: Any, position: Any) -> Any:
        """Return (batch, 1, ...) for (batch, time, ...) and int32 (batch, 1)."""
        last = ops.shape(known)[1] - 1
        return tf.gather(known, ops.minimum(position, last), axis=1, batch_dims=1)

    def compute_output_spec(self, known: Any, position: Any) -> keras.KerasTensor:
        """Return the spec of one step."""
        return keras.KerasTensor((known.shape[0], 1, *known.shape[2:]), known.dtype)


@keras.saving.register_keras_serializable(package="s2s")
class WithoutAxis(keras.layers.Layer):
    """Takes off an axis of size one, also where a layer of the user's own has hidden its size.

    Keras's own `squeeze` refuses an axis of unknown size while a graph is traced.

    Args:
        axis: which, counted with the batch.
    """

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        """Return None: what is left stands for one step."""

    def call(self, x: Any) -> Any:
        """Return the tensor without the axis."""
        return tf.squeeze(x, axis=self.axis)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the spec without the axis."""
        return keras.KerasTensor((*x.shape[: self.axis], *x.shape[self.axis + 1 :]), x.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="s2s")
class ConstantInput(keras.layers.Layer):
    """Gives the same row for each of the rows of its input.

    Args:
        row: one row, without its batch axis, as nested lists or a number.
        row_dtype: its dtype.
    """

    def __init__(self, row: Any, row_dtype: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.row, self.row_dtype = row, row_dtype

    def call(self, x: Any) -> Any:
        """Return the row, repeated for each of the rows of `x`."""
        row = ops.convert_to_tensor(np.asarray(self.row), dtype=self.row_dtype)[None]
        return ops.repeat(row, ops.shape(x)[0], axis=0)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the spec of the row, with the batch of `x` before it."""
        return keras.KerasTensor((x.shape[0], *np.shape(self.row)), self.row_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "row": self.row, "row_dtype": self.row_dtype}


@dataclass(frozen=True)
class StepFeeder:
    """Puts the decoder's inputs together for one step.

    Attributes:
        inputs: what the decoder reads.
        output: features of the model's output.
        start: the token that a constant input holds.
    """

    inputs: Sequence[FedInput]
    output: int | None
    start: int | None

    @property
    def counts_steps(self) -> bool:
        """Whether the step has to know its number."""
        return any(fed.feed.reads("known") for fed in self.inputs)

    def known(self) -> list[FedInput]:
        """Return the inputs that hold what is known in advance."""
        return [fed for fed in self.inputs if fed.feed.reads("known")]

    def known_input(self, fed: FedInput) -> Any:
        """Return a fresh input for what is known: (batch, time) ids or (batch, time, features)."""
        value = fed.value
        shape = (None,) if fed.ids else (None, fed.width(self._size(fed), "known"))
        return keras.Input(shape, dtype=value.dtype, name=value.name)

    def fresh(self) -> list[Any]:
        """Return a list of the fresh input for the output before, or an empty one where nothing reads it.

        Raises:
            SplitError: several read it, and it is a token; or it doesn't have as many features as an input.
        """
        reading = [fed for fed in self.inputs if fed.feed.reads("previous")]
        if not reading:
            return []
        if any(fed.ids for fed in reading) and len(reading) > 1:
            names = " and ".join(repr(fed.value.name) for fed in reading)
            raise SplitError(
                f"{option('feed')}: of the decoder inputs {names} one can be the token before: what one step gives is "
                "one token; the others have to be known, zeros or constant"
            )
        for fed in reading:
            if fed.asked and not fed.ids:
                fed.feed.widths(fed.value.name, int(fed.value.shape[-1] or 0), self._size(fed))
        value = reading[0].value
        plain = all(fed.feed.is_plain for fed in reading) and len({fed.value.shape[2:] for fed in reading}) == 1
        shape = value.shape[2:] if plain else (self._size(reading[0]),)
        return [keras.Input(shape, dtype=value.dtype, name="s2s.fed")]

    def step(self, fed: Sequence[Any], memory: Mapping[Value, Any], position: Any, rows: Any) -> dict[Value, Any]:
        """Return what each decoder input holds at one step: (batch, 1) or (batch, 1, features).

        Args:
            fed: the output before, as `fresh` gave it.
            memory: what is known in advance, for the inputs that hold some.
            position: int32 (batch, 1), the number of the step; None where nothing is known.
            rows: any input of the step, which has as many rows.
        """
        return {each.value: self._joined(each, fed, memory.get(each.value), position, rows) for each in self.inputs}

    def _joined(self, each: FedInput, fed: Sequence[Any], known: Any, position: Any, rows: Any) -> Any:
        value, made = each.value, []
        single = each.ids or len(each.feed.parts) == 1
        sizes = (
            [int(value.shape[-1] or 0)]
            if single
            else each.feed.widths(value.name, int(value.shape[-1] or 0), self._size(each))
        )
        for part, size in zip(each.feed.parts, sizes, strict=True):
            if part.kind == "previous":
                row = ops.take(fed[0], list(part.columns), axis=-1) if part.columns else fed[0]
                made.append(ops.expand_dims(row, axis=1))
            elif part.kind == "known":
                made.append(AtPosition()(known, position))
            else:
                row = self._row(each, part.kind, size)
                made.append(ConstantInput(row.tolist(), value.dtype)(rows))
        return made[0] if len(made) == 1 else ops.concatenate(made, axis=-1)

    def _row(self, each: FedInput, kind: FeedKind, size: int) -> Any:
        """Return what a constant part holds at each step, (1,) or (1, features)."""
        if kind == "constant" and self.start is None:
            raise SplitError(
                f"{option_by_name('feed', {each.value.name: 'constant'})}: the constant is the start token: give "
                f"{option('start_id', 'N')}"
            )
        token = self.start if kind == "constant" else 0
        if each.ids:
            return np.full(1, token)
        row = np.zeros((1, *[each.value.shape[2] if len(each.feed.parts) == 1 else size]))
        if kind == "constant":
            row[0, token] = 1.0
        return row

    def _size(self, fed: FedInput) -> int:
        if self.output is None:
            raise SplitError(f"what the decoder input {fed.value.name!r} is fed needs an output of a fixed width")
        return self.output
