"""Requests and answers of the Open Inference Protocol, version 2, for models of sequences.

A model has the input `text` (BYTES), `ids` (INT64) or `values` (FP32), one row for each sequence; one that reads
several sources has an input for each, by its name. Outputs are `text` (rows, hypotheses), `score`, `tokens`; where the
model gives values, `values` (rows, steps, features). Outputs beside the first have their names before these, such as
`intent.text`, and so have all where all are values. Decoding options are parameters of the request. Hypotheses and
tokens that a row lacks are empty texts, with the lowest score there is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest, TargetSpec
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.results import Result
from s2s_runtime.serving.requests import json_bytes
from s2s_runtime.serving.tensors import BYTES, binary_size, read_tensor, written_tensor

PLATFORM: Final = "s2s"
_OWN_PARAMETERS: Final = ("binary_data_output", "timeout", "priority")  # not decoding options
_NO_SCORE: Final = float(np.finfo(np.float32).min)
Specs = Sequence[Mapping[str, object]]
_KINDS: Final = {"ids": "INT64", "one-hot": "INT64", "values": "FP32", "vector": "FP32"}


@dataclass(frozen=True, slots=True, eq=False)
class InferRequest:
    """A request to infer.

    Attributes:
        id: what the answer repeats; None = nothing.
        rows: what `Model.generate` takes: a list of rows, or a mapping from names to such.
        count: how many rows.
        parameters: decoding options.
        outputs: whether the data of each output are binary, by name, in the order asked for.
        seconds: the longest that the client waits; None = it doesn't say.
    """

    id: str | None
    rows: Any
    count: int
    parameters: dict[str, Any]
    outputs: dict[str, bool]
    seconds: float | None


def input_specs(manifest: Manifest) -> list[dict[str, object]]:
    """Return name, datatype and shape of each input, -1 where it is free; factors are said by texts."""
    source = manifest.source
    others = [other for other in source.others if other.name in manifest.given_names]
    kinds = [(source.kind, source.size, source.step), *((o.kind, o.size, o.step) for o in others)]
    specs: list[dict[str, object]] = []
    for place, (kind, size, step) in enumerate(kinds):
        has_text = place == 0 and manifest.input_vocabulary is not None
        own = "text" if has_text else "values" if kind == "values" else "ids"
        shape = {"values": [-1, -1, *(step or (size,))], "vector": [-1, size]}.get(kind, [-1, -1])
        name = manifest.given_names[place] if others else own
        specs.append(
            {"name": name, "datatype": BYTES if has_text else _KINDS[kind], "shape": [-1] if has_text else shape}
        )
    return specs


def output_specs(manifest: Manifest) -> list[dict[str, object]]:
    """Return name, datatype and shape of each output, -1 where it is free."""
    values = manifest.target.feedback == "value"
    first = (
        f"{manifest.target.name}." if values and manifest.outputs else ""
    )  # values have their names, as predict says
    further = (_specs_of(output.target, f"{output.target.name}.") for output in manifest.outputs)
    return [*_specs_of(manifest.target, first), *chain.from_iterable(further)]


def _specs_of(target: TargetSpec, before: str) -> list[dict[str, object]]:
    """Return the outputs of one target, whose names begin with `before`."""
    if target.feedback == "value":
        shape = [-1, -1, *(target.step or (target.size,))]
        return [{"name": f"{before}values", "datatype": "FP32", "shape": shape}]
    return [
        {"name": f"{before}text", "datatype": BYTES, "shape": [-1, -1]},
        {"name": f"{before}score", "datatype": "FP32", "shape": [-1, -1]},
        {"name": f"{before}tokens", "datatype": BYTES, "shape": [-1, -1, -1]},
    ]


def value_arrays(values: NDArray[Any] | Mapping[str, NDArray[Any]]) -> dict[str, tuple[str, NDArray[Any]]]:
    """Return the datatype and the array of each output of a model that gives values."""
    if isinstance(values, Mapping):
        return {f"{name}.values": ("FP32", array) for name, array in values.items()}
    return {"values": ("FP32", values)}


def read_request(body: bytes, json_bytes: int | None, inputs: Specs, outputs: Specs) -> InferRequest:
    """Read a request.

    Args:
        body: JSON, and the data of binary tensors behind it.
        json_bytes: bytes of the JSON where there are binary tensors; None = all.
        inputs: of the model.
        outputs: likewise.

    Raises:
        InputError: it isn't a request of this protocol, or not one for this model.
    """
    head = parsed_object(body if json_bytes is None else body[:json_bytes])
    blobs = memoryview(body)[len(body) if json_bytes is None else json_bytes :]
    parameters = _checked(head.get("parameters", {}), dict, "parameters")
    given = _inputs(_checked(head.get("inputs"), list, "inputs"), blobs)
    rows, count = _rows(given, inputs)
    timeout = parameters.get("timeout")
    if timeout is not None and (not isinstance(timeout, int) or isinstance(timeout, bool) or timeout <= 0):
        raise InputError(f"timeout: expected microseconds, an integer above 0, got {timeout!r}")
    return InferRequest(
        id=_checked(head.get("id", ""), str, "id") or None,
        rows=rows,
        count=count,
        parameters={name: value for name, value in parameters.items() if name not in _OWN_PARAMETERS},
        outputs=_outputs(head.get("outputs") or [], parameters, outputs),
        seconds=None if timeout is None else timeout / 1e6,
    )


def token_arrays(results: Sequence[Result], names: Iterable[str]) -> dict[str, tuple[str, NDArray[Any]]]:
    """Return the datatype and the array of each output asked for, of a model that writes tokens."""
    arrays: dict[str, tuple[str, NDArray[Any]]] = {}
    for name in names:
        output, _, field = name.rpartition(".")
        given: list[Any] = [result.outputs[output] for result in results] if output else list(results)
        arrays[name] = ("FP32", _padded(given)) if field == "values" else _of_hypotheses(given, field)
    return arrays


def _padded(values: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return values (steps, ...) of each row as one array, zeros behind those of shorter ones."""
    longest = max((len(each) for each in values), default=0)
    array = np.zeros((len(values), longest, *(values[0].shape[1:] if values else ())), np.float32)
    for row, each in zip(array, values, strict=True):
        row[: len(each)] = each
    return array


def _of_hypotheses(results: Sequence[Result], field: str) -> tuple[str, NDArray[Any]]:
    """Return the datatype and the array of the texts, the scores or the tokens of all hypotheses."""
    rows, width = len(results), max((len(result.hypotheses) for result in results), default=1)
    hypotheses = [
        (row, rank, hypothesis)
        for row, result in enumerate(results)
        for rank, hypothesis in enumerate(result.hypotheses)
    ]
    longest = (max((len(found.tokens) for _, _, found in hypotheses), default=0),) if field == "tokens" else ()
    kind, missing, dtype = ("FP32", _NO_SCORE, np.float32) if field == "score" else (BYTES, "", object)
    array = np.full((rows, width, *longest), missing, dtype)
    for row, rank, found in hypotheses:
        if field == "tokens":
            array[row, rank, : len(found.tokens)] = found.tokens
        else:
            value = getattr(found, field)
            array[row, rank] = missing if value is None else value
    return kind, array


def write_answer(
    model: str, version: str, request: InferRequest, arrays: Mapping[str, tuple[str, NDArray[Any]]]
) -> tuple[list[bytes], int | None]:
    """Return the parts of an answer's body, and the bytes of its JSON where binary data follow it."""
    outputs, blobs = [], []
    for name, binary in request.outputs.items():
        output, blob = written_tensor(name, *arrays[name], binary=binary)
        outputs.append(output)
        blobs += blob
    head: dict[str, object] = {"model_name": model, "model_version": version, "outputs": outputs}
    if request.id is not None:
        head["id"] = request.id
    written = json_bytes(head)
    return [written, *blobs], len(written) if any(request.outputs.values()) else None


def parsed_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        InputError: it is none.
    """
    try:
        parsed = orjson.loads(body)
    except ValueError:  # nor does it read NaN, Infinity and half a character, which Python's clients may write
        try:
            parsed = json.loads(str(body, "utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"expected JSON: {error}") from error
    given: dict[str, Any] = _checked(parsed, dict, "the request's body")
    return given


def _inputs(tensors: list[Any], blobs: memoryview) -> dict[str, NDArray[Any]]:
    arrays, position = {}, 0
    for tensor in tensors:
        _checked(tensor, dict, "inputs")
        size, blob = binary_size(tensor), None
        if size is not None:
            blob = blobs[position : position + size]
            if len(blob) < size:
                raise InputError(
                    f"input {tensor.get('name')!r}: expected {size} bytes behind the JSON, got {len(blob)}"
                )
            position += size
        arrays[str(tensor.get("name"))] = read_tensor(tensor, blob)
    if position != len(blobs):
        raise InputError(f"expected {position} bytes behind the JSON, as its binary_data_size say, got {len(blobs)}")
    return arrays


def _rows(given: Mapping[str, NDArray[Any]], inputs: Specs) -> tuple[Any, int]:
    specs = {str(spec["name"]): spec for spec in inputs}
    if set(given) != set(specs):
        named, got = ", ".join(map(repr, specs)), ", ".join(map(repr, given)) or "none"
        raise InputError(f"inputs: expected {named}, got {got}")
    columns = {}
    for name, spec in specs.items():
        array, datatype = given[name], spec["datatype"]
        is_text = array.dtype == object
        if is_text != (datatype == BYTES):
            raise InputError(f"input {name!r}: expected {datatype}, got {array.dtype if not is_text else BYTES}")
        if is_text and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]  # as clients send batches of one element each
        expected: Any = spec["shape"]
        if array.ndim != len(expected):
            raise InputError(f"input {name!r}: expected shape {expected}, -1 being free, got {list(array.shape)}")
        columns[name] = list(array) if is_text else array
    count = min(map(len, columns.values()))
    return (columns if len(specs) > 1 else next(iter(columns.values()))), count


def _outputs(asked: Any, parameters: Mapping[str, Any], specs: Specs) -> dict[str, bool]:
    """Return whether each output is to be binary, by name; all outputs where none is asked for."""
    known = [str(spec["name"]) for spec in specs]
    otherwise = bool(parameters.get("binary_data_output", False))
    outputs = {}
    for output in _checked(asked, list, "outputs"):
        name = _checked(output, dict, "outputs").get("name")
        if name not in known:
            raise InputError(f"outputs: expected names among {', '.join(known)}, got {name!r}")
        own = _checked(output.get("parameters", {}), dict, "outputs.parameters")
        if "classification" in own:
            raise InputError(f"output {name!r}: classification makes no sense for sequences; leave it out")
        outputs[str(name)] = bool(own.get("binary_data", otherwise))
    return outputs or dict.fromkeys(known, otherwise)


def _checked(value: Any, kind: Any, name: str) -> Any:
    if not isinstance(value, kind):
        words = {dict: "an object", list: "a list", str: "a text"}[kind]
        raise InputError(f"{name}: expected {words}, got {value!r:.60}")
    return value


def value_steps(parameters: Mapping[str, Any]) -> int | None:
    """Return how many steps a request to a model of values asks for.

    Raises:
        OptionError: it gives another parameter.
    """
    others = [name for name in parameters if name != "steps"]
    if others:
        raise OptionError(f"{', '.join(others)}: expected no parameters but steps, as this model gives values")
    return parameters.get("steps")
