"""Every command killed at a random moment: what it writes is what was there, or whole, and going on gives the rest.

Commands of the runtime run in forked children of a process that has imported them, so that a kill takes the time of the
work alone; those of TensorFlow in processes of their own.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from harness import BrokenPromiseError, Case, Harness
from places import FIXTURES, TINY

import s2s_runtime

TEXTS: Final = ["abc", "cab", "bca", "aabbcc"]
RUN: Final = FIXTURES / "format-1" / "run"
_HIDDEN: Final = (".tmp-", ".old-")  # the half of a killed process, beside its place
_CLOCK: Final = ("seconds", "minutes")  # what a run's summary tells of itself
_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [f"s2s_runtime.commands.{name}" for name in ("decode", "evaluate", "plot", "inspect", "bench", "serve_bundles")]
    + [f"s2s_runtime.{name}" for name in ("calibrating.command", "tuning.tune", "report.page", "plots.runs")]
    + ["s2s_runtime.loading", "s2s_runtime.ort.sessions"]
)

# What each command is given in its folder, and how often it is drawn; {port} is a free one.
COMMANDS: Final = {
    "decode": (18, "s2s_runtime.commands.decode tiny.s2s -i in.txt -o out.txt --read-ahead 50 --resume"),
    "decode, whole": (6, "s2s_runtime.commands.decode tiny.s2s -i in.txt -o out.txt --force"),
    "evaluate": (12, "s2s_runtime.commands.evaluate tiny.s2s pairs.tsv --outputs out.tsv --json"),
    "evaluate, report": (6, "s2s_runtime.commands.evaluate tiny.s2s pairs.tsv --report out.html"),
    "calibrate": (9, "s2s_runtime.calibrating.command tiny.s2s pairs.tsv"),
    "tune": (
        9,
        "s2s_runtime.tuning.command tiny.s2s pairs.tsv --try beam_size=1,2,3 --try length_penalty=0,1 --jobs 1 "
        "-o out.jsonl --picture out.png",
    ),
    "plot": (6, "s2s_runtime.commands.plot lengths tiny.s2s pairs.tsv -o out.png"),
    "plot, history": (6, "s2s_runtime.commands.plot history run -o out.png"),
    "inspect": (6, "s2s_runtime.commands.inspect tiny.s2s --trace abc"),
    "bench": (6, "s2s_runtime.commands.bench tiny.s2s --batch-size 1,8 --beam-size 1 --repeats 5"),
    "bench, fresh processes": (3, "s2s_runtime.commands.bench tiny.s2s --cold-start --repeats 2"),
    "serve": (6, "s2s_runtime.commands.serve tiny.s2s --port {port}"),
    "export": (1, "s2s_export.commands.export run/model.keras --force --quiet"),
    "train": (
        1,
        "s2s_training.commands.train words.tsv -o trained --resume --quiet --units 4 --embedding 4 --epochs 3 "
        "--batch-size 16 --score 5 --valid-fraction 0.2",
    ),
}


def prepare() -> None:
    """Start the process that others are forked from, so that no command's time has that of its imports."""
    whole("inspect")


def make(random: Random) -> Case:
    """Draw a command, and the moments of its kills, as shares of the time that it takes."""
    name = random.choice([name for name, (weight, _) in COMMANDS.items() for _ in range(weight)])
    most = 6 if COMMANDS[name][1].startswith("s2s_runtime") else 3
    return {"command": name, "moments": [random.uniform(0.02, 1.05) for _ in range(random.randint(1, most))]}


def lay_out(folder: Path) -> None:
    """Write what commands read, and what they replace."""
    shutil.copytree(TINY, folder / "tiny.s2s")
    shutil.copytree(RUN, folder / "run")
    (folder / "in.txt").write_text("".join(f"{text}\n" for text in TEXTS * 400), encoding="utf-8")
    (folder / "pairs.tsv").write_text("".join(f"{text}\t{text.upper()}\n" for text in TEXTS * 100), encoding="utf-8")
    (folder / "out.tsv").write_text("what was there\n", encoding="utf-8")
    (folder / "out.png").write_bytes(b"what was there")
    rows = np.random.default_rng(0).integers(0, 5, (60, 4))
    words = sorted({"".join("abcde"[i] for i in row[: 2 + row[0] % 3]) for row in rows})
    (folder / "words.tsv").write_text("".join(f"{word}\t{word[::-1]}\n" for word in words), encoding="utf-8")


def typed(name: str, port: int, *, again: bool) -> tuple[str, list[str]]:
    """Return the module of a command, and its arguments."""
    module, *arguments = COMMANDS[name][1].split()
    if not again and name == "train":
        arguments.remove("--resume")
    return module, [argument.format(port=port) for argument in arguments]


class Running:
    """A command that runs, in a session of its own."""

    def __init__(self, name: str, folder: Path, port: int = 0, *, again: bool = False) -> None:
        """Start it; `again` where a killed one stood before."""
        module, arguments = typed(name, port, again=again)
        self.log = folder.parent / "log"
        if module.startswith("s2s_runtime"):
            forked = (module, arguments, str(folder), str(self.log))
            self.process: Any = _FORKS.Process(target=_become, args=forked, daemon=True)  # none outlives this process
            self.process.start()
        else:
            program = f"from kills import _become; from pathlib import Path; _become({module!r}, {arguments!r}, "
            program = (
                f"import sys; sys.path[:] = {sys.path!r}; {program}Path({str(folder)!r}), Path({str(self.log)!r}))"
            )
            self.process = subprocess.Popen([sys.executable, "-c", program])

    def wait(self, seconds: float | None = None) -> int | None:
        """Return the exit status; None where it still runs after so long."""
        if isinstance(self.process, subprocess.Popen):
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
        self.process.join(seconds)
        return None if self.process.exitcode is None else int(self.process.exitcode)

    def kill(self) -> None:
        """Kill it, and see that what it started ends by itself."""
        pid = self.process.pid
        self.process.kill()
        self.wait()
        for _ in range(300):
            if not _in_session(pid):
                return
            time.sleep(0.1)
        raise BrokenPromiseError(f"30 s after it was killed there are {_in_session(pid)}")


def _become(module: str, arguments: list[str], folder: str, log: str) -> None:
    """Be a command, in a session of its own, for the rest of this process."""
    os.setsid()
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = [module.rpartition(".")[2], *arguments]
    importlib.import_module(module).main()


def _in_session(session: int) -> list[str]:
    """Return the command lines of the processes in a session that are alive."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((place / "cmdline").read_text().replace("\0", " ")[:200])
        except OSError:
            continue  # it ended
    return found


def files(folder: Path) -> dict[str, str]:
    """Return a digest of each file of a folder by its name; what is hidden, or an export's, is left out."""
    names = [path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder))]
    return {str(path.relative_to(folder)): _digest(path) for path in names}


def _is_hidden(path: Path) -> bool:
    return path.parts[:2] == ("run", "model.s2s") or any(part.startswith(_HIDDEN) for part in path.parts)


def _digest(path: Path) -> str:
    """Return a digest of what doesn't depend on the clock."""
    content = path.read_bytes() if path.suffix != ".jsonl" else written(path.parent)
    if path.name in ("history.json", "summary.json"):
        content = json.dumps(_untimed(json.loads(content))).encode()
    return "" if path.suffix == ".keras" or path.name == "loss.png" else hashlib.sha256(content).hexdigest()


def written(folder: Path) -> bytes:
    """Return the whole lines that a command wrote one by one, without what depends on the clock."""
    for path in (folder / "out.txt", folder / "out.jsonl"):
        if path.exists():
            content = path.read_bytes()
            lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
            if path.suffix == ".jsonl":
                lines = [json.dumps(_untimed(json.loads(line))).encode() for line in lines]
            return b"".join(lines)
    return b""


def _untimed(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _untimed(value) for key, value in sorted(values.items()) if key not in _CLOCK}
    return values


@contextmanager
def laid_out() -> Iterator[Path]:
    """Make a folder for a command; its log lies beside."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        folder.mkdir()
        lay_out(folder)
        yield folder


@cache
def whole(name: str) -> tuple[dict[str, str], float, bytes]:
    """Return the files after a run that isn't killed, how long it takes, and the lines that it writes one by one."""
    with laid_out() as folder:
        began = time.monotonic()
        status = Running(name, folder).wait()
        seconds = time.monotonic() - began
        if status:
            raise BrokenPromiseError(f"{name}: {(folder.parent / 'log').read_text()[-1000:]}")
        return files(folder), seconds, written(folder)


def check(case: Case) -> str:
    """Kill a command once or several times, look each time, and then let it end."""
    name = case["command"]
    if name == "serve":
        return check_serving(case["moments"][0])
    expected, seconds, text = whole(name)
    killed = 0
    with laid_out() as folder:
        before = files(folder)
        for moment in case["moments"]:
            running = Running(name, folder, again=(folder / "trained").exists())
            if running.wait(moment * seconds) is None:
                running.kill()
                killed += 1
            look(name, folder, before, expected, text)
        running = Running(name, folder, again=(folder / "trained").exists())
        status = running.wait()
        if left := [path for path in folder.rglob("*") if path.name.startswith(_HIDDEN)]:
            raise BrokenPromiseError(f"what ended well left {left}")
        if status or files(folder) != expected:
            found = files(folder)
            wrong = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
            raise BrokenPromiseError(f"{status}, {wrong}: {running.log.read_text()[-1000:]}")
    return f"{name}: killed {killed} times, nothing lost"


def look(name: str, folder: Path, before: dict[str, str], expected: dict[str, str], text: bytes) -> None:
    """Raise where a killed command left something that is neither what was there nor whole."""
    found = files(folder)
    if name.startswith(("decode", "tune")):
        if not text.startswith(written(folder)):
            raise BrokenPromiseError("what was written isn't the beginning of the whole")
        lines = ("out.txt", "out.jsonl")  # and notes of where it is
        found = {key: value for key, value in found.items() if not key.startswith(lines)}
    if name == "train":
        found = {key: value for key, value in found.items() if not key.startswith("trained/")}  # compared at the end
    if name == "export":
        places = [RUN / "model.s2s", folder / "run" / "model.s2s"]
        outputs = [[result.ids for result in s2s_runtime.load(place).generate(["un1", "cent5"])] for place in places]
        if outputs[0] != outputs[1]:
            raise BrokenPromiseError("another bundle")
    for key, value in found.items():
        if value not in (before.get(key), expected.get(key)):
            raise BrokenPromiseError(f"{key} is neither what it was nor whole")
    lost = before.keys() - files(folder).keys()
    if lost:
        raise BrokenPromiseError(f"lost: {sorted(lost)}")


def check_serving(moment: float) -> str:
    """Kill a server that is asked all the time: whatever it answered is right, and the next one takes its place."""
    with laid_out() as folder, socket.socket() as free:
        before = files(folder)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        running, answers, killed = Running("serve", folder, port), list[str](), threading.Event()
        asking = threading.Thread(target=_ask_until, args=(port, answers, killed.is_set))
        asking.start()
        running.wait(moment * 3)
        running.kill()
        killed.set()
        asking.join()
        counted = "answers" if answers else "no answer yet"
        running = Running("serve", folder, port)
        first = len(answers)
        _ask_until(port, answers, lambda: running.wait(0) is not None or len(answers) > first)
        os.kill(running.process.pid, signal.SIGTERM)
        status = running.wait(60)
        right = s2s_runtime.load(TINY).generate(["abc"])[0].text
        if status != 0 or set(answers) != {right} or files(folder) != before:
            raise BrokenPromiseError(f"{status}, {set(answers)}: {running.log.read_text()[-1000:]}")
    return f"serve: killed, {counted}, the next one serves"


def _ask_until(port: int, answers: list[str], ended: Callable[[], bool]) -> None:
    """Ask a server until it ended."""
    while not ended():
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/generate", json.dumps({"text": "abc"}), {"Content-Type": "application/json"})
            answers.append(json.loads(connection.getresponse().read())["results"][0]["text"])
        except (OSError, HTTPException, ValueError):  # not there yet, or killed in the middle
            time.sleep(0.05)
        finally:
            connection.close()


HARNESS = Harness(name="kills", make=make, check=check, prepare=prepare, seconds=60)
