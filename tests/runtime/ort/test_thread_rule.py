"""Which steps run on one thread: by the sizes in the manifest, and never where something is said about threads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s2s_runtime
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.bundle.specs import TensorSpec
from s2s_runtime.ort.onnx_model import OnnxStepModel
from s2s_runtime.ort.sessions import SessionSettings
from s2s_runtime.ort.thread_rule import rows_for_one_pass, rows_for_one_thread, step_weights
from s2s_runtime.ort.whole_graph import WholeGraph

TINY = Path(__file__).parents[2] / "fixtures" / "tiny.s2s"


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2s_runtime.ort.thread_rule.usable_cores", lambda: 4)


def of_widths(*shapes: tuple[int | None, ...], symbols: int = 93) -> s2s_runtime.Manifest:
    manifest = read_manifest(TINY)
    states = tuple(TensorSpec(f"state.{i}", "float32", shape) for i, shape in enumerate(shapes))
    target = replace(manifest.target, size=symbols)
    return replace(manifest, states=states, target=target, target_vocabulary=None)


@pytest.mark.parametrize(
    ("manifest", "rows"),
    [
        (of_widths((None, 128), (None, 128)), 32),
        (of_widths((None, 256), (None, 256)), 8),
        (of_widths((None, 512), (None, 512)), 0),
        (replace(of_widths((None, 512), (None, 512)), precision="int8"), 13),
        (replace(of_widths((None, 512), (None, 512)), precision="int8-weights"), 0),
        (replace(of_widths((None, 1024), (None, 1024)), precision="int8"), 0),
        (of_widths((None, 256), symbols=8000), 0),
        (of_widths((None, 8, 8, 4)), 0),
        (of_widths((None, None)), 0),
    ],
)
def test_the_rule_goes_by_sizes(manifest: s2s_runtime.Manifest, rows: int) -> None:
    """Small steps, few rows; what isn't a vector tells nothing."""
    assert rows_for_one_thread(manifest, SessionSettings(), {}) == rows


def test_what_a_step_multiplies_with() -> None:
    """An LSTM's four square matrices, in two states, and the output layer."""
    assert step_weights(of_widths((None, 256), (None, 256), symbols=93)) == 4 * 256 * 256 + 256 * 93


def test_whoever_says_something_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, a device, sessions of their own; and with one core there is nothing to choose."""
    manifest = of_widths((None, 128), (None, 128))
    for said in (
        {"intra_op_threads": 2},
        {"inter_op_threads": 2},
        {"shared_threads": True},
        {"providers": ["cuda"]},
    ):
        assert rows_for_one_thread(manifest, SessionSettings(**said), {}) == 0  # type: ignore[arg-type]
    assert rows_for_one_thread(manifest, SessionSettings(), {"encoder": object()}) == 0
    monkeypatch.setattr("s2s_runtime.ort.thread_rule.usable_cores", lambda: 1)
    assert rows_for_one_thread(manifest, SessionSettings(), {}) == 0


@pytest.mark.parametrize("options", [{}, {"beam_size": 2}, {"engine": "steps"}], ids=["greedy", "beam", "steps"])
def test_each_run_takes_the_sessions_for_its_rows(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    """Few rows never open the graphs for many, whose tokens are the same."""
    monkeypatch.setattr("s2s_runtime.opening.step_models.rows_for_one_thread", lambda *_: 6)
    model, plain = s2s_runtime.load(TINY, workers=1), s2s_runtime.load(TINY, workers=1, intra_op_threads=2)
    steps = model.step_model
    assert isinstance(steps, OnnxStepModel)
    few, many = ["abc", "de", "e"], ["abc", "de", "e", "abcde", "b", "ca", "dd"]
    assert model.generate(few, **options) == plain.generate(few, **options)
    assert steps.alone is not None
    assert steps.alone._open.keys() >= {"encoder"}  # type: ignore[attr-defined]
    assert not steps._sessions._open  # type: ignore[attr-defined]
    assert model.generate(many, **options) == plain.generate(many, **options)
    assert steps._sessions._open.keys() >= {"encoder"}  # type: ignore[attr-defined]


def test_workers_take_the_sessions_that_have_one_thread() -> None:
    """A second set of them would hold the weights once more."""
    model = s2s_runtime.load(TINY)
    steps = model.step_model
    assert isinstance(steps, OnnxStepModel)
    model.generate(["abc", "de"] * 100)
    assert model.workers is None or model.workers.model._sessions is steps.alone  # type: ignore[union-attr]


def test_a_graph_of_one_pass_says_how_long_its_positions_are() -> None:
    """Few rows of few weights go to the session of one thread, more to that of all cores, opened for them."""
    said = b"\x0a\x0cs2s.products\x12\x0569120"
    assert rows_for_one_pass(b"\x08\x08" + said + b"\x0a\x01", SessionSettings(), {}) == 5
    assert rows_for_one_pass(b"\x08\x08", SessionSettings(), {}) == 0
    assert rows_for_one_pass(said, SessionSettings(intra_op_threads=2), {}) == 0
    assert rows_for_one_pass(said, SessionSettings(), {"model": object()}) == 0
    manifest = read_manifest(TINY)
    source = [tensor.name for tensor in manifest.source.inputs]

    class Session:
        def __init__(self, name: str) -> None:
            self.name = name

        def get_outputs(self) -> list[Any]:
            return []  # of an older graph, which doesn't choose

        def run(self, _: list[str], fed: dict[str, Any]) -> list[str]:
            assert list(fed) == source
            return [self.name]

    graph = WholeGraph(manifest, {"model": Session("all")}, {"model": Session("one")}, 5)
    rows = [np.zeros((count, 3), np.int64) for count in (1, 5, 6)]
    assert [graph(*[each] * len(source)) for each in rows] == [["one"], ["one"], ["all"]]
