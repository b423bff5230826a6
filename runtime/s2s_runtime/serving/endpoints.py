"""What each endpoint does: it reads a request, decodes, and returns what sends the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from s2s_runtime import __version__
from s2s_runtime.errors import InputError
from s2s_runtime.results import Result
from s2s_runtime.serving import inference
from s2s_runtime.serving.metrics import Metrics
from s2s_runtime.serving.options import ServingOptions
from s2s_runtime.serving.requests import NOTE, Answer, Call, RefusedError, Send, json_answer
from s2s_runtime.serving.served_model import LoadedModel, ServedModel
from s2s_runtime.serving.streams import Streams

_HEADER_LENGTH: Final = b"inference-header-content-length"
_SOURCES: Final = ("text", "texts", "ids", "values", "sources")
_OWN_FIELDS: Final = (*_SOURCES, "model", "stream")
Sending = Callable[[Send], Awaitable[None]]


class Endpoints:
    """The endpoints of an application.

    Args:
        models: models by name, filled once they are loaded.
        options: how they are served.
        metrics: figures of the server.
    """

    def __init__(self, models: Mapping[str, ServedModel], options: ServingOptions, metrics: Metrics) -> None:
        self._models, self._metrics = models, metrics
        self._streams = Streams(options.streams, metrics)

    async def generate(self, call: Call) -> Sending:
        """Decode texts with the options beside them; `"stream": true` sends pieces of one text as they come."""
        given = inference.parsed_object(await call.body())
        model = self._model(given.get("model"))
        rows = _rows(given)
        streamed = given.get("stream", False)
        if not isinstance(streamed, bool):
            raise InputError(f"stream: expected true or false, got {streamed!r:.60}")
        parameters = {name: value for name, value in given.items() if name not in _OWN_FIELDS}
        self._take_note(call, model.name, len(rows))
        if streamed:
            if len(rows) != 1:
                raise InputError(f"stream: expected one text, got {len(rows)}")
            return self._streams.start(call, model, rows[0], parameters)
        with model.used(len(rows)) as loaded:
            named = {"model": model.name, "version": loaded.version}
            if loaded.manifest.target.feedback == "value":
                values = await loaded.predict(rows, inference.value_steps(parameters))
                plain = {name: array.tolist() for name, (_, array) in inference.value_arrays(values).items()}
                return json_answer({**named, **plain})
            results = await self._decoded(call, model.name, loaded, rows, parameters)
        return json_answer({**named, "results": [{"text": result.text, **result.to_dict()} for result in results]})

    async def infer(self, call: Call) -> Sending:
        """Answer a request of the Open Inference Protocol."""
        model = self._model(call.scope["path_params"]["model"])
        length = call.headers.get(_HEADER_LENGTH)
        if length is not None and not length.isdigit():
            raise InputError(f"Inference-Header-Content-Length: expected a number of bytes, got {length!r}")
        body = await call.body()
        if length is not None and int(length) > len(body):
            raise InputError(f"Inference-Header-Content-Length: expected at most {len(body)}, got {int(length)}")
        loaded = model.current
        request = inference.read_request(body, None if length is None else int(length), loaded.inputs, loaded.outputs)
        call.shorten(request.seconds)
        self._take_note(call, model.name, request.count)
        with model.used(request.count) as loaded:
            _check_version(model, loaded, call.scope["path_params"].get("version"))
            if loaded.manifest.target.feedback == "value":
                values = await loaded.predict(request.rows, inference.value_steps(request.parameters))
                arrays = inference.value_arrays(values)
            else:
                asked = any(name.rpartition(".")[2] == "score" for name in request.outputs)
                scores = {"return_scores": True} if asked else {}
                results = await self._decoded(call, model.name, loaded, request.rows, {**scores, **request.parameters})
                arrays = inference.token_arrays(results, request.outputs)
        parts, json_bytes = inference.write_answer(model.name, loaded.version, request, arrays)
        if json_bytes is None:
            return Answer(parts)
        headers = ((b"content-type", b"application/octet-stream"), (_HEADER_LENGTH, str(json_bytes).encode()))
        return Answer(parts, headers)

    async def server(self) -> dict[str, object]:
        """Return what the server is."""
        return {"name": "s2s-serve", "version": __version__, "extensions": ["binary_tensor_data"]}

    async def live(self) -> dict[str, bool]:
        """Return that the server runs."""
        return {"live": True}

    async def ready(self) -> Response:
        """Return whether every model can decode."""
        ready = bool(self._models) and all(model.is_ready for model in self._models.values())
        return JSONResponse({"ready": ready}, 200 if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metadata(self, request: Request) -> Response:
        """Return what a model reads and writes, or that it is ready."""
        request.scope[NOTE].endpoint = "metadata"
        try:
            model = self._model(request.path_params["model"])
            loaded = model.current
            _check_version(model, loaded, request.path_params.get("version"))
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, error.status)
        if request.url.path.endswith("/ready"):
            return JSONResponse({"name": model.name, "ready": True})
        told = {"name": model.name, "versions": [loaded.version], "platform": inference.PLATFORM}
        return JSONResponse({**told, "inputs": loaded.inputs, "outputs": loaded.outputs})

    def _model(self, name: object) -> ServedModel:
        if name is None and len(self._models) == 1:
            return next(iter(self._models.values()))
        if not isinstance(name, str) or name not in self._models:
            known = ", ".join(self._models)
            raise RefusedError(f"model: expected one of {known}, got {name!r:.80}", HTTPStatus.NOT_FOUND)
        return self._models[name]

    def _take_note(self, call: Call, model: str, texts: int) -> None:
        call.note.model, call.note.texts = model, texts

    async def _decoded(
        self, call: Call, name: str, loaded: LoadedModel, rows: Any, parameters: Mapping[str, Any]
    ) -> Sequence[Result]:
        chosen = loaded.options.read(parameters)
        sources = _sources(rows) if isinstance(rows, dict) else rows
        results = await loaded.decode(sources, chosen, lambda index: f"input {index}")
        call.note.tokens = sum(len(result.ids) for result in results)
        self._metrics.decoded(name, len(results), call.note.tokens)
        return results


def _sources(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of several inputs, each a mapping from their names.

    Raises:
        InputError: there are more rows of one than of another.
    """
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{count} of {name!r}" for name, count in counts.items())
        raise InputError(f"inputs: expected as many rows of each, got {told}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows(given: Mapping[str, Any]) -> list[Any]:
    """Return the sources of a plain request."""
    named = [name for name in _SOURCES if name in given]
    if len(named) != 1:
        got = " and ".join(named) or "none of these"
        raise InputError(f'expected "text" (one text), "texts", "ids", "values" or "sources" (lists), got {got}')
    [name] = named
    rows = [given[name]] if name == "text" else given[name]
    if not isinstance(rows, list):
        raise InputError(f"{name}: expected a list, got {rows!r:.60}")
    kinds = {"text": str, "texts": str, "sources": dict}
    kind = kinds.get(name, list)
    if not all(isinstance(row, kind) for row in rows):
        words = {str: "texts", dict: "objects, names to sources", list: "lists of numbers"}[kind]
        raise InputError(f"{name}: expected {words}")
    return rows


def _check_version(model: ServedModel, loaded: LoadedModel, version: object) -> None:
    if version is not None and version != loaded.version:
        raise RefusedError(
            f"{model.name}: expected version {loaded.version}, the one loaded, got {version!r:.80}",
            HTTPStatus.NOT_FOUND,
        )
