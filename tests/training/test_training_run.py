"""Whole runs: what they write, that they can be repeated, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.config.toml_file import read_config, write_config
from s2s_training.data.datasets import default_config
from s2s_training.errors import RunFolderError

pytestmark = pytest.mark.tensorflow

OPTIONS = {"units": 6, "embedding": 5, "dropout": 0.2, "epochs": 3, "batch_size": 16, "score": 20, "schedule": "cosine"}


@pytest.fixture(scope="module")
def pairs_file(tmp_path_factory):
    """Sixty words to be spelt backwards, some with two right answers."""
    letters = np.random.default_rng(0).integers(0, 5, (90, 4))
    words = ["".join("abcde"[i] for i in row[: 2 + row[0] % 3]) for row in letters]
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in words) + "ab\tAB\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def config(pairs_file):
    """A run of a few seconds."""
    return default_config(str(pairs_file)).override(**OPTIONS, valid_fraction=0.2, test_fraction=0.2)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """The folder of a run that was not interrupted, and its summary."""
    from s2s_training.train import train

    folder = tmp_path_factory.mktemp("runs") / "finished"
    return folder, train(config, folder)


def keras_callback():
    """Keras's callback class, loaded when a test needs it."""
    import keras

    return keras.callbacks.Callback


def figures(folder):
    """The history without what depends on the clock."""
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    del history["seconds"]
    return history


def test_a_run_leaves_what_it_promises_and_nothing_else(finished, config):
    """The configuration is whole, the vocabulary readable, the figures per epoch, the curves a PNG."""
    folder, summary = finished
    names = {"config.toml", "vocab.json", "test.tsv", "history.json", "loss.png", "summary.json", "model.keras"}
    assert {path.name for path in folder.iterdir()} == names
    assert read_config(folder / "config.toml") == config
    assert VocabularyFile.read(folder / "vocab.json").target.start == "<s>"
    assert figures(folder)["epoch"] == [1, 2, 3]
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert 0 <= summary["errors"]["plain"]["sequence_error_rate"] <= 1


def test_held_out_pairs_are_written_and_disjoint_from_the_rest(finished, pairs_file):
    """test.tsv holds each test source once, with its targets; the other parts know none of them."""
    from s2s_training.data.datasets import load_corpus

    folder, _ = finished
    rows = [line.split("\t") for line in (folder / "test.tsv").read_text(encoding="utf-8").splitlines()]
    corpus = load_corpus(default_config(str(pairs_file)).override(valid_fraction=0.2, test_fraction=0.2).data, seed=1)
    assert [(source, tuple(targets)) for source, *targets in rows] == corpus.held_out()
    assert {source for source, *_ in rows}.isdisjoint({e.source for e in [*corpus.train, *corpus.valid]})


def test_the_saved_model_is_the_best_epoch_in_standard_layers(finished, config):
    """It loads without this package's code, and its validation loss is the best one of the history."""
    import keras

    from s2s_training.train import prepare

    folder, summary = finished
    model = keras.models.load_model(folder / "model.keras", custom_objects={})
    prepared = prepare(config)
    prepared.model.set_weights(model.get_weights())
    from s2s_training.data.tf_datasets import make_dataset

    valid = make_dataset(prepared.bucketed(prepared.corpus.valid, config.fit), prepared.layout)
    again = prepared.model.evaluate(valid, return_dict=True, verbose=0)
    assert again["cross_entropy"] == pytest.approx(min(figures(folder)["val_cross_entropy"]), rel=1e-5)
    assert summary["best"]["val_cross_entropy"] == pytest.approx(again["cross_entropy"], rel=1e-5)


def test_same_seed_same_losses(finished, config, tmp_path):
    """Another run of the same configuration has the same history to the last bit; another seed hasn't."""
    from s2s_training.train import train

    train(config, tmp_path / "again")
    assert figures(tmp_path / "again") == figures(finished[0])
    train(config.override(seed=2, epochs=1, score=0), tmp_path / "other")
    assert figures(tmp_path / "other")["loss"][0] != figures(finished[0])["loss"][0]


def test_a_killed_run_continues_as_if_it_had_not_been(finished, config, tmp_path):
    """Killed after an epoch, resumed: the history is that of the run without interruption."""
    from s2s_training.train import train

    folder = tmp_path / "killed"
    write_config(tmp_path / "config.toml", config)
    script = (
        "import sys; from pathlib import Path; from s2s_training.config.toml_file import read_config; "
        "from s2s_training.train import train; train(read_config(Path(sys.argv[1])), sys.argv[2])"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "config.toml"), str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not [*folder.glob("backup/epoch-*")] and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "model.keras").exists()
    with pytest.raises(RunFolderError, match="exists: choose another folder, continue its run with --resume"):
        train(config, folder)
    summary = train(config, folder, resume=True)
    assert figures(folder) == figures(finished[0])
    assert summary["errors"] == finished[1]["errors"]
    assert {path.name for path in folder.iterdir()} == {path.name for path in finished[0].iterdir()}


def test_killed_between_record_and_backup_an_epoch_is_trained_again(config, finished, tmp_path):
    """The history is one epoch ahead and half a backup lies about: the last whole state counts."""
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.train import train

    class Die(keras_callback()):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                (RunFolder(folder).backup / "tmp.weights.h5").write_bytes(b"half")
                raise KeyboardInterrupt

    folder = tmp_path / "ahead"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, callbacks=[Die()])
    assert figures(folder)["epoch"] == [1, 2]
    assert [path.name for path in sorted((folder / "backup").iterdir())] == ["epoch-1.weights.h5", "tmp.weights.h5"]
    train(config, folder, resume=True)
    assert figures(folder) == figures(finished[0])


def test_a_complete_run_is_not_resumed_but_reported(finished, config):
    """Resuming twice does no harm."""
    from s2s_training.train import train

    folder, summary = finished
    before = (folder / "model.keras").stat().st_mtime_ns
    assert train(config, folder, resume=True) == summary
    assert (folder / "model.keras").stat().st_mtime_ns == before


def test_a_run_of_other_options_is_not_resumed(finished, config):
    """The options that differ are named, with both values; a time budget may change."""
    from s2s_training.runs.run_folder import RunFolder

    folder = RunFolder(finished[0])
    folder.check(config.override(max_minutes=9), resume=True, force=False)
    with pytest.raises(RunFolderError, match=r"other options \(then, now\): units \(6, 7\), epochs \(3, 4\); give"):
        folder.check(config.override(units=7, epochs=4), resume=True, force=False)


def test_force_replaces_runs_only(config, tmp_path):
    """A folder that isn't a run's is never removed."""
    from s2s_training.runs.run_folder import RunFolder

    (tmp_path / "photo.jpg").touch()
    with pytest.raises(RunFolderError, match=r"is not the folder of a run \(no config.toml in it\): choose another"):
        RunFolder(tmp_path).check(config, resume=False, force=True)


def test_force_removes_what_a_run_writes_and_nothing_else(config, tmp_path, monkeypatch):
    """Data, notes and a `backup` of the user's own stay; what a run wrote goes, halves too; `.` is no exception."""
    from s2s_training.runs.run_folder import RunFolder

    own = {"pairs.tsv", "backup/photo.jpg", "tensorboard/notes/events.txt", "bundle/manifest.json"}
    written = {"config.toml", "test.tsv", "summary.json.tmp-7", "tmp-model.keras", "model.keras", "windows.npz"}
    written |= {"backup/epoch-3.weights.h5", "tensorboard/train/events.out.tfevents.1"}
    written |= {".tmp-1a2b3c4d-model.keras/model.keras", "backup/.tmp-1a2b3c4d-epoch-4.weights.h5/epoch-4.weights.h5"}
    for name in own | written:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("."))
    folder.check(config, resume=False, force=True)
    folder.prepare(config, resume=False)
    assert {str(path) for path in Path(".").rglob("*") if path.is_file()} == own | {"config.toml"}
    assert read_config(tmp_path / "config.toml") == config
    assert not (tmp_path / "tensorboard" / "train").exists()


def test_a_run_never_writes_over_what_it_reads(config, tmp_path):
    """Data that bears the name of a run's own file, in the folder to be replaced, is an error before anything goes."""
    from s2s_training.runs.run_folder import RunFolder

    (tmp_path / "config.toml").touch()
    (tmp_path / "test.tsv").write_text("a\tb\n", encoding="utf-8")
    own = config.override(data=str(tmp_path / "test.tsv"))
    with pytest.raises(
        RunFolderError, match=r"^data: .*test\.tsv is a file that the run would write itself: rename it"
    ):
        RunFolder(tmp_path).check(own, resume=False, force=True)


def test_bad_data_leaves_no_folder(config, tmp_path):
    """Nothing is made before the data has been read."""
    from s2s_training.errors import DataNotFoundError
    from s2s_training.train import train

    with pytest.raises(DataNotFoundError):
        train(config.override(data=str(tmp_path / "none.tsv")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
