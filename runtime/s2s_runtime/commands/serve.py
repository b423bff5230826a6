"""The command s2s-serve."""

from __future__ import annotations

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.console.app import command, make_app
from s2s_runtime.options import DecodingOptions
from s2s_runtime.serving.options import ServerOptions, ServingOptions
from s2s_runtime.serving.request_options import DEFAULT_OPTIONS

app = make_app()

EPILOG = """
**Examples**

`s2s-serve model.s2s`

`s2s-serve french.s2s german.s2s --port 8080 --beam-size 4 --watch 5`

`S2S_API_KEY=secret s2s-serve model.s2s --api-key --host 0.0.0.0 --log-format json`

`curl -d '{"text": "Run!"}' http://127.0.0.1:8080/generate`
"""


@command(app, epilog=EPILOG)
@takes(ServerOptions, ServingOptions, DecodingOptions, only={DecodingOptions: DEFAULT_OPTIONS})
def serve(given: Given) -> None:
    """Serve bundles over HTTP: the Open Inference Protocol of KServe and Triton at /v2, and plain POST /generate.

    Decoding options are the defaults of requests, which may give others. Requests that come together are decoded
    together. /metrics is for Prometheus, /docs describes all requests.

    SIGHUP loads the bundles anew, SIGTERM or Ctrl-C ends the server once what it accepted is answered.
    """
    from s2s_runtime.commands.serve_bundles import run

    run(given)


def main() -> None:
    """Run the command."""
    app()
