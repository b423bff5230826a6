"""s2s-bench --against and --compare: ratios and their intervals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bench_command import bench
from places import FIXTURES

from s2s_runtime.bench.comparison import LEAST_ROUNDS, Series, Visits, paired_ratio, unpaired_ratio
from s2s_runtime.bench.processes.memory import STAGES, memory_series
from s2s_runtime.bench.request import REPEATS

TINY = str(FIXTURES / "tiny.s2s")
ONE = ("--batch-size", "2", "--beam-size", "1", "--warm-up", "1")


def keep(path: Path, *arguments: str) -> Path:
    """Keep what --json writes."""
    found = bench(*arguments, "--json")
    assert found.exit_code == 0, found.stderr
    path.write_text(found.stdout)
    return path


def noisy(random: np.random.Generator, level: np.ndarray, factor: float = 1.0) -> Visits:
    """Three times in each round: a level that the round has, times skewed noise of each."""
    return [list(factor * each * random.lognormal(0, 0.2, size=3)) for each in level]


def test_a_paired_interval_is_between_ratios_of_rounds() -> None:
    """Of ten rounds the second and ninth ratio; of six the outermost; of five none, as theirs would be 94% sure."""
    to = [[1.0, 1.0, 9.0]] * 10
    of = [[float(value)] for value in (3, 1, 2, 10, 9, 8, 7, 4, 5, 6)]
    assert vars_of(paired_ratio(of, to)) == (5.5, 2.0, 9.0)
    assert vars_of(paired_ratio(of[:6], to[:6])) == (5.5, 1.0, 10.0)
    assert vars_of(paired_ratio(of[:5], to[:5])) == (3.0, None, None)
    with pytest.raises(ValueError, match="zip"):
        paired_ratio(of, to[:9])


def test_an_unpaired_interval_draws_rounds_of_any_length() -> None:
    """Rounds of two and one times are drawn whole; without noise the interval is the ratio; five rounds have none."""
    of, to = [[2.0, 2.0], [2.0]] * 3, [[1.0]] * 6
    assert vars_of(unpaired_ratio(of, to)) == (2.0, 2.0, 2.0)
    assert vars_of(unpaired_ratio(of, to[:5])) == (2.0, None, None)
    loud = unpaired_ratio([[2.0, 4.0], [8.0]] * 3, to)
    assert vars_of(loud) == (4.0, 4.0, 8.0)  # all six draws of the first kind, 3.0, are one in 64


def vars_of(ratio: object) -> tuple[object, ...]:
    """Value, low, high."""
    return tuple(getattr(ratio, name) for name in ("value", "low", "high"))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 400 made-up comparisons whose ratio is 1.1: paired ones whose rounds share a level, unpaired ones without."""
    random, held = np.random.default_rng(0), {"paired": 0, "unpaired": 0}
    for _ in range(400):
        level = random.lognormal(0, 1, size=10)
        ratio = paired_ratio(noisy(random, level, 1.1), noisy(random, level))
        held["paired"] += ratio.low <= 1.1 <= ratio.high  # type: ignore[operator]
    for seed in range(200):
        level = np.ones(10)
        ratio = unpaired_ratio(noisy(random, level, 1.1), noisy(random, level), seed)
        held["unpaired"] += ratio.low <= 1.1 <= ratio.high  # type: ignore[operator]
    assert held["paired"] >= 0.95 * 400
    assert held["unpaired"] >= 0.85 * 200


def test_memory_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 200 made-up comparisons of equal memory, onnxruntime alone as noisy as what is beyond it."""
    random, held = np.random.default_rng(0), 0

    def weighed() -> Series:
        bare, loaded = (list(random.normal(level, 0.3e6, size=6)) for level in (100e6, 110e6))
        measured = {"batch_size": 1, "beam_size": 1, **dict.fromkeys(STAGES, loaded)}
        return memory_series({"bare": bare, "measurements": [measured]})["batch 1, beam 1, loaded"]

    for seed in range(200):
        ratio = unpaired_ratio(weighed().visits, weighed().visits, seed)
        held += ratio.low <= 1 <= ratio.high  # type: ignore[operator]
    assert held >= 0.93 * 200


def test_two_bundles_are_compared_in_turn() -> None:
    """--against: settings of both, on the same sources, and a ratio for each."""
    found = bench(TINY, "--against", TINY, *ONE, "--repeats", "12", "--threads", "1,2", "--json")
    report = json.loads(found.stdout)
    assert [(each["role"], each["threads"]) for each in report["measurements"]] == [
        ("bundle", 1),
        ("bundle", 2),
        ("against", 1),
        ("against", 2),
    ]
    assert len({each["tokens_per_sentence"] for each in report["measurements"]}) == 1
    assert [each["what"] for each in report["comparisons"]] == [
        "batch 2, beam 1, threads: 1",
        "batch 2, beam 1, threads: 2",
    ]
    for each, one, other in zip(
        report["comparisons"], report["measurements"][:2], report["measurements"][2:], strict=True
    ):
        of, to = ([np.median(visit) for visit in measured["visits"]] for measured in (one, other))
        assert each["ratio"]["value"] == pytest.approx(np.median(np.divide(of, to)))
        assert each["ratio"]["low"] <= each["ratio"]["value"] <= each["ratio"]["high"]
    table = bench(TINY, "--against", TINY, *ONE, "--repeats", "2")
    assert "bundle / against (95% confidence)" in table.stdout
    assert "(no interval)" in table.stdout
    assert "too few rounds for an interval: measure with --repeats 6 or more, and no fewer --rounds" in table.stdout


def test_enough_is_measured_for_an_interval_by_default(tmp_path: Path) -> None:
    """Where --repeats and --rounds aren't given, there are as many rounds, or processes, as an interval takes."""
    (tmp_path / "lines.txt").write_text("abc\nde\n")
    whole = ("--whole", "--text", str(tmp_path / "lines.txt"))
    report = json.loads(bench(TINY, "--against", TINY, *ONE, *whole, "--json").stdout)
    assert all(each["ratio"]["low"] is not None for each in report["comparisons"])
    assert all(count >= LEAST_ROUNDS for count in REPEATS.values())


def test_two_files_are_compared(tmp_path: Path) -> None:
    """What both hold is compared by setting; what differs and what only one holds is said; --json has the same."""
    before = keep(tmp_path / "before.json", TINY, *ONE, "--repeats", "8", "--threads", "1")
    after = keep(tmp_path / "after.json", TINY, "--batch-size", "2,3", "--beam-size", "1", "--repeats", "8")
    data = json.loads(before.read_text())
    for measured in data["measurements"]:
        measured["visits"] = [[value * 2 for value in visit] for visit in measured["visits"]]
    (tmp_path / "twice.json").write_text(json.dumps(data))
    found = bench("--compare", str(before), str(tmp_path / "twice.json"), "--json")
    assert found.exit_code == 0, found.stderr
    report = json.loads(found.stdout)
    assert (report["kind"], report["different"], report["only_one"]) == ("comparison", {}, [])
    assert [(each["what"], each["ratio"]["value"]) for each in report["comparisons"]] == [
        ("batch 2, beam 1", pytest.approx(2.0))
    ]
    shown = bench("--compare", str(before), str(after))
    assert shown.exit_code == 0, shown.stderr
    for line in (
        "differs   threads: 1 before, None after",
        "left out  batch 3, beam 1: in one of the files only",
    ):
        assert line in shown.stdout


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("latency", {"visits": []}),
        ("latency", {"visits": [[]]}),
        ("latency", {"visits": [["x"]]}),
        ("latency", {"visits": [[0.0]]}),
        ("latency", {"visits": [[float("nan")]]}),
        ("latency", {"visits": 3}),
        ("latency", {"engine": ["auto"]}),
        ("memory", {"bare": []}),
        ("memory", {"bare": ["x"]}),
        ("memory", {"bare": [900]}),
        ("memory", {"measurements": [1]}),
        ("cold-start", {"runtime": []}),
        ("cold-start", {"runtime": [{}]}),
        ("cold-start", {"bare": None}),
    ],
)
def test_results_that_are_none_are_refused(tmp_path: Path, kind: str, changed: dict[str, object]) -> None:
    """Values that couldn't have been measured are one line that names the file, be it the first or the second."""
    start = {"import_seconds": 1.0, "load_seconds": 1.0, "first_result_seconds": 1.0}
    weight = {"batch_size": 1, "beam_size": 1, **{stage: [900] for stage in STAGES}}
    kinds: dict[str, dict[str, object]] = {
        "latency": json.loads(keep(tmp_path / "latency", TINY, *ONE, "--repeats", "1").read_text()),
        "memory": {"bare": [500], "measurements": [weight]},
        "cold-start": {"runtime": [start], "bare": [start]},
    }
    good = {"format": "s2s-bench", "version": 1, "kind": kind, **kinds[kind]}
    if kind == "latency":
        changed = {"measurements": [{**good["measurements"][0], **changed}]}  # type: ignore[index]
    (tmp_path / "good").write_text(json.dumps(good))
    (tmp_path / "bad").write_text(json.dumps({**good, **changed}))
    assert bench("--compare", str(tmp_path / "good"), str(tmp_path / "good")).exit_code == 0
    for order in (("good", "bad"), ("bad", "good")):
        found = bench("--compare", *(str(tmp_path / name) for name in order))
        assert (found.exit_code, found.stderr.count("\n")) == (1, 1)
        assert found.stderr.startswith(f"error: {tmp_path / 'bad'} is not what s2s-bench --json writes: ")


def test_files_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    """No such file, no JSON, another JSON, another version or kind, torn, two bundles, nothing in common: one line."""
    good = keep(tmp_path / "good.json", TINY, *ONE, "--repeats", "2")
    other = keep(tmp_path / "other.json", TINY, "--batch-size", "3", "--beam-size", "1", "--repeats", "2")
    both = keep(tmp_path / "both.json", TINY, "--against", TINY, *ONE, "--repeats", "2")
    data = json.loads(good.read_text())
    made = {
        "text": "x",
        "list": "[]",
        "foreign": json.dumps({"format": "x"}),
        "newer": json.dumps({**data, "version": 2}),
        "kind": json.dumps({**data, "kind": "memory"}),
        "torn": json.dumps({**data, "measurements": [{"bundle": "x"}]}),
    }
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    for path, message in (
        (tmp_path / "nowhere", "No such file or directory"),
        (tmp_path / "text", "not a JSON file in UTF-8"),
        (tmp_path / "list", "expected what s2s-bench --json writes, of kind latency, cold-start, memory"),
        (tmp_path / "foreign", "expected what s2s-bench --json writes, of kind latency, cold-start, memory"),
        (tmp_path / "newer", "version 2 of the format; this s2s-bench reads 1"),
        (tmp_path / "kind", "expected results of one kind, got latency and memory"),
        (tmp_path / "torn", "is not what s2s-bench --json writes"),
        (both, "expected measurements of one bundle; it was written with --against"),
        (other, "have no setting in common"),
    ):
        found = bench("--compare", str(good), str(path))
        assert (found.exit_code, found.stderr.count("\n")) == (1, 1)
        assert message in found.stderr
