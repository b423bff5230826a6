"""Running the application: signals, the watch over bundles, connections that send nothing, and a stop that waits."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from s2s_runtime.errors import MissingExtraError, S2SError
from s2s_runtime.lazy_modules import logger_of

try:
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ModuleNotFoundError as error:
    raise MissingExtraError("fastapi, orjson or uvicorn is not installed: pip install 's2s-runtime[serve]'") from error

logger = logger_of("s2s_runtime.serving")

_KEEP_ALIVE: Final = 75  # seconds that a connection may rest between requests: longer than proxies let it
_HEAD: Final = 10.0  # seconds that the head of a request may take
_CONNECTIONS: Final = 65536
_BACKLOG: Final = 2048
_SWITCH: Final = 0.0003  # seconds that a thread may hold the interpreter where another has a batch to go on with


class ServerError(S2SError, OSError):
    """The server can't listen, or couldn't be started."""


class _TimedProtocol(HttpToolsProtocol):
    """A connection that is closed where the head of a request takes too long; bodies are timed by their endpoint."""

    _head_timer: asyncio.TimerHandle | None = None
    _in_head = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and self._head_timer is None and not self.transport.is_closing():
            self._expect_head()  # most heads come as a whole, and need no timer

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Server(uvicorn.Server):
    """A uvicorn server whose signals are handled by `serve`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    app: Any, *, host: str, port: int, watch: float | None, grace: float, on_listening: Callable[[int], None]
) -> None:
    """Serve until SIGTERM or Ctrl-C; then answer what was accepted, and return. A second Ctrl-C doesn't wait.

    Args:
        app: made by `make_app`.
        host: address to listen at.
        port: port to listen at; 0 = any that is free.
        watch: seconds between two looks at the bundles; None = SIGHUP alone loads them anew.
        grace: seconds that requests under way have to end.
        on_listening: called with the port once requests are taken.

    Raises:
        ServerError: the address can't be listened at.
        S2SError: a bundle can't be loaded.
    """
    listener = _listener(host, port)
    _raise_limit()
    forget_modules()
    sys.setswitchinterval(_SWITCH)
    config = uvicorn.Config(
        app,
        http=_TimedProtocol,
        ws="none",
        proxy_headers=False,
        lifespan="off",  # run here, so that its errors are those of the command
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(grace)),
    )
    server = _Server(config)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with app.pages.router.lifespan_context(app.pages):
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.handle_exit, number, None)
            reloading: set[asyncio.Task[None]] = set()

            def reload() -> None:
                reloading.add(task := asyncio.ensure_future(_load_anew(app, always=True)))
                task.add_done_callback(reloading.discard)

            loop.add_signal_handler(signal.SIGHUP, reload)
            watching = None if watch is None else asyncio.ensure_future(_watch(app, watch))
            loop.call_soon(on_listening, listener.getsockname()[1])
            await server.serve([listener])
            if watching is not None:
                watching.cancel()

    with contextlib.closing(listener), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


def forget_modules() -> None:
    """Let the garbage collector look no more at what was imported until now: it would find nothing in 0.1 seconds.

    In these no request is answered, and a busy server is collected twice a second. Models are loaded afterwards, and
    are garbage when others are loaded in their place.
    """
    gc.collect()
    gc.freeze()


async def _watch(app: Any, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _load_anew(app, always=False)


async def _load_anew(app: Any, *, always: bool) -> None:
    for model in app.models.values():
        await model.load_anew(always=always)


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ServerError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections have it from here: an answer's body isn't to wait until the client has acknowledged the head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ServerError(f"{host}:{port}: can't listen: {error.strerror or error}") from error
    return listener


def _raise_limit() -> None:
    """Allow as many connections as the system does; shells often say 1024 files."""
    with contextlib.suppress(ValueError, OSError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, _CONNECTIONS)
        if soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
