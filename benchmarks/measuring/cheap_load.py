"""Clients that cost little: one thread, plain sockets, and answers that are kept to be checked when the time is over.

They share the cores with the server that is measured. So a client does no more than it must: it sends bytes that were
made beforehand, and looks for the end of the answer. The time of the processor that it takes all the same is measured:
where clients are other machines, the server has that too.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from measuring.load import END_OF_HEAD, Load, answer_length, refuse_others

_READ: Final = 65536
_PATIENCE: Final = 60.0  # seconds without any answer
_WARM: Final = 0.3  # seconds that aren't measured: batches and buffers find their sizes


@dataclass(slots=True)
class CheapLoad(Load):
    """What a run of requests gave: `wall` is the seconds that were measured, `seconds` those of requests within.

    Answers before and after count for `statuses` and `wrong`. Nothing is lost: that is an error.

    Attributes:
        busy: seconds of a processor that the clients took in what was measured.
    """

    busy: float = 0.0


def send_cheap_load(
    address: tuple[str, int],
    requests: Sequence[bytes],
    check: Callable[[int, bytes], bool],
    *,
    clients: int,
    seconds: float,
) -> CheapLoad:
    """Send requests, taken in turn, from so many connections with one request at a time each.

    Args:
        address: where to, on this machine.
        requests: to send.
        check: says of a request's index and its answer's body whether it is right; called when the time is over.
        clients: connections.
        seconds: how long to measure.

    Raises:
        ValueError: the address isn't of this machine.
        ConnectionError: the server closed a connection, or answered nobody for a minute.
    """
    refuse_others(address[0])
    connections = _Connections(address, requests, clients)
    try:
        connections.ask_for(_WARM)
        warm, busy, began = len(connections.answers), time.thread_time(), time.perf_counter()
        connections.ask_for(seconds)
        times = [spent for _, spent, _ in connections.answers[warm:]]
        load = CheapLoad(times, wall=time.perf_counter() - began, busy=time.thread_time() - busy)
        connections.ask_for(0)
    finally:
        connections.close()
    for index, _, answer in connections.answers:
        status = int(answer[9:12])
        load.statuses[status] = load.statuses.get(status, 0) + 1
        load.wrong += not check(index, answer.partition(END_OF_HEAD)[2])
    return load


class _Connections:
    """The connections, and the answers that came: each the index of its request, its seconds and its bytes."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes], count: int) -> None:
        self.answers: list[tuple[int, float, bytes]] = []
        self._requests, self._sent = requests, 0
        self._asked: dict[int, tuple[int, float]] = {}  # request and time by the number of the connection
        self._held: dict[int, bytes] = {}  # of answers whose end hasn't come
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(count):
            connection = socket.create_connection(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[connection.fileno()] = connection
            self._poll.register(connection, select.EPOLLIN)

    def ask_for(self, seconds: float) -> None:
        """Ask, and ask again, for so many seconds; for none: wait for what was asked.

        Raises:
            ConnectionError: see `send_cheap_load`.
        """
        until = time.perf_counter() + seconds
        if seconds:
            for number in self._sockets.keys() - self._asked.keys():
                self._ask(number)
        while self._asked and (not seconds or time.perf_counter() < until):
            ready = self._poll.poll(_PATIENCE)
            if not ready:
                raise ConnectionError(f"no answer for {_PATIENCE:.0f} seconds")
            for number, _ in ready:
                if self._is_answered(number) and seconds:
                    self._ask(number)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._sockets.values():
            connection.close()
        self._poll.close()

    def _ask(self, number: int) -> None:
        index = self._sent % len(self._requests)
        self._sent += 1
        self._asked[number] = (index, time.perf_counter())
        self._sockets[number].sendall(self._requests[index])

    def _is_answered(self, number: int) -> bool:
        """Read what came; return whether the answer is whole."""
        data = self._sockets[number].recv(_READ)
        if not data:
            raise ConnectionError("the server closed a connection")
        data = self._held.pop(number, b"") + data
        start = data.find(END_OF_HEAD) + len(END_OF_HEAD)
        if start < len(END_OF_HEAD) or len(data) - start < answer_length(data[:start]):
            self._held[number] = data
            return False
        index, since = self._asked.pop(number)
        self.answers.append((index, time.perf_counter() - since, data))
        return True
