"""What the OpenAPI page tells of the requests that decode, made from the declaration of the decoding options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

from s2s_runtime.declared_options import DeclaredOption, declared
from s2s_runtime.declared_options.docs import meaning
from s2s_runtime.options import DecodingOptions
from s2s_runtime.serving.request_options import REQUEST_OPTIONS

_PLAIN: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TEXT: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}


def generate_path() -> dict[str, Any]:
    """Return the description of `/generate`."""
    sources = {
        "text": {**_TEXT, "description": "One text."},
        "texts": {"type": "array", "items": _TEXT, "description": "Texts."},
        "ids": {"type": "array", "items": {"type": "array"}, "description": "Lists of token ids."},
        "values": {"type": "array", "items": {"type": "array"}, "description": "Sequences of features."},
        "sources": {"type": "array", "items": _OBJECT, "description": "Names to sources, for models of several."},
    }
    own = {
        "model": {**_TEXT, "description": "Name of the model; needed where the server has several."},
        "stream": {"type": "boolean", "default": False, "description": "Send pieces of one text as they come."},
    }
    schema = {"type": "object", "properties": {**sources, **own, **option_schemas()}, "additionalProperties": False}
    schema["example"] = {"texts": ["Run!"], "beam_size": 4}
    return _path("Decode texts", "With exactly one of text, texts, ids, values and sources.", schema)


def infer_path() -> dict[str, Any]:
    """Return the description of the Open Inference Protocol's request."""
    tensor = {"type": "object", "required": ["name", "shape", "datatype"]}
    options = {"type": "object", "properties": option_schemas(), "description": "Decoding options."}
    properties = {
        "id": _TEXT,
        "parameters": options,
        "inputs": {"type": "array", "items": tensor},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    }
    schema: dict[str, Any] = {"type": "object", "required": ["inputs"], "properties": properties}
    texts = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Run!"]}
    schema["example"] = {"inputs": [texts], "parameters": {"beam_size": 4}, "outputs": [{"name": "text"}]}
    path = _path("Decode, by the Open Inference Protocol", "Binary tensors may follow the JSON.", schema)
    path["post"]["parameters"] = [{"name": "model", "in": "path", "required": True, "schema": _TEXT}]
    return path


def option_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each decoding option that a request may give, by name."""
    known, texts = declared(DecodingOptions), meaning(DecodingOptions)
    return {name: {**_schema(known[name]), "description": texts[name]} for name in REQUEST_OPTIONS}


def _schema(declaration: DeclaredOption) -> dict[str, Any]:
    option, default = declaration.option, declaration.default
    kinds = [_kind(hint) for hint in declaration.types]
    bounds = {
        "minimum": option.at_least,
        "exclusiveMinimum": option.above,
        "maximum": option.at_most,
        "exclusiveMaximum": option.below,
    }
    schema: dict[str, Any] = dict(kinds[0]) if len(kinds) == 1 else {"anyOf": kinds}
    if len(kinds) == 1:
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    if default is not None:
        schema["default"] = list(default) if isinstance(default, tuple) else default
    return schema


def _kind(hint: Any) -> dict[str, Any]:
    """Return the schema of one alternative of a type."""
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin in _PLAIN:
        return {"type": _PLAIN[origin]}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict(_OBJECT)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return {"type": "array", "items": {}}
    return {}


def _path(summary: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    answers = {
        "200": "The answer.",
        "400": "The request is wrong; `error` says what.",
        "401": "The key is missing.",
        "404": "There is no such model.",
        "413": "The body is too long.",
        "503": "Too many wait; `Retry-After` says when to try again.",
        "504": "It took too long.",
    }
    return {
        "post": {
            "summary": summary,
            "description": description,
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {status: {"description": words} for status, words in answers.items()},
        }
    }
