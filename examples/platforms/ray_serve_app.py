"""A bundle behind Ray Serve: `BUNDLE=model.s2s serve run examples.platforms.ray_serve_app:app`.

`app` answers over HTTP as s2s-serve does, with its batches, limits and endpoints: Ray starts its replicas, on as many
machines as it has, and shares requests out among them. `texts_app` is for other deployments, which call it by a handle.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from ray import serve

import s2s_runtime
from s2s_runtime.serving.app import make_app
from s2s_runtime.serving.options import ServingOptions

CORES = int(os.environ.get("CORES", "1"))  # of a replica
SETTINGS: dict[str, Any] = {
    "num_replicas": int(os.environ.get("REPLICAS", "2")),
    "max_ongoing_requests": 64,  # what a replica is handed at a time: it decodes them together
    "ray_actor_options": {"num_cpus": CORES},
}


def application() -> Any:
    """Return the ASGI application of a replica; Ray calls this where the replica runs."""
    return make_app(os.environ["BUNDLE"], options=ServingOptions(workers=CORES, threads=1))


@serve.deployment(**SETTINGS)
@serve.ingress(application)
class Server:
    """A replica that answers over HTTP."""


@serve.deployment(**SETTINGS)
class Texts:
    """A replica that other deployments call: `await handle.decode.remote(text)`.

    Args:
        bundle: where the bundle lies.
        **options: decoding options, as `Model.generate` takes them.
    """

    def __init__(self, bundle: str, **options: Any) -> None:
        self.model = s2s_runtime.load(bundle, workers=1, intra_op_threads=CORES)
        self.decoder = s2s_runtime.Decoder(self.model, **options)

    async def decode(self, text: str) -> s2s_runtime.Result:
        """Return the result of a text, decoded together with those of other callers."""
        return await asyncio.wrap_future(self.decoder.submit(text))


# The decorators make deployments of the classes, which checkers of types don't see.
app = Server.bind()  # type: ignore[attr-defined]
texts_app = Texts.bind(os.environ.get("BUNDLE", "model.s2s"))  # type: ignore[attr-defined]
