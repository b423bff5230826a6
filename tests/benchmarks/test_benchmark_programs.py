"""Parts of the benchmarks that nothing else runs: they must not rot until somebody measures again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


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
