"""Tensors of the Open Inference Protocol."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_runtime.errors import InputError
from s2s_runtime.serving.tensors import BYTES, read_tensor, written_tensor

KINDS = {
    "INT8": np.int8,
    "INT64": np.int64,
    "UINT16": np.uint16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BOOL": np.bool_,
}


@given(data=st.data(), binary=st.booleans())
def test_what_is_written_is_read(data: st.DataObject, binary: bool) -> None:
    """Numbers of every kind and texts, of any shape, empty too, in JSON and as bytes."""
    shape = tuple(data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)))
    count = int(np.prod(shape))
    kind = data.draw(st.sampled_from([BYTES, *KINDS]))
    if kind == BYTES:
        items: list[Any] = data.draw(st.lists(st.text(), min_size=count, max_size=count))
        array = np.array([*items, None], object)[:-1].reshape(shape)
    else:
        array = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)), KINDS[kind]).reshape(
            shape
        )
    head, blobs = written_tensor("x", kind, array, binary=binary)
    sent = json.loads(json.dumps(head))
    again = read_tensor(sent, memoryview(b"".join(blobs)) if binary else None)
    assert again.shape == array.shape
    assert again.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("tensor", "blob", "message"),
    [
        ({"shape": [2], "datatype": "BYTES", "data": ["a"]}, None, "expected 2 elements, as shape (2,) says, got 1"),
        ({"shape": [1], "datatype": "BYTES", "data": [1]}, None, "expected texts, as BYTES are in JSON"),
        ({"shape": [1], "datatype": "INT64", "data": [1.5]}, None, "expected numbers that are INT64"),
        ({"shape": [1], "datatype": "INT64", "data": [True]}, None, "expected numbers that are INT64"),
        ({"shape": [1], "datatype": "INT8", "data": [1000]}, None, "expected numbers that are INT8"),
        ({"shape": [1], "datatype": "STRING", "data": ["a"]}, None, "expected a datatype among BYTES, BOOL"),
        ({"shape": [-1], "datatype": "INT8", "data": []}, None, "expected a shape such as [2], got [-1]"),
        ({"shape": "x", "datatype": "INT8", "data": []}, None, "expected a shape such as [2], got 'x'"),
        ({"shape": [0, 10**30], "datatype": "INT8", "data": []}, None, "expected another shape than"),
        ({"shape": [1, 2], "datatype": "INT8", "data": [1, [2]]}, None, "expected data of one depth"),
        ({"shape": [1], "datatype": "INT8"}, None, "expected data as a list, or binary_data_size, got None"),
        ({"shape": [1], "datatype": "INT32"}, b"abc", "3 bytes are no whole number of INT32"),
        ({"shape": [1], "datatype": "BYTES"}, b"\x05\0\0\0ab", "its last element of BYTES is cut off"),
        ({"shape": [1], "datatype": "BYTES"}, b"\x05\0", "its last element of BYTES is cut off"),
        ({"shape": [1], "datatype": "BYTES"}, b"\x01\0\0\0\xff", "expected UTF-8"),
    ],
)
def test_tensors_that_contradict_themselves(tensor: dict[str, Any], blob: bytes | None, message: str) -> None:
    """One line each."""
    with pytest.raises(InputError) as found:
        read_tensor({"name": "x", **tensor}, None if blob is None else memoryview(blob))
    assert message in str(found.value)
