"""One interface for every harness: cases are drawn at random, tried, counted, and kept as files where they fail.

A harness is a module of this folder with a `HARNESS`. `make fuzz MINUTES=N` runs all of them (`run_harnesses.py`), and
`test_harnesses.py` tries every file of `cases/` again.
"""

from __future__ import annotations

import faulthandler
import hashlib
import importlib
import json
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
CASES: Final = FOLDER / "cases"
MOST_FAILURES: Final = 20
"""Failures after which a harness ends: more say nothing new."""
_HANGS: Final = 30  # times the time of its processors that a case may take, after which it waits for what won't come

Case = dict[str, Any]
"""A JSON document with all that trying a case needs: not a seed, whose meaning changes with the harness."""


class BrokenPromiseError(AssertionError):
    """A case came out as it must not."""


@dataclass(frozen=True, kw_only=True)
class Harness:
    """A promise, and cases that try it.

    Attributes:
        name: name of the harness, as its counts are printed under.
        make: draws a case.
        check: tries a case and returns in a few words what came of it; raises where the promise is broken.
        prepare: called once before the first case, for what takes longer than a case may.
        share: the time it gets, beside the others.
        seconds: the longest that a case may take, of the time of processors: the machine may be busy.
        memory: bytes by which a case may raise the most memory that the process has held.
    """

    name: str
    make: Callable[[Random], Case]
    check: Callable[[Case], str]
    prepare: Callable[[], object] = lambda: None
    share: float = 1.0
    seconds: float = 10.0
    memory: int = 2 << 30

    def run(self, random: Random, deadline: float, cases: Path = CASES) -> Counter[str]:
        """Try cases until `time.monotonic()` is past the deadline.

        Args:
            random: what cases are drawn by.
            deadline: see above; at least one case is tried.
            cases: folder that cases which fail are written to.

        Returns:
            How often which outcome came; failures begin with "FAILED".
        """
        cases.mkdir(exist_ok=True)
        outcomes = Counter[str]()
        while True:
            outcomes[self.attempt(self.make(random), cases)] += 1
            failed = sum(count for outcome, count in outcomes.items() if outcome.startswith("FAILED"))
            if time.monotonic() >= deadline or failed >= MOST_FAILURES:
                return outcomes

    def attempt(self, case: Case, cases: Path) -> str:
        """Try a case; where it fails, write its file."""
        before = _most_memory()
        running = cases / f".running-{self.name}.json"
        running.write_text(self.document(case, "the process ended, or the case took too long"), encoding="utf-8")
        try:
            with _ended_where_endless(self.seconds):
                outcome = self._tried(case, before)
        except Exception as error:
            self.keep(case, "".join(traceback.format_exception(error)), cases)
            outcome = f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:120]}"
        running.unlink(missing_ok=True)
        return outcome

    def _tried(self, case: Case, held: int) -> str:
        """Return the outcome of a case that takes neither too long nor too much.

        Raises:
            BrokenPromiseError: it takes more.
        """
        began = time.process_time()
        outcome = self.check(case)
        used, more = time.process_time() - began, _most_memory() - held
        if used > self.seconds:
            raise BrokenPromiseError(f"took {used:.1f} s")
        if more > self.memory:
            raise BrokenPromiseError(f"took {more / 1e9:.1f} GB")
        return outcome

    def document(self, case: Case, why: str) -> str:
        """Return the file of a case."""
        return json.dumps({"harness": self.name, "why": why, "case": case}, indent=1) + "\n"

    def keep(self, case: Case, why: str, cases: Path) -> Path:
        """Write a case to a file that `test_harnesses.py` finds."""
        name = hashlib.sha256(json.dumps(case).encode()).hexdigest()[:10]
        path = cases / f"{self.name.replace(' ', '-')}-{name}.json"
        cases.mkdir(exist_ok=True)
        path.write_text(self.document(case, why), encoding="utf-8")
        return path


def harnesses() -> dict[str, Harness]:
    """Return every harness of this folder by its name, in the order of their modules."""
    sys.path.append(str(FOLDER.parent / "builders"))  # where no pytest does it
    found = {}
    for path in sorted(FOLDER.glob("[!_]*.py")):
        if not path.stem.startswith("test_") and path.stem not in ("harness", "run_harnesses"):
            harness = getattr(importlib.import_module(path.stem), "HARNESS", None)
            if isinstance(harness, Harness):
                found[harness.name] = harness
    return found


@contextmanager
def _ended_where_endless(seconds: float) -> Iterator[None]:
    """Let the system end this process, its threads' tracebacks shown, where the block computes or waits without end."""
    faulthandler.register(signal.SIGPROF, chain=True)  # the signal's own action follows: to end the process
    faulthandler.dump_traceback_later(seconds * _HANGS, exit=True)
    signal.setitimer(signal.ITIMER_PROF, seconds * 3)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        faulthandler.unregister(signal.SIGPROF)


def _most_memory() -> int:
    """Return the most bytes of memory that this process has held.

    Linux counts for a process what its parent held, too, where it began as a copy of that: the peak of the program
    itself stands elsewhere.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if peak is not None:
            return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
