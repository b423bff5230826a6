"""Clients of a server, each on a connection of its own: they send a request, check its answer, and send the next.

Only loopback addresses are sent to, and every run has an end: a count of requests, and a time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MOST_SECONDS: Final = 600.0
_PAUSE: Final = 0.05  # seconds of a patient client between two tries
_FINE: Final = 200
_BUSY: Final = 503
END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


@dataclass(slots=True)
class Load:
    """What a run of requests gave.

    Attributes:
        seconds: of each request that was answered.
        statuses: how many answers had each status.
        wrong: answers that weren't what was expected.
        lost: requests without an answer.
        wall: seconds of the whole run.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: int = 0
    lost: int = 0
    wall: float = 0.0

    def percentile(self, share: float) -> float:
        """Return the seconds that a share of the requests took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class _Client(asyncio.Protocol):
    """A connection: one request at a time."""

    def __init__(self) -> None:
        self._held = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: Any = None
        self.closed = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("closed"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return the status and body of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, body = self._held.partition(END_OF_HEAD)
        if not found:
            return
        length = answer_length(head)
        if len(body) >= length and self._answer is not None and not self._answer.done():
            self._held = body[length:]
            self._answer.set_result((int(head[9:12]), body[:length]))

    async def close(self) -> None:
        """Close the connection, and wait until it is."""
        self._transport.close()
        while not self.closed:
            await asyncio.sleep(0)


def http_request(path: str, content: object, *headers: str) -> bytes:
    """Return a request that posts JSON."""
    body = json.dumps(content).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: loopback",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def send_load(
    address: tuple[str, int],
    requests: Sequence[bytes],
    check: Callable[[int, bytes], bool],
    *,
    clients: int,
    count: int,
    seconds: float = MOST_SECONDS,
    patient: bool = False,
) -> Load:
    """Send requests, taken in turn, and return what came of them.

    Args:
        address: where to, on this machine.
        requests: to send; request i is followed by request i + 1.
        check: says of a request's index and its answer's body whether it is right.
        clients: connections, each with one request at a time.
        count: requests in all.
        seconds: after which no client sends another.
        patient: whether clients wait for a server that is away, and send again what was refused with 503.

    Raises:
        ValueError: the address isn't of this machine.
    """
    refuse_others(address[0])
    load, indices = Load(), iter(range(count))
    began = time.perf_counter()

    async def client() -> None:
        connection: _Client | None = None
        try:
            for index in indices:
                connection = await ask_until_answered(index % len(requests), connection)
                if time.perf_counter() - began > seconds:
                    return
        finally:
            if connection is not None:
                await connection.close()

    async def ask_until_answered(index: int, connection: _Client | None) -> _Client | None:
        """Send a request, more than once where clients are patient; return the connection, None where it broke."""
        while time.perf_counter() - began <= seconds:
            was_sent = False
            try:
                if connection is None or connection.closed:
                    _, connection = await asyncio.get_running_loop().create_connection(_Client, *address)
                start, was_sent = time.perf_counter(), True
                status, body = await connection.ask(requests[index])
            except OSError:
                connection = None
                load.lost += was_sent
                if was_sent or not patient:
                    break
                await asyncio.sleep(_PAUSE)
                continue
            load.statuses[status] = load.statuses.get(status, 0) + 1
            if status != _BUSY or not patient:
                load.seconds.append(time.perf_counter() - start)
                load.wrong += status == _FINE and not check(index, body)
                break
            await asyncio.sleep(_PAUSE)
        return connection

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    load.wall = time.perf_counter() - began
    return load


def answer_length(head: bytes) -> int:
    """Return the bytes of the body that follows the head of an answer."""
    lower = head.lower()
    start = lower.index(_LENGTH) + len(_LENGTH)
    return int(lower[start:].partition(b"\r\n")[0])


def refuse_others(host: str) -> None:
    """Refuse to send anything to another machine.

    Raises:
        ValueError: the address isn't of this machine.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"{host}: load is sent to loopback addresses only")
