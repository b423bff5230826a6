"""A graph file in memory: what lies outside it is checked, and put where onnxruntime finds it.

A graph names the file and the place of each large constant. Given in memory, onnxruntime finds those of the outermost
graph, but passes over those inside loops and looks for their file in the working folder. Those of a loop in the
outermost graph, as bundles were written at first, are moved out of it, which costs nothing: kernels are packed
beforehand where they are constants of the graph of their product or of the one around it. Those of a loop in a branch
are written into the graph, where they are packed. A file of any other name than the bundle's weights is refused: a
graph could else have any file of the machine read.

The graph is changed as a protocol buffer (https://protobuf.dev/programming-guides/encoding/), by the field numbers of
ONNX's schema, as the runtime does without the package `onnx`. Only what has constants outside is looked into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from s2s_runtime.errors import BundleError

_LOCATION: Final = b"location"
_BYTES: Final = 2  # the wire type of what has a length in front
_FIXED: Final = {1: 8, 5: 4}  # bytes by wire type
_MOST_BITS: Final = 63
_NAME, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 8, 9, 13, 14  # of a tensor
_MOST_BYTES: Final = 1 << 31  # of a protocol buffer
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


@dataclass
class PlacedGraph:
    """A graph and where onnxruntime finds its constants.

    Attributes:
        content: the ONNX file, constants of its loops moved out where they may be, else written into it.
        in_memory: whether it loads from memory, given its weights; else it is as it was, too large for one message, and
            they have to lie beside it as a file.
    """

    content: bytes
    in_memory: bool = True


@dataclass
class _Walk:
    """The state of reading a graph."""

    data: bytes
    weights: Mapping[str, bytes]
    moved: dict[bytes, bytes] = field(default_factory=dict)


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
        content = b"".join(_message(walk, 0, len(graph), "model", 0))
    except (ValueError, IndexError) as error:
        raise BundleError(f"{name}: onnxruntime can't load this graph: {error or 'it is damaged'}") from error
    return PlacedGraph(content) if len(content) < _MOST_BYTES else PlacedGraph(graph, in_memory=False)


def _message(walk: _Walk, start: int, end: int, kind: str, depth: int) -> list[bytes]:
    """Return the bytes of a message in pieces, without the constants moved out of it and with those moved into it."""
    parts, pieces, copied = _PARTS[kind], list[bytes](), start
    made: list[bytes] | None
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
    pieces.append(walk.data[copied:end])
    return [*pieces, *walk.moved.values()] if kind == "graph" else pieces


def _constant(walk: _Walk, tensor: _Field, part: str, depth: int) -> list[bytes] | None:
    """Return a constant with its content, nothing where it is moved outermost, None where it stays as it is."""
    fields = list(_fields(walk.data, tensor.start, tensor.end))
    outside = dict(_entry(walk.data, item) for item in fields if item.number == _EXTERNAL_DATA)
    if not outside:
        return None
    content = _content(outside, walk.weights)
    if depth == 0 and part == "constant":
        return None
    name = next((walk.data[item.start : item.end] for item in fields if item.number == _NAME), b"")
    if depth > 1 or part != "constant" or name in walk.moved:  # of one name only one can be outermost
        kept = [walk.data[f.begin : f.end] for f in fields if f.number not in (_EXTERNAL_DATA, _DATA_LOCATION)]
        return [*kept, _tag(_RAW_DATA), _varint(len(content)), content]
    walk.moved[name] = walk.data[tensor.begin : tensor.end]
    return []


def _content(outside: Mapping[bytes, bytes], weights: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a constant, which has to lie within one of the bundle's own files."""
    file = outside.get(_LOCATION, b"").decode()
    if file not in weights:
        raise ValueError(f"it reads {file!r}, expected no file but {' and '.join(weights) or 'itself'}")
    size = len(weights[file])
    first = int(outside.get(b"offset", b"0"))
    last = first + int(outside[b"length"]) if b"length" in outside else size
    if not 0 <= first <= last <= size:
        raise ValueError(f"it reads bytes {first} to {last} of {file}, which has {size}")
    return weights[file][first:last]


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
