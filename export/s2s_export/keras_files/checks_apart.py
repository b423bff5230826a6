"""Has a process of its own read an HDF5 file before this one does; that process may hang or end, this one goes on.

The process is started for the first file, waits for the next ones, and ends with this one.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from s2s_export.errors import ModelFileError

AGAIN: Final = "expected a file as model.save() wrote it: copy or download it again, or save the model again"
"""What to do about a damaged file."""

_PATIENCE: Final = 600.0  # seconds; computing is bounded by the process itself, this is for where it can't be
_OUT_OF_TIME: Final = {getattr(signal, name, None) for name in ("SIGPROF", "SIGKILL")}


class _Checker:
    """The process, and whose it is: a forked child starts one of its own."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.lock, self.owner = threading.Lock(), os.getpid()
        self.process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, str | None]) -> dict[str, str] | int:
        """Return the answer to a job; the exit status where the process ended over it."""
        process = self._running()
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:  # an answer nobody waited for would be taken for the next one's
            process.kill()
            self.stop()
            raise
        finally:
            timer.cancel()
        if line.endswith("\n"):
            return dict(json.loads(line))
        self.stop()
        return process.returncode

    def _running(self) -> subprocess.Popen[str]:
        if self.process is not None and self.process.poll() is not None:
            self.stop()
        if self.process is None:
            program = (
                f"import sys; sys.path[:] = {sys.path!r}; from s2s_export.keras_files.hdf5_checks import serve; serve()"
            )
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is this process's to answer
            )
        return self.process

    def stop(self) -> None:
        """End the process, which ends where nobody asks any more."""
        process, self.process = self.process, None
        if process is None or self.owner != os.getpid():
            return
        with suppress(BrokenPipeError):  # it was gone, and something was still to be written
            process.stdin.close()
        process.stdout.close()
        process.wait()


_checker, _inherited = _Checker(), list[_Checker]()  # the latter are a parent's: not to be collected, nor ended
atexit.register(lambda: _checker.stop())  # noqa: PLW0108  (the one there is by then)


def check_hdf5_apart(path: Path, entry: str | None = None) -> None:
    """Read an HDF5 file, or one within an archive whose structure was checked, in another process.

    Args:
        path: the file, or the archive.
        entry: its name in the archive.

    Raises:
        ModelFileError: see `check_hdf5`; or it can't be read, or reading it doesn't end.
    """
    global _checker  # noqa: PLW0603  (one process for all files)
    if _checker.owner != os.getpid():
        _inherited.append(_checker)
        _checker = _Checker()
    name = str(path) if entry is None else f"{path}: {entry}"
    with _checker.lock:
        answer = _checker.ask({"path": str(path.resolve()), "entry": entry, "name": name})
    if isinstance(answer, int):
        why = "doesn't come to an end" if -answer in _OUT_OF_TIME else f"ends the library that does ({answer})"
        raise ModelFileError(f"{name}: it is damaged: reading it {why}; {AGAIN}")
    if "error" in answer:
        raise ModelFileError(answer["error"])
