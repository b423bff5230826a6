"""Making the application that serves bundles: its models, its endpoints and their description."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from s2s_runtime import __version__
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options import known_keywords
from s2s_runtime.errors import MissingExtraError, OptionError
from s2s_runtime.serving.options import ServingOptions

try:
    import orjson  # noqa: F401 - which the endpoints below need
    from fastapi import FastAPI, Response
    from fastapi.openapi.utils import get_openapi
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from s2s_runtime.serving.metrics import CONTENT_TYPE, Metrics
except ModuleNotFoundError as error:
    raise MissingExtraError("fastapi, orjson or uvicorn is not installed: pip install 's2s-runtime[serve]'") from error

from s2s_runtime.serving.endpoints import Endpoints
from s2s_runtime.serving.gate import ServingApp
from s2s_runtime.serving.requests import Endpoint
from s2s_runtime.serving.schema import generate_path, infer_path
from s2s_runtime.serving.served_model import Defaults, ServedModel

ABOUT: Final = """Sequences decoded by recurrent models. `POST /generate` is the plain way; `/v2` is the
Open Inference Protocol, version 2, with binary tensors."""


@known_keywords
def make_app(
    *bundles: str | os.PathLike[str],
    options: ServingOptions | None = None,
    defaults: Mapping[str, Any] | Defaults | None = None,
    api_key: str | None = None,
    preload: bool = False,
) -> ServingApp:
    """Make the ASGI application that serves bundles. They are loaded when a server starts it, or at once.

    Args:
        *bundles: folders or zip files written by s2s-export; a model's name is its file's, without `.s2s`.
        options: how to serve.
        defaults: decoding options of requests that don't give them, or a function of a bundle's manifest that returns
            them; `max_batch_size` and `batch_by` among them are the server's own.
        api_key: the key that requests have to have, in `Authorization: Bearer` or `X-API-Key`; None = none.
        preload: whether the bundles are loaded now. Processes forked afterwards, such as gunicorn's with `--preload`,
            share their weights, where graphs have one thread (`ServingOptions(workers=1, threads=1)`).

    Returns:
        The application, for uvicorn or another ASGI server.

    Raises:
        OptionError: no bundle, two of one name, or a key that is empty.
        S2SError: a bundle that is to be loaded now can't be.
    """
    options = options or ServingOptions()
    if api_key is not None and not api_key.strip():
        raise OptionError("api_key: expected a key, got an empty text")
    paths = named_bundles(bundles)
    given = defaults if callable(defaults) else _same(defaults or {})
    metrics = Metrics()
    named = {name: ServedModel(name, path, options, given, metrics) for name, path in paths.items()}
    models: dict[str, ServedModel] = {}
    if preload:
        for model in named.values():
            model.preload()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        for name, model in named.items():
            models[name] = model
            await model.load()
        yield
        for model in models.values():
            await model.close()

    pages = FastAPI(title="s2s-serve", version=__version__, description=ABOUT, lifespan=life, redoc_url=None)
    pages.add_exception_handler(HTTPException, _refused)
    endpoints = Endpoints(models, options, metrics)
    _add_pages(pages, endpoints, metrics)
    pages.openapi = lambda: _schema(pages)  # type: ignore[method-assign]
    generate = Endpoint("generate", options, endpoints.generate)
    infer = Endpoint("infer", options, endpoints.infer)
    return ServingApp(pages, generate, infer, models, metrics, api_key=api_key, access_log=options.access_log)


def named_bundles(bundles: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """Return the paths of bundles by the names of their models.

    Raises:
        OptionError: there is none, or two have one name.
    """
    paths: dict[str, Path] = {}
    for path in map(Path, bundles):
        name = path.name.removesuffix(".zip").removesuffix(".s2s") or path.resolve().name
        if name in paths:
            raise OptionError(f"bundles: {paths[name]} and {path} would both be named {name}; rename one")
        paths[name] = path
    if not paths:
        raise OptionError("bundles: expected at least one, got none")
    return paths


def _add_pages(app: FastAPI, endpoints: Endpoints, metrics: Metrics) -> None:
    """Register what doesn't decode."""
    for path, summary, handle in (
        ("/v2", "Name, version and extensions of the server", endpoints.server),
        ("/v2/health/live", "Whether the server runs", endpoints.live),
        ("/v2/health/ready", "Whether all models can decode; 503 if not", endpoints.ready),
        ("/v2/models/{model}", "Inputs and outputs of a model", endpoints.metadata),
        ("/v2/models/{model}/ready", "Whether a model can decode", endpoints.metadata),
        ("/v2/models/{model}/versions/{version}", "Inputs and outputs of a version", endpoints.metadata),
        ("/v2/models/{model}/versions/{version}/ready", "Whether a version can decode", endpoints.metadata),
    ):
        app.add_api_route(path, handle, methods=["GET"], summary=summary, response_model=None)

    async def figures() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    app.add_api_route("/metrics", figures, methods=["GET"], summary="Figures for Prometheus", response_model=None)


def _schema(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        made["paths"] = {"/generate": generate_path(), "/v2/models/{model}/infer": infer_path(), **made["paths"]}
        app.openapi_schema = made
    return app.openapi_schema


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """Answer what no endpoint takes in the form that all errors have."""
    refusal = error if isinstance(error, HTTPException) else HTTPException(HTTPStatus.INTERNAL_SERVER_ERROR)
    return JSONResponse({"error": str(refusal.detail)}, refusal.status_code, headers=refusal.headers)


def _same(defaults: Mapping[str, Any]) -> Defaults:
    def given(_: Manifest) -> Mapping[str, Any]:
        return defaults

    return given
