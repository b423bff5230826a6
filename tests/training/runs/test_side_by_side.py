"""Several runs at a time, and options varied in every combination."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from s2s_training.config.toml_file import read_config
from s2s_training.data.datasets import default_config
from s2s_training.errors import ConfigError, RunsError
from s2s_training.runs import side_by_side
from s2s_training.runs.side_by_side import train_side_by_side
from s2s_training.runs.summaries import describe
from s2s_training.runs.variations import compare, parse_variations, variation_folder, varied

# In place of the command: it says which share of the cores it has, and then does what its number of units stands for.
RUN = """
import os, sys, time
from pathlib import Path
from s2s_training.config.toml_file import read_config
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
units, out = read_config(Path(given["--config"])).model.units, Path(given["--output"])
print("this is for nobody")
try:
    out.mkdir()
    print("begun", os.environ["OMP_NUM_THREADS"], file=sys.stderr, flush=True)
    time.sleep(600 if units == 9 else 0.2)
except KeyboardInterrupt:
    (out / "interrupted").touch()
    raise SystemExit(130)
print("error: no luck" if units == 3 else "ended well", file=sys.stderr)
raise SystemExit(int(units == 3))
"""


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Puts a small program in the place of the command, on a machine that may use seven cores."""
    (tmp_path / "run.py").write_text(RUN)
    monkeypatch.setattr(side_by_side, "COMMAND", (sys.executable, str(tmp_path / "run.py")))
    monkeypatch.setattr(side_by_side, "usable_cores", lambda: 7)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def runs(folder, **units):
    """A run for each name, with so many units."""
    return {folder / name: default_config("x.tsv").override(units=number) for name, number in units.items()}


def test_runs_go_side_by_side_and_one_that_fails_leaves_the_others_alone(command, tmp_path):
    """No more at a time than asked for; what each said last is in the error."""
    told, at_once = [], [0]

    def tell(folder, line):
        told.append((folder.name, line))
        at_once.append(at_once[-1] + line.startswith("begun") - (line in {"done", "failed"}))

    with pytest.raises(RunsError) as caught:
        train_side_by_side(runs(tmp_path, a=2, b=3, c=4, d=5), 2, [], tell)
    assert str(caught.value) == (
        f"1 of 4 runs failed: {tmp_path / 'b'}: error: no luck; mend it, then go on with --resume"
    )
    for name, *end in (("a", "ended well", "done"), ("b", "error: no luck", "failed"), ("d", "ended well", "done")):
        assert [line for folder, line in told if folder == name] == ["begun 3", *end]
    assert max(at_once) == 2


@pytest.fixture
def interruptible():
    """What runs in the background of a shell ignores interrupts, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupted_all_end_and_none_is_left(command, interruptible, tmp_path):
    """A signal to this process alone reaches them, and those that wait aren't begun."""
    begun = set()

    def tell(folder, line):
        begun.add(folder)
        if len(begun) == 2:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        train_side_by_side(runs(tmp_path, a=9, b=9, c=2), 2, [], tell)
    assert [(tmp_path / name / "interrupted").exists() for name in "abc"] == [True, True, False]


def test_combinations_are_typed_as_options_are(tmp_path):
    """Numbers, words, none and switches; dashes as on the command line; a folder for each."""
    grid = parse_variations("--learning-rate=0.001,1e-4 reverse=true cell=gru max-source-length=none")
    assert grid == [
        {"learning_rate": rate, "reverse": True, "cell": "gru", "max_source_length": None} for rate in (0.001, 0.0001)
    ]
    assert varied(default_config("x.tsv"), grid[1]).fit.learning_rate == 0.0001
    assert variation_folder(tmp_path, {"units": 8, "schedule": "cosine"}) == tmp_path / "units-8-schedule-cosine"


@pytest.mark.parametrize(
    "text", ["units", "units=", "units=1,", "units=1,1", "units=1 units=2", "seed=1", "data=a", ""]
)
def test_what_is_no_combination_is_refused(text):
    """Each is one line that shows the form."""
    with pytest.raises(ConfigError, match="vary: expected options as NAME=VALUE,VALUE"):
        parse_variations(text)


def test_options_that_do_not_exist_are_named_with_their_combination():
    """Before anything is trained."""
    with pytest.raises(ConfigError, match=r"vary: unit 5: unknown option unit; did you mean 'units'\?"):
        varied(default_config("x.tsv"), {"unit": 5})


def test_the_table_has_the_best_first(tmp_path):
    """A row for each combination, with means where there are several seeds."""

    def summary(loss, wrong):
        return {"best": {"val_loss": loss}, "errors": {"plain": {"sequence_error_rate": wrong}}}

    several = {"seeds": [1, 2], **summary({"mean": 0.5, "deviation": 0}, {"mean": 0.25, "deviation": 0})}
    text = describe(compare([({"units": 64}, summary(0.75, 1.0)), ({"units": 8}, summary(0.5, 0.5))]), tmp_path)
    assert text.splitlines() == [
        f"{tmp_path}: 2 runs, best first",
        "validation loss  wrong   units",
        "0.5000           50.0%   8",
        "0.7500           100.0%  64",
    ]
    seeds = describe(compare([({"units": 64}, several)]), tmp_path).splitlines()
    assert seeds[0] == f"{tmp_path}: 1 runs of 2 seeds each, means, best first"
    assert seeds[2] == "0.5000           25.0%  64"


@pytest.mark.tensorflow
def test_a_grid_is_trained_and_resumed(tmp_path):
    """Two runs at a time; another command does what is missing, and knows what was asked for."""
    (tmp_path / "p.tsv").write_text("".join(f"{'ab'[i % 2] * (1 + i % 7)}{i}\t{i}\n" for i in range(60)))
    command = [sys.executable, "-m", "s2s_training"]
    how = ["--epochs", "1", "--batch-size", "64", "--buckets", "1", "--score", "0"]
    arguments = ["p.tsv", *how, "--vary", "units=2,3", "--jobs", "2", "--output", "grid"]
    done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "units-2: done" in done.stderr
    assert "units-3: epoch   1/1" in done.stderr
    assert done.stdout.splitlines()[0] == "grid: 2 runs, best first"
    for units in (2, 3):
        assert read_config(tmp_path / "grid" / f"units-{units}" / "config.toml").model.units == units
    table = json.loads((tmp_path / "grid" / "summary.json").read_text())["runs"]
    assert sorted(run["options"]["units"] for run in table) == [2, 3]
    (tmp_path / "grid" / "summary.json").unlink()
    again = ["--resume", "--output", "grid", "--jobs", "2"]
    resumed = subprocess.run([*command, *again], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == done.stdout
