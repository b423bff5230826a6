"""The work of s2s-serve once its options are parsed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.commands.command_options import Given
from s2s_runtime.commands.decode_values import decoding_options
from s2s_runtime.console.app import UsageError
from s2s_runtime.console.manners import announce
from s2s_runtime.serving.app import make_app, named_bundles
from s2s_runtime.serving.logs import logging_to_stderr
from s2s_runtime.serving.options import ServerOptions, ServingOptions
from s2s_runtime.serving.request_options import DEFAULT_OPTIONS
from s2s_runtime.serving.server import serve

KEY: Final = "S2S_API_KEY"


def run(given: Given) -> None:
    """Serve until it is ended.

    Raises:
        UsageError: a key is to be asked for and none is there, or options are wrong.
        S2SError: a bundle can't be loaded, or the address not listened at.
    """
    settings = ServerOptions(**given.of(ServerOptions))
    key = os.environ.get(KEY)
    if settings.api_key and not (key or "").strip():
        raise UsageError(f"--api-key: expected the key in the environment variable {KEY}, which is empty or not set")
    if key and not settings.api_key:
        raise UsageError(f"{KEY} is set, but --api-key isn't given: give it, or unset the variable")
    typed = {name: given.values[name] for name in DEFAULT_OPTIONS}

    def defaults(manifest: Manifest) -> Mapping[str, Any]:
        if manifest.target.feedback == "value":
            return {}
        return dict(decoding_options(typed, manifest, scores=False))

    names = named_bundles(settings.bundles)
    app = make_app(
        *settings.bundles,
        options=ServingOptions(**given.of(ServingOptions)),
        defaults=defaults,
        api_key=key if settings.api_key else None,
    )

    def tell(port: int) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        announce(f"serving {', '.join(names)} at http://{host}:{port}")

    with logging_to_stderr(settings.log_format):
        serve(
            app, host=settings.host, port=settings.port, watch=settings.watch, grace=settings.grace, on_listening=tell
        )
    announce("stopped")
