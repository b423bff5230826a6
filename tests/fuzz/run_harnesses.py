"""Run the harnesses of this folder for a while, each in a process of its own: `make fuzz MINUTES=N`.

A new seed is drawn and printed; `SEED=` repeats it. A case that fails becomes a file in `cases/`, also where it ended
the process or hung.
"""

from __future__ import annotations

import argparse
import gc
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from harness import CASES, MOST_FAILURES, Harness, harnesses


def run_apart(harness: Harness, seed: int, seconds: float, cases: Path) -> Counter[str]:
    """Run a harness in other processes for so long: after one that ended early comes the next."""
    end, outcomes, started = time.monotonic() + seconds, Counter[str](), 0
    while not started or (time.monotonic() < end and _failures(outcomes) < MOST_FAILURES):
        left = max(end - time.monotonic(), 0.0)
        with tempfile.TemporaryDirectory() as folder:
            arguments = ["--one", harness.name, "--cases", folder, "--counts", f"{folder}/counts"]
            done = subprocess.run(
                [sys.executable, __file__, *arguments, "--seed", f"{seed}-{started}", "--seconds", str(left)],
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            counts = Path(folder, "counts")
            outcomes += Counter(json.loads(counts.read_text(encoding="utf-8")) if counts.is_file() else {})
            for file in sorted(Path(folder).glob("*.json")):
                document = json.loads(file.read_text(encoding="utf-8"))
                why, name = document["why"], file.name
                if name.startswith("."):  # it was running when the process ended
                    why = f"{why}: exit {done.returncode}\n{done.stderr.decode(errors='replace')[-4000:]}"
                    outcomes[f"FAILED: the process ended with {done.returncode}"] += 1
                harness.keep(document["case"], why, cases)
            if done.returncode and not list(Path(folder).glob("*.json")):
                sys.stderr.buffer.write(done.stderr[-4000:])
                outcomes[f"FAILED: the harness itself ended with {done.returncode}"] += 1
                return outcomes
        started += 1
    return outcomes


def _failures(outcomes: Counter[str]) -> int:
    return sum(count for outcome, count in outcomes.items() if outcome.startswith("FAILED"))


def run_one(harness: Harness, seed: str, seconds: float, cases: Path, counts: Path) -> None:
    """Run a harness in this process, and write its counts every few seconds, as a case may end the process."""
    end, outcomes, random = time.monotonic() + seconds, Counter[str](), Random(seed)
    harness.prepare()
    gc.collect()
    gc.freeze()  # else each collection walks through all of TensorFlow: a third of the time of exporting small models
    while True:
        outcomes += harness.run(random, min(end, time.monotonic() + 3), cases)
        counts.write_text(json.dumps(outcomes), encoding="utf-8")
        if time.monotonic() >= end or _failures(outcomes) >= MOST_FAILURES:
            return


def report(name: str, outcomes: Counter[str]) -> None:
    """Print what came of a harness."""
    print(f"{name}: {outcomes.total():,} cases")
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:10,}  {outcome}")
    sys.stdout.flush()


def run_all(chosen: dict[str, Harness], seed: int, minutes: float, jobs: int, cases: Path = CASES) -> int:
    """Run harnesses beside each other, and print the counts of each; return how many cases failed."""
    known = len(list(cases.glob("*.json")))
    shares, failed, jobs = sum(harness.share for harness in chosen.values()), 0, min(jobs, len(chosen))
    with ThreadPoolExecutor(jobs) as pool:
        runs = {
            name: pool.submit(run_apart, harness, seed, minutes * 60 * jobs * harness.share / shares, cases)
            for name, harness in chosen.items()
        }
        for name, run in runs.items():
            report(name, run.result())
            failed += _failures(run.result())
    if failed:
        written = len(list(cases.glob("*.json"))) - known
        print(f"{failed} failed, {written} new in {cases}; `pytest tests/fuzz/test_harnesses.py` tries them again")
    return failed


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of all of them together")
    parser.add_argument("--seed", default="", help="of an earlier run; default: a new one")
    parser.add_argument("--only", default="", help="names of harnesses, by commas")
    parser.add_argument("--jobs", type=int, default=2, help="harnesses beside each other")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--cases", type=Path, default=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--counts", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    known = harnesses()
    if given.one:
        run_one(known[given.one], given.seed, given.seconds, given.cases, given.counts)
        return
    names = [name.strip() for name in given.only.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no harness {', '.join(unknown)}; there are: {', '.join(known)}")
    seed = int(given.seed) if given.seed else secrets.randbelow(10**9)
    print(f"seed {seed} (SEED={seed} repeats it)", flush=True)
    chosen = {name: harness for name, harness in known.items() if not names or name in names}
    raise SystemExit(1 if run_all(chosen, seed, given.minutes, given.jobs) else 0)


if __name__ == "__main__":
    main()
