"""The parts of a manifest: tensors, graph files, what the encoder reads, what the decoder writes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from s2s_runtime.errors import VocabularyError
from s2s_runtime.files.json_fields import Fields
from s2s_runtime.vocabulary.padding import PaddingPolicy

SourceKind = Literal["ids", "one-hot", "values", "vector"]
Feedback = Literal["token", "probabilities", "value", "none"]
Kind = Literal["encoder-decoder", "one-pass", "decoder-only", "ctc"]
_SOURCE_KINDS: Final = ("ids", "one-hot", "values", "vector")
_GRAPH_FORMS: Final = {"ids": ("int64", 2), "one-hot": ("int64", 2), "values": ("float32", 3), "vector": ("float32", 2)}
_FEEDBACKS: Final = ("token", "probabilities", "value", "none")
KINDS: Final = ("encoder-decoder", "one-pass", "decoder-only", "ctc")
_SHA_256: Final = re.compile("[0-9a-f]{64}")
_ELSEWHERE: Final = re.compile(r"[/\\:\0]")  # on whichever system the bundle is read
_STATE_DTYPES: Final = ("float32", "float64", "float16", "int64", "int32", "bool")


class TensorSpec(NamedTuple):
    """Name, dtype and shape of a graph input or output; None in the shape is a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def to_dict(self) -> dict[str, object]:
        """Return this tensor as it stands in the manifest."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def read(cls, fields: Fields) -> TensorSpec:
        """Read one tensor of the manifest; its problems are reported to `fields`."""
        shape = fields.items("shape")
        for i, size in enumerate(shape):
            if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
                fields.problem(f"shape[{i}]", f"expected a size or null, got {size!r}")
        name, dtype = fields.text("name"), fields.choice("dtype", _STATE_DTYPES)
        fields.refuse_others()
        return cls(name, dtype, cast("tuple[int | None, ...]", tuple(shape)))


class GraphFile(NamedTuple):
    """One ONNX file of a bundle: its name, the SHA-256 of its content in hexadecimal, its size in bytes."""

    file: str
    sha256: str
    bytes: int

    def to_dict(self) -> dict[str, object]:
        """Return this file as it stands in the manifest."""
        return {"file": self.file, "sha256": self.sha256, "bytes": self.bytes}

    @classmethod
    def read(cls, fields: Fields) -> GraphFile:
        """Read one file of the manifest; its problems are reported to `fields`."""
        file = fields.text("file")
        if _ELSEWHERE.search(file) or file != Path(file).name:  # a manifest must not reach outside its folder
            fields.problem("file", f"expected a bare file name, got {file!r}")
        digest = fields.text("sha256")
        if digest and not _SHA_256.fullmatch(digest):
            fields.problem("sha256", f"expected 64 hexadecimal digits, got {digest!r}")
        size = fields.counted("bytes")
        fields.refuse_others()
        return cls(file, digest, size)


@dataclass(frozen=True, slots=True)
class OtherSource:
    """A source that the encoder reads beside its first one: another sequence, or one vector per sentence.

    Args:
        name: what callers call it.
        kind: as in `SourceSpec`, or "vector".
        size: different ids, or features.
        aligned: whether each sentence has as many steps here as in the first source.
        padding: how it is padded; nothing pads a vector.
        known: whether it holds what the decoder reads, a step of the target each, known in advance.
        step: the shape of a step of values where it has several axes, whose numbers the graph reads as one row.
    """

    name: str
    kind: SourceKind
    size: int
    aligned: bool
    padding: PaddingPolicy
    known: bool = False
    step: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return this source as it stands in the manifest."""
        padding = self.padding.to_dict()
        made = {"name": self.name, "kind": self.kind, "size": self.size, "aligned": self.aligned, "padding": padding}
        return made | ({"known": True} if self.known else {}) | _written_step(self.step)

    @classmethod
    def read(cls, fields: Fields) -> OtherSource:
        """Read this part of the manifest; its problems are reported to `fields`."""
        try:
            padding = PaddingPolicy.from_dict(fields.raw("padding", None))
        except VocabularyError as error:
            fields.problem("", str(error))
            padding = PaddingPolicy(masked=False)
        kind = cast("SourceKind", fields.choice("kind", _SOURCE_KINDS))
        sizes = fields.text("name"), kind, fields.counted("size", 1), fields.boolean("aligned")
        made = cls(*sizes, padding, fields.boolean("known", False), _read_step(fields))
        fields.refuse_others()
        return made


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """The sources that the encoder reads.

    Args:
        kind: "ids", "one-hot" (the graph takes ids and looks up one-hot rows itself; -1 = zeros), "values", or
            "vector": numbers of a whole sentence without a time axis, in the shape that the graph's input has.
        size: symbols in the source vocabulary, or features of a step for "values", or numbers of a "vector".
        inputs: inputs of the encoder graph: `source`, then `source.1` and so on for the others.
        name: what callers call the first source, where there are others.
        others: the sources read beside the first.
        step: the shape of a step of values where it has several axes, whose numbers the graph reads as one row.
    """

    kind: SourceKind
    size: int
    inputs: tuple[TensorSpec, ...]
    name: str = "source"
    others: tuple[OtherSource, ...] = ()
    step: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that callers give to the sources, in the order of `inputs`."""
        return (self.name, *(other.name for other in self.others))

    @property
    def known(self) -> tuple[str, ...]:
        """The names of those that hold what the decoder reads step by step, known in advance; the last of `names`."""
        return tuple(other.name for other in self.others if other.known)

    def to_dict(self) -> dict[str, object]:
        """Return this part as it stands in the manifest."""
        inputs = [tensor.to_dict() for tensor in self.inputs]
        made: dict[str, object] = {"kind": self.kind, "size": self.size, "inputs": inputs, **_written_step(self.step)}
        return made | ({"name": self.name, "others": [o.to_dict() for o in self.others]} if self.others else {})

    @classmethod
    def read(cls, fields: Fields) -> SourceSpec:
        """Read this part of the manifest; its problems are reported to `fields`."""
        made = cls(
            kind=cast("SourceKind", fields.choice("kind", _SOURCE_KINDS)),
            size=fields.counted("size", 1),
            inputs=tuple(TensorSpec.read(item) for item in fields.children("inputs")),
            name=fields.text("name", "source"),
            others=tuple(OtherSource.read(item) for item in fields.children("others", [])),
            step=_read_step(fields),
        )
        fields.refuse_others()
        return made

    def problems(self) -> list[str]:
        """Return the contradictions between the fields of this part, one line for each."""
        problems = [f"source.size: expected at least 1, got {self.size}"] if self.size < 1 else []
        expected = ["source", *(f"source.{i}" for i in range(1, len(self.others) + 1))]
        if [tensor.name for tensor in self.inputs] != expected:
            problems.append(f"source.inputs: expected {', '.join(expected)}, got {[t.name for t in self.inputs]}")
            return problems
        problems += _step_problems("source", self.step, self.size, is_value=self.kind == "values")
        for i, other in enumerate(self.others):
            problems += _step_problems(f"source.others[{i}]", other.step, other.size, is_value=other.kind == "values")
        for i, (other, after) in enumerate(pairwise(self.others)):
            if other.known and not after.known:
                problems.append(f"source.others[{i}].known: expected those that are known in advance to come last")
        for i, other in enumerate(self.others):
            if other.known and (other.aligned or other.kind not in ("ids", "values")):
                problems.append(f"source.others[{i}].known: expected ids or values that are not aligned")
        if len(set(self.names)) < len(self.names):
            problems.append(f"source.others: expected different names, got {', '.join(self.names)}")
        sizes = [self.size, *(other.size for other in self.others)]
        for i, (kind, tensor) in enumerate(zip([self.kind, *(o.kind for o in self.others)], self.inputs, strict=True)):
            dtype, rank = _GRAPH_FORMS[kind]
            higher = kind == "vector" and len(tensor.shape) > rank
            if tensor.dtype != dtype or (len(tensor.shape) != rank and not higher):
                problems.append(f"source.inputs[{i}]: expected {dtype} of {rank} dimensions, got {tensor.to_dict()}")
            elif kind == "vector" and math.prod(n or 0 for n in tensor.shape[1:]) != sizes[i]:
                problems.append(f"source.inputs[{i}]: expected {sizes[i]} numbers, got {tensor.to_dict()}")
        return problems


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """The tokens or values that the decoder reads and writes.

    Args:
        feedback: what the decoder reads at the next step: "token" (the one chosen), "probabilities" (its own softmax),
            "value" (its own output) or "none" (nothing).
        size: symbols in the target vocabulary, or features of a step for "value".
        start_id: token read at the first step; needed for feedback "token" (a language model may have
            none: it goes on from a prompt), ignored otherwise.
        end_ids: tokens that end a sequence; empty where the model never ends by itself.
        padding_id: token that fills short targets in training and is never generated, or None.
        unknown_id: token that stands for unknown symbols, or None.
        max_length: longest target in tokens (or steps), the end token counted, or None where unknown.
        most: most steps that the decoder can take at all; None = any number.
        step: the shape of a step of values where it has several axes, whose numbers the graph writes as one row.
        blank_id: the class that stands for nothing, of a model trained with CTC; None for all others.
        aligned: whether there is one output for each step of the source, as a model has that feeds nothing back.
        name: what callers call this output, where there are several; else None.
    """

    feedback: Feedback
    size: int
    start_id: int | None = None
    end_ids: tuple[int, ...] = ()
    padding_id: int | None = None
    unknown_id: int | None = None
    max_length: int | None = None
    most: int | None = None
    step: tuple[int, ...] = ()
    aligned: bool = False
    blank_id: int | None = None
    name: str | None = None

    @property
    def never(self) -> frozenset[int]:
        """The ids that are never written, unless an option says so."""
        special = (self.start_id, self.padding_id, self.unknown_id)
        return frozenset(token for token in special if token is not None and token not in self.end_ids)

    def to_dict(self) -> dict[str, object]:
        """Return this part as it stands in the manifest."""
        made: dict[str, object] = {
            "feedback": self.feedback,
            "size": self.size,
            "start_id": self.start_id,
            "end_ids": list(self.end_ids),
            "padding_id": self.padding_id,
            "unknown_id": self.unknown_id,
            "max_length": self.max_length,
        }
        made |= {} if self.most is None else {"most": self.most}
        made |= {} if self.blank_id is None else {"blank_id": self.blank_id}
        made |= {} if self.name is None else {"name": self.name}
        return made | ({"aligned": True} if self.aligned else {}) | _written_step(self.step)

    @classmethod
    def read(cls, fields: Fields) -> TargetSpec:
        """Read this part of the manifest; its problems are reported to `fields`."""
        end_ids = fields.items("end_ids")
        for i, token in enumerate(end_ids):
            if not isinstance(token, int) or isinstance(token, bool):
                fields.problem(f"end_ids[{i}]", f"expected an integer, got {token!r}")
            elif token in end_ids[:i]:
                fields.problem(f"end_ids[{i}]", f"expected different ids, got {token} again")
        made = cls(
            feedback=cast("Feedback", fields.choice("feedback", _FEEDBACKS)),
            size=fields.counted("size", 1),
            start_id=fields.optional_integer("start_id"),
            end_ids=tuple(token for token in end_ids if isinstance(token, int)),
            padding_id=fields.optional_integer("padding_id"),
            unknown_id=fields.optional_integer("unknown_id"),
            max_length=fields.optional_counted("max_length", 1),
            most=fields.optional_counted("most", 1, None),
            step=_read_step(fields),
            aligned=fields.boolean("aligned", False),
            blank_id=fields.optional_counted("blank_id", 0, None),
            name=fields.optional_text("name", None),
        )
        fields.refuse_others()
        return made

    def problems(self, kind: Kind = "encoder-decoder") -> list[str]:
        """Return the contradictions between the fields of this part in a bundle of a kind, one line for each."""
        problems = []
        if self.size < 1:
            problems.append(f"target.size: expected at least 1, got {self.size}")
        if self.max_length is not None and self.max_length < 1:
            problems.append(f"target.max_length: expected at least 1 or null, got {self.max_length}")
        if self.feedback == "token" and self.start_id is None and kind != "decoder-only":
            problems.append("target.start_id: expected an id, as feedback is 'token'; got null")
        problems += _step_problems("target", self.step, self.size, is_value=self.feedback == "value")
        if (self.blank_id is not None) != (kind == "ctc"):
            expected = "an id" if kind == "ctc" else "none"
            problems.append(f"target.blank_id: expected {expected}, as kind is {kind!r}; got {self.blank_id}")
        named = [
            ("blank_id", self.blank_id),
            ("start_id", self.start_id),
            ("padding_id", self.padding_id),
            ("unknown_id", self.unknown_id),
        ]
        for name, token in [*named, *(("end_ids", end) for end in self.end_ids)]:
            if token is not None and not 0 <= token < self.size:
                problems.append(f"target.{name}: expected 0 to {self.size - 1} (target.size), got {token}")
        return problems


def tensor_name(target: TargetSpec, place: int) -> str:
    """Return the name of an output of the graph `model`, the first being at place 0."""
    name = "output" if target.feedback == "value" else "logits"
    return f"{name}.{place}" if place else name


def _written_step(step: tuple[int, ...]) -> dict[str, object]:
    return {"step": list(step)} if step else {}


def _read_step(fields: Fields) -> tuple[int, ...]:
    sizes = fields.items("step", [])
    for i, size in enumerate(sizes):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            fields.problem(f"step[{i}]", f"expected a size of at least 1, got {size!r}")
    return tuple(size for size in sizes if isinstance(size, int))


def _step_problems(where: str, step: tuple[int, ...], size: int, *, is_value: bool) -> list[str]:
    if not step or (is_value and len(step) > 1 and math.prod(step) == size):
        return []
    return [f"{where}.step: expected several sizes that make {size} values ({where}.size), got {list(step)}"]
