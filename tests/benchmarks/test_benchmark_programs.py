"""Parts of the benchmarks that nothing else runs: they must not rot until somebody measures again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, TINY


@pytest.mark.tensorflow
def test_models_of_the_passes_can_be_built() -> None:
    """Each has weights of its own and two inputs."""
    import passes

    for name, make in passes.MODELS.items():
        model = make()
        assert len(model.inputs) == 2, name
        assert model.count_params() > 100_000, name


def test_node_times_are_those_inside_the_loop(tmp_path: Path) -> None:
    """By kind, per call, without the first call; a loop's own time is that of what is inside."""
    import breakdown

    def event(op: str, duration: float, name: str = "node_kernel_time") -> dict[str, object]:
        return {"cat": "Node", "name": name, "dur": duration, "args": {"op_name": op}}

    call = [event("Gemm", 10.0), event("Tanh", 3.0), event("Gather", 2.0), event("Exotic", 1.0), event("Loop", 99.0)]
    warm_up = [{**each, "dur": 1000.0} for each in call]
    others = [{"cat": "Session", "name": "model_run", "dur": 7.0}, event("Gemm", 5.0, "node_fence_before")]
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps([*warm_up, *call, *others, *call]), encoding="utf-8")
    found = breakdown._node_times(profile, 2)
    expected = {"products": 10.0, "gates": 3.0, "look-ups": 2.0, "choice of the token": 0.0, "other nodes": 1.0}
    assert found == expected
    assert not profile.exists()


def test_costs_of_deployment_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh process tells each stage, whose sum is the time to its first answer; one that forks, its memory."""
    import deployment

    monkeypatch.setattr(deployment, "MANY", 1)
    found = deployment.cold(TINY)
    assert min(found["ms"]) > 0
    assert found["first"] == pytest.approx(sum(found["ms"][:4]))
    command = [sys.executable, str(ROOT / "benchmarks" / "deployment.py"), str(TINY), "--alone", "[1, true]"]
    assert 2**20 < int(subprocess.run(command, check=True, capture_output=True).stdout) < 2**30
