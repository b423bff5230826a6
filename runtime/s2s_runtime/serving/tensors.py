"""Tensors of the Open Inference Protocol, version 2: in JSON, and behind it as bytes (the binary tensor extension)."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.errors import InputError

_DTYPES: Final[Mapping[str, type[np.generic]]] = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
BYTES: Final = "BYTES"
_LENGTH: Final = struct.Struct("<I")  # before each element of BYTES
Blob = memoryview


def binary_size(tensor: Mapping[str, Any]) -> int | None:
    """Return the bytes of a request's tensor behind the JSON; None where the JSON holds its data.

    Raises:
        InputError: it says a size that is none.
    """
    size = _object(tensor.get("parameters", {}), "parameters").get("binary_data_size")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise InputError(f"binary_data_size: expected a number of bytes, got {size!r}")
    return size


def read_tensor(tensor: Mapping[str, Any], blob: Blob | None) -> NDArray[Any]:
    """Return a request's tensor: numbers, or an object array of texts for BYTES.

    Args:
        tensor: its name, datatype, shape and, without a blob, data.
        blob: its data behind the JSON.

    Raises:
        InputError: its fields contradict one another, or texts aren't UTF-8.
    """
    name, datatype = tensor.get("name"), tensor.get("datatype")
    shape = _shape(tensor.get("shape"), name)
    count = math.prod(shape)
    if datatype != BYTES and datatype not in _DTYPES:
        raise InputError(f"input {name!r}: expected a datatype among {BYTES}, {', '.join(_DTYPES)}, got {datatype!r}")
    if blob is None:
        array = _from_json(tensor.get("data"), str(datatype), name)
    elif datatype == BYTES:
        array = _texts(_elements(blob, name), name)
    else:
        array = _from_blob(blob, str(datatype), name)
    if len(array) != count:
        raise InputError(f"input {name!r}: expected {count} elements, as shape {shape} says, got {len(array)}")
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError) as error:  # of nothing, in huge dimensions
        raise InputError(f"input {name!r}: expected another shape than {shape}: {error}") from error


def written_tensor(
    name: str, datatype: str, array: NDArray[Any], *, binary: bool
) -> tuple[dict[str, object], list[bytes]]:
    """Return an output as it stands in the JSON of an answer, and the bytes behind it; none unless it is `binary`."""
    head: dict[str, object] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    if not binary:
        return {**head, "data": array.reshape(-1).tolist()}, []
    if datatype == BYTES:
        texts = [text.encode() for text in array.reshape(-1).tolist()]
        blob = [part for text in texts for part in (_LENGTH.pack(len(text)), text)]
    else:
        blob = [np.ascontiguousarray(array, np.dtype(_DTYPES[datatype]).newbyteorder("<")).tobytes()]
    return {**head, "parameters": {"binary_data_size": sum(map(len, blob))}}, blob


def _shape(shape: Any, name: Any) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, list) else [None]
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in sizes):
        raise InputError(f"input {name!r}: expected a shape such as [2], got {shape!r}")
    return tuple(sizes)


def _from_json(data: Any, datatype: str, name: Any) -> NDArray[Any]:
    """Return flat or nested data of the JSON as a flat array."""
    if not isinstance(data, list):
        raise InputError(f"input {name!r}: expected data as a list, or binary_data_size, got {data!r}")
    flat = _flat(data, name)
    types = set(map(type, flat))
    if datatype == BYTES:
        if types - {str}:
            raise InputError(f"input {name!r}: expected texts, as {BYTES} are in JSON")
        return np.array([*flat, None], object)[:-1]  # None: an array of objects also where there is one text or none
    kind = _DTYPES[datatype]
    if types - ({bool} if kind is np.bool_ else {int} if np.issubdtype(kind, np.integer) else {int, float}):
        raise InputError(f"input {name!r}: expected numbers that are {datatype}")
    try:
        with np.errstate(over="ignore"):  # numbers that aren't finite are refused with the row that holds them
            return np.array(flat, kind)
    except OverflowError as error:
        raise InputError(f"input {name!r}: expected numbers that are {datatype}: {error}") from error


def _flat(data: list[Any], name: Any) -> list[Any]:
    level = data
    for _ in range(8):
        types = set(map(type, level))
        if list not in types:
            return level
        if len(types) > 1:
            raise InputError(f"input {name!r}: expected data of one depth")
        level = [inner for item in level for inner in item]
    raise InputError(f"input {name!r}: expected data nested as its shape, got it far deeper")


def _from_blob(blob: Blob, datatype: str, name: Any) -> NDArray[Any]:
    dtype = np.dtype(_DTYPES[datatype]).newbyteorder("<")
    if len(blob) % dtype.itemsize:
        raise InputError(f"input {name!r}: {len(blob)} bytes are no whole number of {datatype}")
    return np.frombuffer(blob, dtype).astype(_DTYPES[datatype])


def _elements(blob: Blob, name: Any) -> list[bytes]:
    elements, position = [], 0
    while position < len(blob):
        start = position + _LENGTH.size
        if start > len(blob) or start + _LENGTH.unpack_from(blob, position)[0] > len(blob):
            raise InputError(f"input {name!r}: its last element of {BYTES} is cut off")
        position = start + _LENGTH.unpack_from(blob, position)[0]
        elements.append(bytes(blob[start:position]))
    return elements


def _texts(elements: Sequence[bytes], name: Any) -> NDArray[Any]:
    try:
        return np.array([*(element.decode() for element in elements), None], object)[:-1]
    except UnicodeDecodeError as error:
        raise InputError(f"input {name!r}: expected UTF-8: {error}") from error


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{name}: expected an object, got {value!r}")
    return value
