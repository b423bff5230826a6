"""A resumed run goes on with the data that it began with, or not at all."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from s2s_training.data.datasets import default_config
from s2s_training.errors import RunFolderError

pytestmark = pytest.mark.tensorflow

WORDS = ["".join(letters) for letters in itertools.product("abc", repeat=4)]


def write_pairs(path, letters="abc", rows=81):
    """Words and the same ones backwards, written in three letters."""
    other = str.maketrans("abc", letters)
    path.write_text("".join(f"{word}\t{word[::-1].translate(other)}\n" for word in WORDS[:rows]), encoding="utf-8")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Configuration and folder of a run killed after its first epoch."""
    import keras

    from s2s_training.train import train

    class Die(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("killed")
    write_pairs(folder / "pairs.tsv")
    options = {"units": 4, "embedding": 3, "epochs": 2, "batch_size": 64, "buckets": 1, "score": 0}
    shares = {"valid_fraction": 0.2, "test_fraction": 0.2}
    config = default_config(str(folder / "pairs.tsv")).override(**options, **shares)
    with pytest.raises(KeyboardInterrupt):
        train(config, folder / "run", callbacks=[Die()])
    return config, folder / "run"


@pytest.fixture
def interrupted(killed, tmp_path):
    """The same, a copy to spoil; the data are as the run began with."""
    config, folder = killed
    write_pairs(folder.parent / "pairs.tsv")
    return config, shutil.copytree(folder, tmp_path / "run")


def content(folder):
    """Every file of a folder, by name."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"letters": "abd"}, "other training pairs, other validation pairs, other test pairs, other symbols"),
        ({"letters": "aba"}, "other training pairs, other validation pairs, other test pairs, other symbols"),
        ({"rows": 80}, "test pairs: 14 then, 13 now"),
    ],
    ids=["as many symbols", "fewer symbols", "fewer rows"],
)
def test_changed_data_is_refused_before_anything_is_written(interrupted, change, message):
    """Vocabularies of the same size and of another one, and other rows alike: one line, and the folder as it was."""
    from s2s_training.train import train

    config, folder = interrupted
    before = content(folder)
    write_pairs(Path(config.data.data), **change)
    expected = rf"the data changed since this run began \({message}\): give the data"
    with pytest.raises(RunFolderError, match=expected):
        train(config, folder, resume=True)
    assert content(folder) == before


@pytest.mark.parametrize("digests", [True, False])
def test_the_same_data_is_gone_on_with(interrupted, digests):
    """Also in a folder from before digests were kept, which is held to its vocabulary alone."""
    from s2s_training.train import train

    config, folder = interrupted
    if not digests:
        (folder / "data-digests.json").unlink()
        write_pairs(Path(config.data.data), "abd")
        with pytest.raises(RunFolderError, match=r"began \(other symbols\): give"):
            train(config, folder, resume=True)
        write_pairs(Path(config.data.data))
    assert train(config, folder, resume=True)["epochs"] == 2
    assert not (folder / "data-digests.json").exists()


def test_windows_of_a_continuous_run_are_compared_too(tmp_path):
    """With those that the folder holds; the last bits, which machines differ in, don't count."""
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.train import prepare

    folder = RunFolder(tmp_path)
    task = prepare(default_config("damped").override(units=2))
    task.check(folder)
    task.write(folder)
    with np.load(folder.windows) as windows:
        kept = dict(windows)
    np.savez(folder.windows, **{**kept, "targets": kept["targets"] + np.float32(1e-7)})
    task.check(folder)
    np.savez(folder.windows, **{**kept, "targets": kept["targets"][:-1]})
    with pytest.raises(RunFolderError, match=r"the data changed since this run began \(other targets of windows\)"):
        task.check(folder)
