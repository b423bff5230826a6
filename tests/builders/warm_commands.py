"""`s2s-train` and `s2s-export` as typed in a shell, without importing TensorFlow anew each time.

One process imports it and forks for each command, which gets the arguments, folder, environment and streams of whoever
calls; what stands on the path is a small program that hands them over. Only the import is saved, some four seconds a
command: how it is interrupted and what it prints is looked at by tests/terminal, in processes of their own.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMANDS = {"s2s-train": "s2s_training.commands.train", "s2s-export": "s2s_export.commands.export"}
IMPORTED = ("tensorflow", "keras", "tf2onnx", "s2s_training.train", "s2s_export.exporter")


@contextmanager
def warm_commands(folder: Path) -> Iterator[None]:
    """Put both commands into a folder, answered by a process that ends with the block."""
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as door:
        place = os.path.join(short, "calls")  # an address may have some 100 characters, a test's folder has more
        for name in COMMANDS:
            program = folder / name
            call = shlex.join([sys.executable, "-I", "-S", __file__, place, name])
            program.write_text(f'#!/bin/sh\nexec {call} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        door.bind(place)
        door.listen()
        with subprocess.Popen([sys.executable, __file__, "serve"], stdin=door) as server:
            try:
                yield
            finally:
                server.terminate()


def hand_over(place: str, name: str, arguments: list[str]) -> int:
    """Let the warm process run a command with what this process has, and return its exit code."""
    with socket.socket(socket.AF_UNIX) as call:
        call.connect(place)
        message = json.dumps([name, arguments, os.getcwd(), dict(os.environ)]).encode()
        socket.send_fds(call, [len(message).to_bytes(8, "big")], [0, 1, 2])
        call.sendall(message)
        return int(call.makefile().read())


def serve() -> None:
    """Answer calls, each in a fork of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in IMPORTED:
        importlib.import_module(name)
    with socket.socket(fileno=0) as door:
        while True:
            call, _ = door.accept()
            with call:
                if os.fork() == 0:
                    answer(call)


def answer(call: socket.socket) -> None:
    """Be the command that was called."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, *_ = socket.recv_fds(call, 8, 3)
    with call.makefile("rb") as message:
        name, arguments, folder, environment = json.loads(message.read(int.from_bytes(size, "big")))
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [name, *arguments]
    code = 1
    try:
        importlib.import_module(COMMANDS[name]).main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        call.sendall(str(code).encode())
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        sys.exit(hand_over(sys.argv[1], sys.argv[2], sys.argv[3:]))
