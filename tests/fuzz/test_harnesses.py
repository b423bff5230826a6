"""Every harness holds for some cases, and one that fails leaves a file by which the case can be tried again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from agreeing_cases import drawn_value, model_named
from altered_manifests import HARNESS as ALTERED_MANIFESTS
from harness import CASES, Case, Harness, harnesses
from run_harnesses import run_apart

from s2s_runtime import DecodingOptions
from s2s_runtime.declared_options import declared
from s2s_runtime.declared_options.declared import DeclaredOption


@pytest.mark.parametrize("declaration", declared(DecodingOptions).values(), ids=lambda declaration: declaration.name)
def test_every_option_is_drawn_for_the_verbs_that_have_to_agree(declaration: DeclaredOption) -> None:
    """One that is declared anew and can't be drawn would end the harness, which a short run may not come to."""
    drawn_value(declaration, model_named("tiny"), Random(1), 2)


def _check_number(case: Case) -> str:
    if case["number"] > 7:
        raise ValueError(f"{case['number']} is above 7")
    return "small"


NUMBERS = Harness(name="some numbers", make=lambda random: {"number": random.randrange(10)}, check=_check_number)


def failures(outcomes: Counter[str]) -> dict[str, int]:
    return {outcome: count for outcome, count in outcomes.items() if outcome.startswith("FAILED")}


def test_a_case_that_fails_becomes_a_file(tmp_path: Path) -> None:
    """It is counted, and its file has the case itself and why it failed; the others are counted by their outcome."""
    outcomes = NUMBERS.run(Random(1), time.monotonic() + 2, tmp_path)
    assert outcomes["small"] > 10
    assert set(failures(outcomes)) == {"FAILED: ValueError: 8 is above 7", "FAILED: ValueError: 9 is above 7"}
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("some-numbers-*.json")]
    assert {entry["case"]["number"] for entry in kept} == {8, 9}
    assert all("is above 7" in entry["why"] for entry in kept)


def test_a_case_that_takes_too_much_fails(tmp_path: Path) -> None:
    """Memory that a case fills counts, also where it is free again afterwards; in a process that held less before."""
    program = (
        "import sys; from pathlib import Path; from harness import Harness\n"
        "greedy = Harness(name='greedy', make=dict, check=lambda _: str(len(b'x' * 300_000_000)), memory=200_000_000)\n"
        "print(greedy.attempt({}, Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, tmp_path]
    done = subprocess.run(command, cwd=CASES.parent, check=True, capture_output=True, text=True)
    assert "GB" in done.stdout


def test_a_case_without_end_ends_its_process_and_is_known(tmp_path: Path) -> None:
    """What is bounded is the time of processors, by the system, which asks no Python code; the case lies there."""
    program = (
        "import sys; from pathlib import Path; from harness import Harness\n"
        "def check(case):\n    while True: pass\n"
        "Harness(name='endless', make=dict, check=check, seconds=0.1).attempt({'a': 1}, Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=CASES.parent, check=False, capture_output=True)
    assert done.returncode == -signal.SIGPROF
    assert b"in check" in done.stderr
    assert json.loads((tmp_path / ".running-endless.json").read_text(encoding="utf-8"))["case"] == {"a": 1}


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_cases_that_failed_once_hold(path: Path) -> None:
    """What a harness found and somebody mended stays mended."""
    document = json.loads(path.read_text(encoding="utf-8"))
    harness = harnesses()[document["harness"]]
    harness.prepare()
    harness.check(document["case"])


def test_altered_manifests_are_never_silent(tmp_path: Path) -> None:
    """A manifest with its own digest is the one it was, or one error; anything else is one error at most."""
    outcomes = ALTERED_MANIFESTS.run(Random(), time.monotonic() + 2, tmp_path)
    assert failures(outcomes) == {}
    assert outcomes["manifest: one error"] > 10


def test_harnesses_run_in_processes_of_their_own(tmp_path: Path) -> None:
    """The counts of a process come back, and a case during which it ended is kept."""
    outcomes = run_apart(ALTERED_MANIFESTS, 1, 0, tmp_path)
    assert outcomes.total() >= 1
    assert failures(outcomes) == {}
