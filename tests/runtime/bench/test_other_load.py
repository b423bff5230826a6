"""s2s-bench says where the machine is busy with other things, and shows no percentile of too few runs."""

from __future__ import annotations

import os

import pytest
from places import FIXTURES
from typer.testing import CliRunner

from s2s_runtime.bench import other_load
from s2s_runtime.bench.other_load import Usage
from s2s_runtime.commands import bench

TINY = str(FIXTURES / "tiny.s2s")
ONE = ("--batch-size", "1", "--beam-size", "1", "--warm-up", "1")


@pytest.mark.parametrize(("others", "said"), [(0.0, False), (0.05, False), (1.5, True)])
def test_a_loaded_machine_is_warned_of(monkeypatch: pytest.MonkeyPatch, others: float, said: bool) -> None:
    """In one line on stderr, with how many cores others used; not where the system alone used some."""
    readings = iter([Usage(0.0, 0.0, 0.0), Usage(2.0, 2 * others + 1.0, 1.0)])
    monkeypatch.setattr(Usage, "read", lambda pid: next(readings))
    done = CliRunner().invoke(bench.app, [TINY, *ONE, "--repeats", "2"])
    assert done.exit_code == 0
    assert ("warning: other programs used 1.5 of" in done.stderr) == said
    assert bool(done.stderr) == said
    assert "warning" not in done.stdout


def test_own_work_is_no_load_of_others() -> None:
    """What the process itself used doesn't count, nor where the system doesn't tell."""
    assert other_load.foreign_cores(Usage(0.0, 0.0, 0.0), Usage(1.0, 2.0, 2.0)) == 0.0
    assert other_load.foreign_cores(Usage(0.0, None, 0.0), Usage(1.0, None, 2.0)) is None
    before = Usage.read(os.getpid())
    sum(range(3_000_000))
    assert Usage.read(os.getpid()).process >= before.process


@pytest.mark.parametrize(("repeats", "shown", "not_shown"), [("99", "max ms", "p99 ms"), ("100", "p99 ms", "max ms")])
def test_no_percentile_of_few_runs(repeats: str, shown: str, not_shown: str) -> None:
    """Below 100 runs the longest is shown in place of the 99th percentile."""
    done = CliRunner().invoke(bench.app, [TINY, *ONE, "--repeats", repeats])
    assert done.exit_code == 0
    assert shown in done.stdout
    assert not_shown not in done.stdout
