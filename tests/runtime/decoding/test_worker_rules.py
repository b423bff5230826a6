"""How many workers a model has: what is asked for, and what the rules say where nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s2s_runtime import OptionError
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.decoding.workers import MOST_WEIGHTS, Workers, make_workers, weight_bytes
from s2s_runtime.ort.sessions import SessionSettings
from s2s_runtime.ort.thread_rule import usable_cores


@pytest.mark.parametrize(("quota", "expected"), [("max 100000", 6), ("250000 100000", 3), ("50000 100000", 1)])
def test_a_containers_share_of_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    """A container that may use two and a half cores of a large machine gets three workers."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(6), raising=False)
    (tmp_path / "cpu.max").write_text(quota + "\n", encoding="ascii")
    assert usable_cores(tmp_path / "cpu.max") == expected
    assert usable_cores(tmp_path / "none") == 6


def workers(fixtures: Path, count: int | None = None, **settings: Any) -> Workers | None:
    ready = settings.pop("ready", {})
    seen: list[int] = []

    def opener(chosen: int) -> Any:
        seen.append(chosen)
        return lambda: None

    manifest = read_manifest(fixtures / "tiny.s2s")
    made = make_workers(count, SessionSettings(**settings), manifest, ready, opener)
    if made is not None:
        made.threads = seen[0]  # type: ignore[attr-defined]
    return made


def test_unasked_there_are_as_many_as_cores(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For small models on the CPU, where nothing was said about threads; each with one thread."""
    monkeypatch.setattr("s2s_runtime.decoding.workers.usable_cores", lambda: 6)
    made: Any = workers(fixtures)
    assert (made.count, made.threads) == (6, 1)
    monkeypatch.setattr("s2s_runtime.decoding.workers.usable_cores", lambda: 64)
    made = workers(fixtures)
    assert (made.count, made.threads) == (8, 1)
    monkeypatch.setattr("s2s_runtime.decoding.workers.usable_cores", lambda: 6)
    assert workers(fixtures, intra_op_threads=2) is None
    assert workers(fixtures, inter_op_threads=2) is None
    assert workers(fixtures, shared_threads=True) is None
    assert workers(fixtures, providers=["cuda", "cpu"]) is None
    assert workers(fixtures, ready={"encoder": object()}) is None
    monkeypatch.setattr("s2s_runtime.decoding.workers.weight_bytes", lambda manifest: MOST_WEIGHTS + 1)
    assert workers(fixtures) is None
    made = workers(fixtures, 2)
    assert (made.count, made.threads) == (2, 3)
    made = workers(fixtures, 2, intra_op_threads=2)
    assert (made.count, made.threads) == (2, 2)
    assert workers(fixtures, 1) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "workers: expected an integer of at least 1 or None, got 0"),
        ({"count": True}, "workers: expected an integer of at least 1 or None, got True"),
        ({"count": 2, "providers": ["cuda"]}, "workers: expected 1 or None with a provider other than the CPU, got 2"),
        ({"count": 2, "shared_threads": True}, "workers: expected 1 or None with shared_threads, got 2"),
        ({"count": 2, "ready": {"encoder": object()}}, "workers: expected 1 or None with sessions, got 2"),
    ],
)
def test_what_workers_cant_do_is_refused(fixtures: Path, options: dict[str, Any], message: str) -> None:
    """When the bundle is loaded, not with the first list."""
    with pytest.raises(OptionError, match=message):
        workers(fixtures, **options)


def test_weights_count_once(fixtures: Path) -> None:
    """Of a bundle with shared weights the file of these, of others all graphs; and there is at least one core."""
    manifest = read_manifest(fixtures / "tiny.s2s")
    expected = sum((fixtures / "tiny.s2s" / file.file).stat().st_size for file in manifest.graphs.values())
    if manifest.weights is not None:
        expected = (fixtures / "tiny.s2s" / manifest.weights.file).stat().st_size
    assert weight_bytes(manifest) == expected
    assert usable_cores() >= 1
