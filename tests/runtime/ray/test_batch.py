"""Batch jobs and datasets on Ray: each row once, whatever dies; all columns kept; what `generate` gives."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from measuring.marked_processes import MARK, marked_processes
from places import TINY

import s2s_runtime
from s2s_runtime.commands.batch import in_words
from s2s_runtime.errors import InputError, MissingExtraError, OptionError
from s2s_runtime.lexicon.lexicon import Lexicon
from s2s_runtime.ray import decode_dataset
from s2s_runtime.ray.batch import BatchReport, run_batch
from s2s_runtime.ray.input_tables import list_inputs, read_tables
from s2s_runtime.ray.options import BatchOptions
from s2s_runtime.ray.output_folder import summarized

HAS_RAY = True
try:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import ray
except ImportError:
    HAS_RAY = False

with_ray = pytest.mark.skipif(not HAS_RAY, reason="needs Ray, which only `make test-ray` installs")
OWN = uuid.uuid4().hex
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of what it imports


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on this machine, for two workers."""
    os.environ[MARK] = OWN
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    del os.environ[MARK]


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts that the small bundle reads, and every tenth one that it doesn't."""
    chance = random.Random(seed)
    drawn = ["".join(chance.choice("abcde") for _ in range(chance.randint(0, 12))) for _ in range(count)]
    return [text if i % 10 else f"{text}z" for i, text in enumerate(drawn)]


def batch(inputs: list[Path], output: Path, options: dict[str, Any] | None = None, **settings: Any) -> BatchReport:
    """Run a job on the cluster that is there."""
    given = BatchOptions(bundle=TINY, inputs=inputs, output=output, **{"workers": 2, "block_rows": 50, **settings})
    return run_batch(given, options or {})


def check_rows(rows: list[dict[str, Any]], sources: list[str], **options: Any) -> None:
    """Rows are as `generate` has them, in the order of the sources."""
    expected = s2s_runtime.load(TINY).generate(sources, on_error="return", return_scores=True, **options)
    for row, result in zip(rows, expected, strict=True):
        if result.error is None:
            assert (row["output"], row["error"]) == (result.text, None)
            assert row["score"] == pytest.approx(result.score, abs=1e-6)
        else:
            assert (row["output"], row["score"]) == (None, None)
            assert "unknown character 'z'" in row["error"]


@with_ray
def test_every_kind_of_file_keeps_its_columns(tmp_path: Path, cluster: None) -> None:
    """Parquet, CSV, JSON lines and texts, packed too, come out with all columns, in the order of their rows."""
    sources = texts(120)
    table = pa.table({"id": range(120), "t": sources, "more": [[i] for i in range(120)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=33)
    with gzip.open(tmp_path / "b.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([["id", "t"], *[[f"{i:03}", text] for i, text in enumerate(sources)]])
    lines = [json.dumps({"id": i, "t": text} | ({"rare": 1} if i > 100 else {})) for i, text in enumerate(sources)]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    report = batch([tmp_path / name for name in ("a.parquet", "b.csv.gz", "c.jsonl")], tmp_path / "out", column="t")
    assert (report.rows, report.skipped, report.errors, report.files) == (360, 0, 36, 9)
    parts = [pq.read_table(path).to_pylist() for path in sorted((tmp_path / "out").glob("*.parquet"))]
    for number in range(3):
        check_rows([row for part in parts[3 * number : 3 * number + 3] for row in part], sources)
    assert parts[0][7]["more"] == [7]
    assert parts[3][7]["id"] == "007"
    assert [row["rare"] for row in parts[8]] == [None] + [1] * 19
    (tmp_path / "d.txt").write_text("".join(f"{text}\n" for text in sources))
    batch([tmp_path / "d.txt"], tmp_path / "texts", {"beam_size": 3, "num_hypotheses": 2})
    rows = pq.read_table(tmp_path / "texts").to_pylist()
    assert [row["text"] for row in rows] == sources
    check_rows(rows, sources, beam_size=3, num_hypotheses=2)
    assert all(row["outputs"][0] == row["output"] for row in rows if row["error"] is None)


@with_ray
def test_workers_that_are_killed_lose_no_row(tmp_path: Path, cluster: None) -> None:
    """Whichever workers die, each row is there once, as `generate` gives it."""
    sources = texts(4000)
    (tmp_path / "a.txt").write_text("".join(f"{text}\n" for text in sources))
    ended = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not ended.wait(0.3) and len(killed) < 3:
            for pid in sorted(marked_processes(OWN, "ray::_Decoder.decode"))[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    report = batch([tmp_path / "a.txt"], tmp_path / "out", {"beam_size": 4}, block_rows=100)
    ended.set()
    killer.join()
    assert killed, "the job was over before a worker could be killed"
    assert (report.rows, report.files) == (4000, 40)
    check_rows(pq.read_table(tmp_path / "out").to_pylist(), sources, beam_size=4)


@with_ray
def test_a_command_that_is_killed_goes_on_where_it_is_typed_again(tmp_path: Path) -> None:
    """Killed as it begins, and with some files there, at any moment: each file is whole, and is written once.

    In the end a worker is killed too; the counts in JSON stand alone all the same.
    """
    sources, output = texts(3000), tmp_path / "out"
    (tmp_path / "a.txt").write_text("".join(f"{text}\n" for text in sources))
    command = [sys.executable, "-m", "s2s_runtime", "batch", str(TINY), str(tmp_path / "a.txt"), "-o", str(output)]
    command += ["--block-rows", "50", "--beam-size", "4", "--workers", "2", "--json"]
    chance, mark = random.Random(5), uuid.uuid4().hex
    environment = {**os.environ, MARK: mark}
    expected = s2s_runtime.load(TINY).generate(sources, on_error="return", beam_size=4)
    written: dict[str, int] = {}
    for least in (0, 1, 12):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        while len([*output.glob("part-*.parquet")]) < least and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.random() * (0.3 if least else 3))
        process.kill()
        process.communicate()
        time.sleep(1)  # whatever the workers were doing
        parts = sorted(output.glob("part-*.parquet"))
        for part in parts:
            rows = pq.read_table(part).to_pylist()
            first = next(i for i in range(0, 3000, 50) if [row["text"] for row in rows] == sources[i : i + 50])
            outputs = [None if result.error else result.text for result in expected[first : first + 50]]
            assert [row["output"] for row in rows] == outputs
        assert {name: when for name, when in times_of(parts).items() if name in written} == written
        written = times_of(parts)
    assert 12 <= len(written) < 60, "the kills came too late to be seen"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    while not (workers := sorted(marked_processes(mark, "ray::_Decoder.decode"))):
        assert process.poll() is None, "the command was over before a worker could be killed"
    os.kill(workers[0], signal.SIGKILL)
    told, errors = process.communicate()
    assert process.returncode == 0, errors
    report = json.loads(told)
    assert (report["rows"], report["skipped"]) == (3000 - 50 * len(written), 50 * len(written))
    parts = sorted(output.glob("part-*.parquet"))
    assert len(parts) == 60
    assert times_of(parts).items() >= written.items()
    check_rows(pq.read_table(parts).to_pylist(), sources, beam_size=4)
    assert not [path.name for path in output.rglob("*") if ".tmp" in path.name]


def times_of(paths: list[Path]) -> dict[str, int]:
    """When files were written, by their names."""
    return {path.name: path.stat().st_mtime_ns for path in paths}


@with_ray
def test_a_job_goes_on_where_it_was_ended(tmp_path: Path, cluster: None) -> None:
    """Only what is missing is done again; another job isn't mixed with it."""
    source, output = tmp_path / "a.txt", tmp_path / "out"
    source.write_text("".join(f"{text}\n" for text in texts(200)))
    batch([source], output)
    parts = sorted(output.glob("part-*.parquet"))
    before = {part: part.stat().st_mtime_ns for part in parts}
    parts[1].unlink()
    (output / f".tmp-0123abcd-{parts[2].name}").mkdir()  # of a process that was killed once its file was there
    report = batch([source], output)
    assert (report.rows, report.skipped, report.files) == (50, 150, 4)
    assert not list(output.glob(".tmp-*"))
    assert {part: part.stat().st_mtime_ns for part in parts if part != parts[1]} == {
        part: time_ for part, time_ in before.items() if part != parts[1]
    }
    check_rows(pq.read_table(parts).to_pylist(), texts(200))
    assert batch([source], output).rows == 0
    with pytest.raises(OptionError, match=r"another job wrote \(options: .*--force to begin anew"):
        batch([source], output, {"beam_size": 2})
    source.write_text("bad\n")
    with pytest.raises(OptionError, match="another job wrote"):
        batch([source], output)
    assert batch([source], output, {"beam_size": 2}, force=True).files == 1
    assert len([*output.glob("part-*.parquet")]) == 1


@with_ray
def test_a_dataset_is_decoded_by_its_column(cluster: None) -> None:
    """`decode_dataset` adds columns to a dataset of Ray Data, rows with errors kept."""
    sources = texts(300)
    dataset = ray.data.from_items([{"id": i, "t": text} for i, text in enumerate(sources)])
    decoded = decode_dataset(dataset, TINY, column="t", batch_size=64, concurrency=2, beam_size=3)
    rows = sorted(decoded.take_all(), key=lambda row: row["id"])
    check_rows(rows, sources, beam_size=3)
    with pytest.raises(OptionError, match="beam_siz: no such option"):
        decode_dataset(dataset, TINY, column="t", beam_siz=3)
    with pytest.raises(OptionError, match=r"expected a ray\.data\.Dataset, got \['bad'\]"):
        decode_dataset(["bad"], TINY, column="t")


@with_ray
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "t,u\nbad\n", "expected 2 columns, as line 1 has, got 1: 'bad'"),
        ("a.csv", "t,t\nbad,bad\n", "line 1: expected different names of columns, got t, t"),
        ("a.jsonl", '{"t": "bad"}\n[1]\n', "line 2: expected an object"),
        ("a.jsonl", '{"t": "bad"\n', "line 1: expected JSON"),
        ("a.jsonl", '{"t": "\\ud800"}\n', "line 1: expected JSON"),
        ("a.jsonl", '{"t": "bad"}\n{"t": 1}\n', "values of one column are of different kinds"),
        ("a.parquet", "bad", "expected a Parquet file"),
        ("a.xlsx", "bad", "expected a file that ends with one of .parquet"),
        ("a.csv", "u,v\nbad,bad\n", "column: expected one of u, v, got 't'"),
        ("a.csv", "t,output\nbad,bad\n", "the column 'output' is there already"),
    ],
)
def test_files_at_fault_are_named(tmp_path: Path, cluster: None, name: str, content: str, message: str) -> None:
    """A file that can't be read is one line that says which line of it, and what was expected."""
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message.replace("[", r"\[").replace("(", r"\(")) as raised:
        batch([tmp_path / name], tmp_path / "out", column="t")
    assert str(tmp_path / name) in str(raised.value)


@with_ray
def test_blocks_have_as_many_rows_however_a_file_is_cut(tmp_path: Path) -> None:
    """Which rows a block holds doesn't depend on the groups of rows of a Parquet file."""
    for groups in (7, 100):
        pq.write_table(pa.table({"t": texts(95)}), tmp_path / "a.parquet", row_group_size=groups)
        assert [table.num_rows for table in read_tables(tmp_path / "a.parquet", 30)] == [30, 30, 30, 5]


def test_folders_give_the_files_that_can_be_read(tmp_path: Path) -> None:
    """Of a folder the files of known endings are taken, by name; one without any is refused."""
    for name in ("b.txt", "a.jsonl.gz", "_SUCCESS", ".hidden.txt", "readme.md"):
        (tmp_path / name).touch()
    assert [path.name for path in list_inputs([tmp_path])] == ["a.jsonl.gz", "b.txt"]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="expected a folder of files that end with"):
        list_inputs([tmp_path / "none"])
    with pytest.raises(InputError, match="no such file or folder"):
        list_inputs([tmp_path / "nothing.txt"])


def test_a_job_knows_its_options_by_their_content() -> None:
    """Options that are large or no plain values are compared by what they hold, the same in every process."""
    one, same, other = (Lexicon({"bad": [f"X{i}" for i in range(count)]}) for count in (99, 99, 98))
    assert summarized(one) == summarized(same) != summarized(other)
    assert len(str(summarized(one))) < 100
    assert summarized((1.5, 2)) == [1.5, 2]


@pytest.mark.skipif(HAS_RAY, reason="says what is missing where Ray isn't installed")
def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """Without Ray the extra that brings it is named, and the package is imported all the same."""
    with pytest.raises(MissingExtraError, match=r"ray is not installed: pip install 's2s-runtime\[ray\]'"):
        decode_dataset([], TINY, column="t")
    code = "import s2s_runtime.ray, s2s_runtime.commands.batch, sys; print({'ray', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (BatchReport(1, 0, 0, 1, 0.5), "1 row decoded; 0.5 s, 2/s"),
        (BatchReport(3000, 0, 2, 2, 1.0), "3,000 rows decoded, 2 of them couldn't be read; 1.0 s, 3,000/s"),
        (BatchReport(0, 3, 0, 1, 0.0), "0 rows decoded, 3 were there"),
    ],
)
def test_a_report_in_words(report: BatchReport, words: str) -> None:
    """Rates are of what was decoded now."""
    assert in_words(report) == words
