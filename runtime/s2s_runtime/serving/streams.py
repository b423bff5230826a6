"""Texts piece by piece, as server-sent events: each a step of greedy search or sampling, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

from s2s_runtime.batch_decoder import QueueFullError
from s2s_runtime.errors import CancelledError
from s2s_runtime.lazy_modules import logger_of
from s2s_runtime.serving.metrics import Metrics
from s2s_runtime.serving.requests import NOTE, Call, Send, json_bytes
from s2s_runtime.serving.served_model import ServedModel

logger = logger_of(__name__)

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the pieces back
]


class Streams:
    """The streams of an application.

    Args:
        most: streams that may be open.
        metrics: figures of the server.
    """

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most, self._metrics, self._open = most, metrics, 0
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="s2s-stream")

    def start(self, call: Call, model: ServedModel, source: Any, parameters: Mapping[str, Any]) -> Stream:
        """Return a stream that is ready to be sent.

        Raises:
            QueueFullError: too many are open.
            S2SError: the source can't be read, or options can't be streamed.
        """
        if self._open >= self._most:
            raise QueueFullError(f"{self._most} streams are open already; try again later")
        stream = Stream(call, self)
        try:
            stream.open(model, source, parameters)
        except BaseException:
            stream.close()
            raise
        return stream

    def opened(self, change: int) -> None:
        """Take note that a stream was opened or closed."""
        self._open += change
        self._metrics.streams.set(self._open)

    def run(self, work: Any) -> None:
        """Run the work of a stream in a thread."""
        self._threads.submit(work)


class Stream:
    """One stream: `open` it, then call it with what sends. It ends, and its thread, when the client goes away."""

    def __init__(self, call: Call, streams: Streams) -> None:
        self._call, self._streams = call, streams
        self._cancel = threading.Event()
        self._held = ExitStack()
        self._pieces: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        streams.opened(1)
        self._held.callback(streams.opened, -1)
        self._held.callback(self._cancel.set)

    def open(self, model: ServedModel, source: Any, parameters: Mapping[str, Any]) -> None:
        """Check the request and start the thread.

        Raises:
            S2SError: as `Streams.start`.
        """
        loaded = self._held.enter_context(model.used(1))
        chosen = loaded.options.read(parameters)
        pieces = loaded.model.stream(source, options=chosen.options, cancel=self._cancel)
        loop, put = asyncio.get_running_loop(), self._pieces.put_nowait

        def write() -> None:
            last: BaseException | None = None
            try:
                for piece in pieces:
                    loop.call_soon_threadsafe(put, piece)
            except BaseException as error:
                last = error
            loop.call_soon_threadsafe(put, last)

        self._streams.run(write)

    def close(self) -> None:
        """End it; the thread ends at its next step."""
        self._held.close()

    async def __call__(self, send: Send) -> None:
        """Send the pieces, each an event with its `text`, and at the end the event `done` with the whole text."""
        with self._held:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            try:
                with self._call.watched():
                    await self._send_pieces(send)
            except asyncio.CancelledError:
                if not self._call.gone:
                    raise
                if task := asyncio.current_task():
                    task.uncancel()

    async def _send_pieces(self, send: Send) -> None:
        text = ""
        limit = self._call.limits.timeout
        try:
            async with asyncio.timeout(limit):
                while isinstance(piece := await self._pieces.get(), str):
                    text += piece
                    await _send_event(send, "", {"text": piece})
        except TimeoutError:
            await _send_event(send, "error", {"error": "the stream took longer than it may"}, last=True)
            return
        if piece is None:
            await _send_event(send, "done", {"text": text}, last=True)
        else:
            if not isinstance(piece, CancelledError):
                logger.error("failed", exc_info=piece, extra={"fields": {"id": self._call.scope[NOTE].id}})
            await _send_event(send, "error", {"error": "this server failed; its log says why"}, last=True)


async def _send_event(send: Send, event: str, data: object, *, last: bool = False) -> None:
    head = f"event: {event}\n" if event else ""
    body = b"%bdata: %b\n\n" % (head.encode(), json_bytes(data))
    await send({"type": "http.response.body", "body": body, "more_body": not last})
