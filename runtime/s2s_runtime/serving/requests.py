"""One HTTP request as an endpoint sees it: its body within limits, its time, and a client that may go away."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import orjson

from s2s_runtime.batch_decoder import QueueFullError
from s2s_runtime.errors import InputError, OptionError, S2SError, UnknownSymbolError
from s2s_runtime.lazy_modules import logger_of
from s2s_runtime.serving.options import ServingOptions

logger = logger_of(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

NOTE: Final = "s2s.note"
"""The key of a request's `Note` in its scope."""

GONE: Final = 499  # as nginx has it: the client closed the connection; nobody sees this answer
_JSON: Final = ((b"content-type", b"application/json; charset=utf-8"),)
_MOST_DIGITS: Final = 12  # of a length: Python refuses to read numbers of thousands
_LOOK: Final = 0.03  # seconds between two looks at the calls under way; most are answered before the first
_RETRY: Final = (b"retry-after", b"1")


@dataclass(slots=True)
class Note:
    """What the log and the figures tell of a request: nothing of its texts."""

    id: str
    endpoint: str = "other"
    model: str = ""
    texts: int = 0
    tokens: int = 0


class RefusedError(S2SError):
    """A request that isn't served, with the status and further headers of its answer."""

    def __init__(
        self, message: str, status: int = HTTPStatus.BAD_REQUEST, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """An answer as a whole: its body's parts, its headers but for the length, and its status."""

    parts: Sequence[bytes]
    headers: Sequence[tuple[bytes, bytes]] = _JSON
    status: int = HTTPStatus.OK

    async def __call__(self, send: Send) -> None:
        """Send the answer."""
        body = b"".join(self.parts)
        headers = [*self.headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": int(self.status), "headers": headers})
        await send({"type": "http.response.body", "body": body})


def json_answer(content: object, status: int = HTTPStatus.OK, *headers: tuple[bytes, bytes]) -> Answer:
    """Return an answer in JSON."""
    return Answer([json_bytes(content)], (*_JSON, *headers), status)


def json_bytes(content: object) -> bytes:
    """Return JSON in UTF-8; half a character, which a request may hold and UTF-8 can't, stays as it was escaped."""
    try:
        return orjson.dumps(content)
    except TypeError:  # such as half a character, or an integer that has more than 64 bits
        return json.dumps(content, separators=(",", ":")).encode()


@dataclass(slots=True, eq=False)
class Call:
    """A request under way.

    Attributes:
        scope: as ASGI has it.
        receive: likewise.
        limits: of the server.
        headers: the last of each name, in small letters.
        gone: whether the client has closed the connection.
        late: whether its time was over before it was answered.
    """

    scope: Scope
    receive: Receive
    limits: ServingOptions
    headers: Mapping[bytes, bytes] = field(init=False)
    gone: bool = False
    late: bool = False
    _task: asyncio.Task[Any] | None = field(init=False)
    _until: float = field(init=False)
    _is_read: bool = False
    _watching: asyncio.Task[None] | None = None
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self.headers = dict(self.scope["headers"])
        self._task = asyncio.current_task()
        self._until = asyncio.get_running_loop().time() + self.limits.timeout

    @property
    def note(self) -> Note:
        """What the log and the figures tell of this request."""
        note: Note = self.scope[NOTE]
        return note

    def shorten(self, seconds: float | None) -> None:
        """End the request so many seconds from now at the latest."""
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    def look(self, now: float) -> None:
        """End the request if its time is over; else, once its body was read, see to it that it ends with its client."""
        if now >= self._until:
            self._end()
        elif self._is_read and self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Look no more; whatever is left of the request has to be sent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _end(self) -> None:
        self.late = True
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Cancel this task if the client goes away while the block runs, which sends what is left."""
        watching = asyncio.get_running_loop().create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()

    async def body(self) -> bytes:
        """Return the body, unpacked.

        Raises:
            RefusedError: it is too long, of an unknown encoding, or damaged.
        """
        most = self.limits.max_request_bytes
        length = self.headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > _MOST_DIGITS or int(length) > most:
            raise _too_long(most)
        parts, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                raise RefusedError("the client left before its request was whole", GONE)
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise _too_long(most)
            parts.append(part)
            if not message.get("more_body"):
                self._is_read = True
                return _unpacked(b"".join(parts), self.headers.get(b"content-encoding", b"identity"), most)


class _Looks:
    """Looks, now and then, at the calls under way: a timer for all of them costs less than timers of each."""

    def __init__(self) -> None:
        self._calls: dict[Call, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None  # whose timer runs: an application may outlive a loop

    def add(self, call: Call) -> None:
        """Look at a call from now on."""
        self._calls[call] = None
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(_LOOK, self._look, loop)

    def remove(self, call: Call) -> None:
        """Look at it no more."""
        del self._calls[call]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for call in self._calls:
            call.look(now)
        if self._calls:
            loop.call_later(_LOOK, self._look, loop)
        else:
            self._loop = None


class Endpoint:
    """An ASGI application that answers one kind of request.

    Args:
        name: what the figures call it.
        limits: of the server.
        handle: returns what sends the answer.
    """

    def __init__(
        self, name: str, limits: ServingOptions, handle: Callable[[Call], Awaitable[Callable[[Send], Awaitable[None]]]]
    ) -> None:
        self._name, self._limits, self._handle = name, limits, handle
        self._looks = _Looks()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; every error is an answer too."""
        scope[NOTE].endpoint = self._name
        call = Call(scope, receive, self._limits)
        self._looks.add(call)
        answer: Callable[[Send], Awaitable[None]]
        try:
            answer = await self._handle(call)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or not (call.gone or call.late):
                raise
            task.uncancel()
            late = "the request took longer than it may; try again later"
            answer = _refusal(GONE, "the client left") if call.gone else _refusal(HTTPStatus.GATEWAY_TIMEOUT, late)
        except RefusedError as error:
            answer = _refusal(error.status, str(error), *error.headers)
        except QueueFullError as error:
            answer = _refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _RETRY)
        except (InputError, OptionError, UnknownSymbolError) as error:
            answer = _refusal(HTTPStatus.BAD_REQUEST, str(error))
        except Exception:
            logger.exception("failed", extra={"fields": {"id": scope[NOTE].id}})
            answer = _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "this server failed; its log says why")
        finally:
            self._looks.remove(call)
            call.close()
        await answer(send)


def _refusal(status: int, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    return json_answer({"error": message}, status, *headers)


def _too_long(most: int) -> RefusedError:
    return RefusedError(f"expected a body of at most {most} bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, (_CLOSE,))


_CLOSE: Final = (b"connection", b"close")  # what is left of the request isn't read


def _unpacked(body: bytes, encoding: bytes, most: int) -> bytes:
    if encoding == b"identity":
        return body
    if encoding not in (b"gzip", b"deflate"):
        words = "expected Content-Encoding gzip, deflate or none"
        raise RefusedError(f"{words}, got {encoding.decode('latin-1')}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: of either kind
    try:
        unpacked = unpacker.decompress(body, most)
    except zlib.error as error:
        raise InputError(f"the request's body can't be unpacked: {error}") from error
    if unpacker.unconsumed_tail:
        raise _too_long(most)
    return unpacked
