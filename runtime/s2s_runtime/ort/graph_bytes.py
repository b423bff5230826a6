"""A graph file in memory: what lies outside it is checked, and put where onnxruntime finds it.

A graph names the file and the place of each large constant. Constants of the outermost graph are handed to onnxruntime
as what they are, views of the bundle's bytes that nobody copies. For that the graph must go on saying that they lie
outside: onnxruntime makes sure that the file is there, and never reads what it was handed. What is said is a place
behind the end of a small file of this package, so that whatever did read there would fail. Constants inside loops it
would look for in the working folder. Those of a loop in the outermost graph, as bundles were written at first, are
moved out of it, which costs nothing: kernels are packed beforehand where they are constants of the graph of their
product or of the one around it. Those of a loop in a branch are written into the graph, where they are packed. A file
of any other name than the bundle's weights is refused: a graph could else have any file of the machine read.

The graph is changed as a protocol buffer (https://protobuf.dev/programming-guides/encoding/), by the field numbers of
ONNX's schema, as the runtime does without the package `onnx`. Only what has constants outside is looked into.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.errors import BundleError

_LOCATION: Final = b"location"
_BYTES: Final = 2  # the wire type of what has a length in front
_FIXED: Final = {1: 8, 5: 4}  # bytes by wire type
_MOST_BITS: Final = 63
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 8, 9, 13, 14  # of a tensor
_DTYPES: Final[Mapping[int, type[np.generic]]] = {  # by the data type of a tensor; numpy has none for the others
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
}
_MOST_BYTES: Final = 1 << 31  # of a protocol buffer
_LARGE: Final = 1 << 16  # bytes; smaller constants onnxruntime may look at while it opens a graph, as at shapes
_NOWHERE: Final = (("location", "__init__.py"), ("offset", str(1 << 40)))  # of a file in `NOWHERE`
NOWHERE: Final = Path(__file__).parent
"""The folder in which onnxruntime has to find the file that large constants are said to lie in."""
_INITIALIZER: Final = 5  # of a graph
_GRAPH: Final = {1: "node", _INITIALIZER: "constant", 15: "sparse"}
_PARTS: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": _GRAPH,
    "inner graph": _GRAPH,
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "inner graph", 10: "tensor", 11: "inner graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


class _Field(NamedTuple):
    """One field of a message: its number, where it begins, where its content lies."""

    number: int
    begin: int
    start: int
    end: int


class PlacedGraph(NamedTuple):
    """A graph and where onnxruntime finds its constants.

    Attributes:
        content: the ONNX file, constants of its loops moved out where they may be, else written into it.
        constants: those that lie outside it, by name, to be handed to onnxruntime: views of the weights, which they
            keep alive.
        large: names of those that are said to lie in `NOWHERE`.
        in_memory: whether it loads from memory, given its constants; else it is as it was, too large for one message,
            and its weights have to lie beside it as a file.
    """

    content: bytes
    constants: Mapping[str, NDArray[Any]] = MappingProxyType({})
    large: frozenset[str] = frozenset()
    in_memory: bool = True


@dataclass(eq=False, repr=False)
class _Walk:
    """The state of reading a graph."""

    data: bytes
    weights: Mapping[str, bytes]
    moved: dict[bytes, bytes] = field(default_factory=dict)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)


def placed(graph: bytes, weights: Mapping[str, bytes], name: str) -> PlacedGraph:
    """Put a graph's constants where onnxruntime finds them.

    Args:
        graph: an ONNX file.
        weights: files that its constants may lie in, by name.
        name: what to call the graph in messages.

    Raises:
        BundleError: it is damaged, or names another file or a place outside its file.
    """
    if _LOCATION not in graph:
        return PlacedGraph(graph)
    walk = _Walk(graph, weights)
    try:
        pieces = _message(walk, 0, len(graph), "model", 0) or [graph]
    except (ValueError, IndexError) as error:
        raise BundleError(f"{name}: onnxruntime can't load this graph: {error or 'it is damaged'}") from error
    if sum(map(len, pieces)) >= _MOST_BYTES:
        return PlacedGraph(graph, in_memory=False)
    large = frozenset(key for key, array in walk.constants.items() if array.nbytes >= _LARGE)
    return PlacedGraph(pieces[0] if len(pieces) == 1 else b"".join(pieces), walk.constants, large)


def _message(walk: _Walk, start: int, end: int, kind: str, depth: int) -> list[bytes] | None:
    """Return the bytes of a message in pieces, without the constants moved out of it and with those moved into it.

    None where it stays as it is, so that a graph that needs no change is not copied.
    """
    parts, pieces, copied = _PARTS[kind], list[bytes](), start
    for item in _fields(walk.data, start, end):
        part = parts.get(item.number)
        if part is None or walk.data.find(_LOCATION, item.start, item.end) < 0:
            continue
        if part in {"tensor", "constant"}:
            made = _constant(walk, item, part, depth)
        else:
            made = _message(walk, item.start, item.end, part, depth + (part == "inner graph"))
        if made is not None:
            heading = [_tag(item.number), _varint(sum(map(len, made)))] if made else []
            pieces += [walk.data[copied : item.begin], *heading, *made]
            copied = item.end
    moved = walk.moved.values() if kind == "graph" else ()
    return [*pieces, walk.data[copied:end], *moved] if pieces or moved else None


def _constant(walk: _Walk, tensor: _Field, part: str, depth: int) -> list[bytes] | None:
    """Return a constant with its content, nothing where it is moved outermost, None where it stays as it is."""
    fields = list(_fields(walk.data, tensor.start, tensor.end))
    outside = dict(_entry(walk.data, item) for item in fields if item.number == _EXTERNAL_DATA)
    if not outside:
        return None
    content = _content(outside, walk.weights)
    name = next((walk.data[item.start : item.end] for item in fields if item.number == _NAME), b"")
    view = _view(walk.data, fields, content)
    kept = [walk.data[f.begin : f.end] for f in fields if f.number not in (_EXTERNAL_DATA, _DATA_LOCATION)]
    # Of one name only one can be outermost, and views are outermost.
    if depth > 1 or part != "constant" or view is None or name in walk.moved:
        return [*kept, _tag(_RAW_DATA), _varint(len(content)), bytes(content)]
    walk.constants[name.decode()] = view
    large = len(content) >= _LARGE
    said = [*kept, _OUTSIDE] if large else [walk.data[tensor.start : tensor.end]]
    if depth == 0:
        return said if large else None
    walk.moved[name] = _held(_INITIALIZER, b"".join(said))
    return []


def _view(data: bytes, fields: list[_Field], content: memoryview) -> NDArray[Any] | None:
    """Return a constant as an array over its content, None where numpy has no such type."""
    kind = next((_number(data, item.start)[0] for item in fields if item.number == _DATA_TYPE), 0)
    dtype = _DTYPES.get(kind)
    if dtype is None:
        return None
    shape = [size for item in fields if item.number == _DIMS for size in _sizes(data, item)]
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if len(content) != expected:
        raise ValueError(f"a constant of shape {tuple(shape)} has {len(content)} bytes, expected {expected}")
    array = np.frombuffer(content, dtype).reshape(shape)
    return array if array.flags.aligned else array.copy()


def _sizes(data: bytes, dims: _Field) -> Iterator[int]:
    """Yield the sizes in a field of a shape: one, or several in a row."""
    offset = dims.start
    while offset < dims.end:
        size, offset = _number(data, offset)
        yield size


def _content(outside: Mapping[bytes, bytes], weights: Mapping[str, bytes]) -> memoryview:
    """Return the bytes of a constant, which has to lie within one of the bundle's own files."""
    file = outside.get(_LOCATION, b"").decode()
    if file not in weights:
        raise ValueError(f"it reads {file!r}, expected no file but {' and '.join(weights) or 'itself'}")
    size = len(weights[file])
    first = int(outside.get(b"offset", b"0"))
    last = first + int(outside[b"length"]) if b"length" in outside else size
    if not 0 <= first <= last <= size:
        raise ValueError(f"it reads bytes {first} to {last} of {file}, which has {size}")
    return memoryview(weights[file])[first:last]


def _entry(data: bytes, entry: _Field) -> tuple[bytes, bytes]:
    """Return the key and the value of an entry that says where a constant lies."""
    texts = {item.number: data[item.start : item.end] for item in _fields(data, entry.start, entry.end)}
    return texts.get(1, b""), texts.get(2, b"")


def _fields(data: bytes, start: int, end: int) -> Iterator[_Field]:
    """Yield the fields of a message, one after the other."""
    offset = start
    while offset < end:
        begin = offset
        tag, offset = _number(data, offset)
        wire, stop = tag & 7, offset
        if wire == _BYTES:
            length, offset = _number(data, offset)
            stop = offset + length
        elif wire == 0:
            stop = _number(data, offset)[1]
        else:
            stop += _FIXED.get(wire, end)  # groups, which ONNX doesn't have, end nowhere
        if stop > end:
            raise ValueError("it is damaged")
        yield _Field(tag >> 3, begin, offset, stop)
        offset = stop


def _number(data: bytes, offset: int) -> tuple[int, int]:
    """Return a number of variable length, and the offset at which it ends."""
    value = shift = 0
    while shift <= _MOST_BITS:
        byte = data[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return value, offset
    raise ValueError("it is damaged")


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _tag(number: int) -> bytes:
    return _varint(number << 3 | _BYTES)


def _held(number: int, content: bytes) -> bytes:
    """Return a field that has a length in front."""
    return b"".join([_tag(number), _varint(len(content)), content])


_OUTSIDE: Final = b"".join(
    [
        *(_held(_EXTERNAL_DATA, _held(1, key.encode()) + _held(2, value.encode())) for key, value in _NOWHERE),
        _varint(_DATA_LOCATION << 3) + _varint(1),
    ]
)
