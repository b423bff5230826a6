"""Runs side by side, each a process of its own, so that one that ends badly leaves the others alone."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from s2s_runtime.ort.thread_rule import usable_cores
from s2s_training.config.toml_file import write_config
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import RunsError

COMMAND = (sys.executable, "-m", "s2s_training")
_GRACE = 20.0  # seconds in which an interrupted run ends
Tell = Callable[[Path, str], None]
"""Is told what a run said: its folder, and the line; "done" or "failed" at last."""

DONE, FAILED = "done", "failed"


def train_side_by_side(runs: Mapping[Path, TrainingConfig], jobs: int, arguments: list[str], tell: Tell) -> None:
    """Train runs, so many at a time, in the order given.

    Each has its share of the cores. Where this process is interrupted, so are they; where it is killed, they end with
    the next line that they would tell. All can be resumed.

    Args:
        runs: the configuration for each folder.
        jobs: how many at a time.
        arguments: more of the command's, such as "--resume".
        tell: is told what they say; called in this thread.

    Raises:
        RunsError: some failed, after all others are done; says what each said last.
    """
    waiting, running = list(runs), dict[Path, subprocess.Popen[str]]()
    said: queue.Queue[tuple[Path, str | None]] = queue.Queue()
    last: dict[Path, str] = {}
    failed: list[Path] = []
    with tempfile.TemporaryDirectory() as name, _ended(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                folder = waiting.pop(0)
                running[folder] = _start(runs[folder], folder, Path(name) / f"{len(waiting)}.toml", arguments, jobs)
                threading.Thread(target=_listen, args=(folder, running[folder], said), daemon=True).start()
            folder, line = said.get()
            if line is not None:
                last[folder] = line
                tell(folder, line)
            elif running.pop(folder).wait():
                failed.append(folder)
                tell(folder, FAILED)
            else:
                tell(folder, DONE)
    if failed:
        reasons = "; ".join(f"{folder}: {last.get(folder, 'ended')}" for folder in failed)
        raise RunsError(f"{len(failed)} of {len(runs)} runs failed: {reasons}; mend it, then go on with --resume")


def _start(config: TrainingConfig, folder: Path, file: Path, arguments: list[str], jobs: int) -> subprocess.Popen[str]:
    write_config(file, config)
    command = [*COMMAND, "--config", str(file), "--output", str(folder), *arguments]
    threads = str(max(1, usable_cores() // jobs))
    shares = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), threads)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**shares, **os.environ},
    )


def _listen(folder: Path, process: subprocess.Popen[str], said: queue.Queue[tuple[Path, str | None]]) -> None:
    """Hand on each line of a process, and at its end None."""
    assert process.stderr is not None  # noqa: S101 - a pipe was asked for
    with process.stderr as lines:
        for line in lines:
            if line.strip():
                said.put((folder, line.strip()))
    said.put((folder, None))


@contextmanager
def _ended(running: Mapping[Path, subprocess.Popen[str]]) -> Iterator[None]:
    """Interrupt what still runs at the end of the block, and wait until it has ended."""
    try:
        yield
    finally:
        for process in running.values():
            process.send_signal(signal.SIGINT)
        for process in running.values():
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
