"""s2s-bench --cold-start and --memory: fresh processes beside onnxruntime alone."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from bench_command import bench
from places import FIXTURES

from s2s_runtime import load, read_manifest
from s2s_runtime.bench.processes import measured as fresh
from s2s_runtime.bench.processes import start as processes
from s2s_runtime.bench.processes.memory import check_memory
from s2s_runtime.bench.processes.recording import bare_request
from s2s_runtime.bench.settings import Loading
from s2s_runtime.bench.sources import random_sources
from s2s_runtime.errors import BenchmarkError

TINY = str(FIXTURES / "tiny.s2s")
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc")


def report(*arguments: str) -> dict[str, object]:
    """What --json holds."""
    found = bench(*arguments, "--json")
    assert found.exit_code == 0, found.stderr
    data: dict[str, object] = json.loads(found.stdout)
    return data


def test_cold_starts_are_timed_by_step(tmp_path: Path) -> None:
    """As many pairs of processes as asked for; totals are the sum of the steps; two results can be compared."""
    found = report(TINY, "--cold-start", "--repeats", "2", "--threads", "1")
    assert (found["kind"], found["graphs"]) == ("cold-start", ["encoder", "greedy"])
    for who in ("runtime", "bare"):
        starts = found[who]
        assert isinstance(starts, list)
        assert len(starts) == 2
        assert all(value > 0 for start in starts for value in start.values())
    (tmp_path / "kept.json").write_text(json.dumps(found))
    shown = bench("--compare", str(tmp_path / "kept.json"), str(tmp_path / "kept.json"))
    assert "s2s_runtime, first result" in shown.stdout
    table = bench(TINY, "--cold-start", "--repeats", "1")
    assert "onnxruntime alone opens and runs encoder and greedy" in table.stdout


def test_the_steps_of_a_cold_start_are_the_same_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step imports onnxruntime, with the runtime or alone."""
    loading = Loading(Path(TINY))
    model, _ = loading.open()
    asked = {**processes.loading_request(loading), **processes.source_request(["abc"])}
    imported: list[str] = []
    clock: list[int] = []

    def watched(name: str) -> object:
        imported.extend([name] if len(clock) == 1 else [])
        return importlib.import_module(name)

    monkeypatch.setattr(fresh, "importlib", SimpleNamespace(import_module=watched))
    monkeypatch.setattr(fresh, "time", SimpleNamespace(perf_counter=lambda: clock.append(0) or len(clock)))
    for start, request in ((fresh.start_runtime, asked), (fresh.start_bare, bare_request(loading, model, "abc"))):
        imported.clear()
        clock.clear()
        assert start(request).keys() == {"import", "load", "first_result"}
        assert "onnxruntime" in imported


BUNDLES = ("tiny", "tiny-onehot", "tiny-none", "tiny-values", "tiny-probabilities", "tiny-sources")


@pytest.mark.parametrize("name", BUNDLES)
def test_onnxruntime_alone_does_the_same_work(name: str) -> None:
    """It runs the graphs that the runtime runs, as often, on the same numbers: of greedy search, to the same tokens."""
    loading = Loading(FIXTURES / f"{name}.s2s")
    model, _ = loading.open()
    [source] = random_sources(model.manifest, 1, 5)
    asked = bare_request(loading, model, source)
    sessions = [onnxruntime.InferenceSession(each["file"]) for each in asked["graphs"]]
    arrays = {key: np.array(each["values"], each["dtype"]) for key, each in asked["arrays"].items()}
    outputs = fresh.run_graphs(sessions, asked["graphs"], arrays)
    names = [each["name"] for each in asked["graphs"]]
    assert names[0] == "encoder"
    if "greedy" in names:
        ids = load(loading.bundle).generate([source])[0].ids
        assert [int(token) for token in outputs[0][: len(ids), 0]] == ids
    else:
        assert asked["graphs"][-1]["runs"] > 1
    assert fresh.start_bare(asked).keys() == {"import", "load", "first_result"}


@linux
@pytest.mark.parametrize("name", BUNDLES)
def test_sources_of_every_kind_reach_a_fresh_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, values and mappings arrive as they were: what is decoded there is what is decoded here."""
    loading = Loading(FIXTURES / f"{name}.s2s")
    model, _ = loading.open()
    sources = random_sources(model.manifest, 12, 5)
    asked = {**processes.loading_request(loading), **processes.source_request(sources)}
    given: list[object] = []
    monkeypatch.setattr(fresh, "_decode", lambda _, arrived, options: given.extend(arrived))
    assert set(fresh.weigh_runtime({**asked, "repeats": 1, "options": {}})) == {
        "loaded",
        "first_result",
        "decoded",
        "peak",
    }
    for arrived, source in zip(given[1:], sources, strict=True):
        assert repr(arrived) == repr(source)


@linux
def test_memory_is_weighed_in_processes(tmp_path: Path) -> None:
    """Bytes beyond onnxruntime alone, of each batch and beam size, and as multiples of the weights."""
    found = report(TINY, "--memory", "--repeats", "1", "--batch-size", "1,4", "--beam-size", "2")
    manifest = read_manifest(TINY)
    assert found["weights_bytes"] == sum(graph.bytes for graph in manifest.graphs.values())
    assert (found["kind"], found["weights_from"]) == ("memory", "files")
    measured = found["measurements"]
    assert isinstance(measured, list)
    assert [(each["batch_size"], each["beam_size"]) for each in measured] == [(1, 2), (4, 2)]
    [bare] = found["bare"]  # type: ignore[misc]
    for each in measured:
        assert each["peak"][0] >= each["loaded"][0] > bare > 0
        assert each["beyond_bare"]["loaded"] == each["loaded"][0] - bare
        assert each["times_weights"]["peak"] == pytest.approx((each["peak"][0] - bare) / found["weights_bytes"])
    (tmp_path / "kept.json").write_text(json.dumps(found))
    shown = bench("--compare", str(tmp_path / "kept.json"), str(tmp_path / "kept.json"))
    assert "batch 4, beam 2, after decoding" in shown.stdout
    table = bench(str(FIXTURES / "tiny-values.s2s"), "--memory", "--repeats", "1", "--batch-size", "2")
    assert table.exit_code == 0, table.stderr
    assert "times the weights in float32" in table.stdout


def test_the_weights_are_the_parameters_counted_at_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four bytes for each; a bundle that doesn't tell is weighed by its files."""
    from dataclasses import replace

    from s2s_runtime.bench.processes.memory import float32_weights

    manifest = read_manifest(TINY)
    counted = replace(manifest, verification={"parameters": {"encoder": 10, "decoder": 5}})
    assert float32_weights(counted) == (60, "parameters")
    assert float32_weights(manifest)[1] == "files"


def test_memory_needs_a_system_that_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Elsewhere than on Linux: one line that says so, before anything is loaded."""
    monkeypatch.setattr(fresh, "_STATUS", tmp_path / "status")
    found = bench("no-such-bundle", "--memory")
    assert (found.exit_code, found.stderr) == (
        1,
        "error: --memory: expected VmRSS and VmHWM in /proc/self/status, as on Linux; this system doesn't have them\n",
    )
    (tmp_path / "status").write_text("Name: x\nVmRSS:\t12 kB\n")
    assert fresh.resident() == 12288
    with pytest.raises(BenchmarkError):
        check_memory()


def test_a_process_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the last line that it wrote; what is wrong with the bundle itself is said before one starts."""
    (tmp_path / "bad.py").write_text("import sys; sys.exit('no luck')")
    monkeypatch.setattr(processes, "_PROGRAM", tmp_path / "bad.py")
    found = bench(TINY, "--cold-start")
    assert (found.exit_code, found.stderr) == (1, "error: a process started to be measured ended with 1: no luck\n")
    missing = bench("nowhere", "--cold-start")
    assert missing.stderr == "error: nowhere: no such folder; expected a bundle written by s2s-export\n"


def test_a_zip_file_has_no_graphs_to_open_alone(tmp_path: Path) -> None:
    """Cold start and memory need a folder."""
    zipped = shutil.make_archive(str(tmp_path / "model"), "zip", TINY)
    found = bench(zipped, "--cold-start")
    assert (found.exit_code, found.stderr) == (
        1,
        f"error: {zipped}: expected a bundle's folder, whose graphs onnxruntime alone can open; unzip it\n",
    )
