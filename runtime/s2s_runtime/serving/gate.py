"""The application as a server calls it: it asks for the key, and logs and counts each answer.

The requests that decode go straight to their endpoints; FastAPI, which takes as long as decoding a short text, answers
all others.
"""

from __future__ import annotations

import hmac
import itertools
import logging
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from s2s_runtime.lazy_modules import logger_of
from s2s_runtime.serving.metrics import Metrics
from s2s_runtime.serving.requests import NOTE, Endpoint, Note, Receive, Scope, Send, json_answer
from s2s_runtime.serving.served_model import ServedModel

logger = logger_of("s2s_runtime.serving")

_OPEN: Final = ("/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json")  # without a key
_UNFIT: Final = 400  # statuses from here on are logged as warnings
_MOST_ID: Final = 128  # characters of an identifier that a client gives
_MODELS: Final = "/v2/models/"
_INFER: Final = "/infer"


class ServingApp:
    """The ASGI application that `make_app` makes.

    Args:
        pages: the FastAPI application of all requests that don't decode, whose life is that of this one.
        generate: answers `/generate`.
        infer: answers requests of the Open Inference Protocol.
        models: models by name; filled when the application starts.
        metrics: figures of all requests.
        api_key: the key that requests have to have; None = none.
        access_log: whether each request is logged.
    """

    def __init__(
        self,
        pages: Any,
        generate: Endpoint,
        infer: Endpoint,
        models: Mapping[str, ServedModel],
        metrics: Metrics,
        *,
        api_key: str | None,
        access_log: bool,
    ) -> None:
        self.pages, self.models, self.metrics = pages, models, metrics
        self._generate, self._infer, self._access_log = generate, infer, access_log
        self._key = None if api_key is None else api_key.strip().encode()
        self._numbers, self._start = itertools.count(1), os.urandom(4).hex()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or take part in the life of the server."""
        if scope["type"] != "http":
            await self.pages(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        headers = dict(scope["headers"])
        note = scope[NOTE] = Note(_given_id(headers) or f"{self._start}-{next(self._numbers)}")

        async def sending(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", note.id.encode())]
            await send(message)

        try:
            if self._key is None or scope["path"] in _OPEN or _has_key(headers, self._key):
                await self._answer(scope, receive, sending)
            else:
                error = {"error": "expected the key of this server, as Authorization: Bearer KEY or X-API-Key: KEY"}
                await json_answer(error, HTTPStatus.UNAUTHORIZED, (b"www-authenticate", b"Bearer"))(sending)
        finally:
            self._tell(scope, note, status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        endpoint = self._generate if path == "/generate" else None
        if path.startswith(_MODELS) and path.endswith(_INFER):
            match path.removeprefix(_MODELS).removesuffix(_INFER).split("/"):
                case [model]:
                    endpoint, scope["path_params"] = self._infer, {"model": model}
                case [model, "versions", version]:
                    endpoint, scope["path_params"] = self._infer, {"model": model, "version": version}
        if endpoint is None:
            await self.pages(scope, receive, send)
        elif scope["method"] == "POST":
            await endpoint(scope, receive, send)
        else:
            error = {"error": f"{path}: expected POST, got {scope['method']}"}
            await json_answer(error, HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST"))(send)

    def _tell(self, scope: Scope, note: Note, status: int, seconds: float) -> None:
        self.metrics.answered(note.endpoint, note.model, status, seconds)
        if self._access_log:
            fields: dict[str, object] = {"id": note.id, "method": scope["method"], "path": scope["path"]}
            fields |= {"status": status, "ms": round(1000 * seconds, 2)}
            fields |= {"model": note.model, "texts": note.texts, "tokens": note.tokens} if note.model else {}
            logger.log(logging.WARNING if status >= _UNFIT else logging.INFO, "request", extra={"fields": fields})


def _given_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the identifier that a client gives its request; empty where it gives none that can be repeated."""
    given = headers.get(b"x-request-id", b"")[:_MOST_ID]
    return given.decode("ascii") if given.isascii() and given.decode("ascii").isprintable() else ""


def _has_key(headers: Mapping[bytes, bytes], key: bytes) -> bool:
    kind, _, bearer = headers.get(b"authorization", b"").partition(b" ")
    given = bearer.strip() if kind.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    return hmac.compare_digest(given, key)
