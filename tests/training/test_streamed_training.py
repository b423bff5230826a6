"""Runs whose pairs lie on the disk: what is drawn, and that they train the model that a run in memory trains."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from s2s_training.config.toml_file import read_config
from s2s_training.config.training import TrainingConfig
from s2s_training.data.arrays import BucketedPairs, Layout, encode_pairs
from s2s_training.data.corpus import Corpus
from s2s_training.data.datasets import default_config, load_corpus
from s2s_training.data.vocabulary_builder import build_vocabulary, drop_long
from s2s_training.errors import ConfigError, DataError, RunFolderError
from s2s_training.streaming.streamed_texts import StreamedTexts

pytestmark = pytest.mark.tensorflow
WHOLE, PARTS = 5000, 400  # a buffer for all pairs, and one for a tenth of them


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs in two files, two of them far too long, and some sources more than once."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdé ", k=draw.randint(1, 30))).strip() or "a" for _ in range(3000)]
    words[7], words[1000] = "x" * 2000, "é" * 3000
    lines = [f"{word}\t{word[::-1].upper()[: draw.randint(1, 30)] or 'A'}\n" for word in words]
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "a.tsv").write_text("".join(lines[:1200]), encoding="utf-8")
    (folder / "b.tsv").write_text("".join(lines[1200:]), encoding="utf-8")
    return folder


@dataclass
class Both:
    """The same pairs in memory and on the disk."""

    config: TrainingConfig
    corpus: Corpus
    texts: StreamedTexts

    def batches(self, part: str, seed: int | None) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """The batches of a part, in memory and on the disk."""
        layout = Layout.of(self.texts.vocabulary, self.config.model)
        encoded = encode_pairs(getattr(self.corpus, part), self.texts.vocabulary)
        in_memory = BucketedPairs(encoded, layout, self.config.fit.buckets, self.config.fit.batch_size)
        drawn = (in_memory, self.texts.batches(part, layout, self.config.fit))
        assert drawn[0].steps == drawn[1].steps
        return [list(pairs.batches(None if seed is None else np.random.default_rng(seed))) for pairs in drawn]


@pytest.fixture
def read(data, tmp_path):
    """Reads the pairs both ways."""

    def both(buffer, **options):
        config = default_config(str(data)).override(**options)
        corpus = drop_long(load_corpus(config.data, seed=1), config.data)
        streamed = config.override(shuffle_buffer=buffer)
        return Both(config, corpus, StreamedTexts(streamed, tmp_path / "pairs"))

    return both


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reverse": True, "max_source_length": 20, "min_count": 5, "vocabulary_size": 7},
        {"source_unit": "word", "lowercase": True, "normalization": "NFD", "test_fraction": 0.0},
        {"padding": "space", "embedding": 0, "reverse": True},
        {"kind": "repeat-vector", "padding": "space", "embedding": 0},
    ],
    ids=["plain", "limited", "words", "published", "repeat-vector"],
)
def test_a_buffer_for_all_pairs_draws_what_a_run_in_memory_draws(read, options):
    """Vocabularies, held-out texts and every batch of an epoch are the same, whatever is limited or left out."""
    both = read(WHOLE, **options)
    corpus, texts = both.corpus, both.texts
    assert texts.vocabulary == build_vocabulary(corpus, both.config)
    assert list(texts.held_out()) == corpus.held_out()
    assert list(texts.merged("valid", 7)) == corpus.merged(corpus.valid)[:7]
    for part, seed in (("train", 3), ("train", None), ("valid", None)):
        in_memory, on_disk = both.batches(part, seed)
        assert len(in_memory) == len(on_disk)
        for expected, drawn in zip(in_memory, on_disk, strict=True):
            np.testing.assert_array_equal(expected[0], drawn[0])
            np.testing.assert_array_equal(expected[1], drawn[1])


@pytest.mark.parametrize("buffer", [PARTS, 37])
def test_a_smaller_buffer_draws_each_pair_once_in_as_many_batches(read, buffer):
    """In another order in every epoch; pairs of a batch come from several places of the files."""
    both = read(buffer, batch_size=16)
    in_memory, on_disk = both.batches("train", 3)
    expected, drawn = (
        sorted([*row[0][row[0] > 0], 0, *row[1][row[1] > 0]] for batch in batches for row in zip(*batch, strict=True))
        for batches in (in_memory, on_disk)
    )
    assert drawn == expected
    assert len(in_memory) == len(on_disk)
    again, other = (both.batches("train", seed)[1] for seed in (3, 4))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(on_disk, again, strict=True))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(on_disk, other, strict=True))


def test_files_are_read_once_and_again_where_they_changed(data, tmp_path, monkeypatch):
    """What an earlier pass left is taken as it is; another content, and a pass that was interrupted, are read anew."""
    config = default_config(str(data)).override(shuffle_buffer=PARTS)
    first = StreamedTexts(config, tmp_path / "pairs").vocabulary
    monkeypatch.setattr("s2s_training.streaming.pass_over_files.read_pairs", lambda *_, **__: pytest.fail("read again"))
    assert StreamedTexts(config, tmp_path / "pairs").vocabulary == first
    (tmp_path / "pairs" / "read.json").write_text('{"files": "others"}')
    with pytest.raises(pytest.fail.Exception, match="read again"):
        StreamedTexts(config, tmp_path / "pairs")
    assert not (tmp_path / "pairs" / "read.json").exists()


def test_outliers_are_shown_as_in_memory(read, caplog):
    """The warning is that of a run in memory, word for word."""
    read(WHOLE)
    in_memory, on_disk = (message for message in caplog.messages if message.startswith("left out 2 of 3000"))
    assert on_disk == in_memory


def test_too_few_pairs_are_refused_as_in_memory(tmp_path):
    """In the same words, which name the parts and say which way the shares should go."""
    (tmp_path / "pairs.tsv").write_text("a\tb\n", encoding="utf-8")
    data = default_config(str(tmp_path / "pairs.tsv")).override(valid_fraction=0.5, test_fraction=0.4)
    with pytest.raises(DataError, match=r"too few pairs: 1 leave none for the training and") as in_memory:
        load_corpus(data.data, seed=1)
    with pytest.raises(DataError) as on_disk:
        StreamedTexts(data.override(shuffle_buffer=5), tmp_path / "read")
    assert str(on_disk.value) == str(in_memory.value)


def test_what_a_buffer_has_no_meaning_for_is_refused(data):
    """Data sets that need no file, and the last rows, which nobody knows before all are read."""
    from s2s_training.data.datasets import require_data

    with pytest.raises(ConfigError, match="shuffle_buffer: expected none with the built-in data set 'cmudict'"):
        require_data(default_config("cmudict").override(shuffle_buffer=5))
    with pytest.raises(ConfigError, match="shuffle_buffer: expected split 'hash', or valid_data; got split 'last'"):
        default_config(str(data)).override(shuffle_buffer=5, split="last", test_fraction=0.0)


OPTIONS = {"units": 4, "embedding": 3, "dropout": 0.2, "epochs": 2, "batch_size": 64, "score": 0, "average": 0.9}


@pytest.fixture(scope="module")
def small(data):
    """A run of a few steps."""
    return default_config(str(data)).override(**OPTIONS, rows=600, buckets=2)


def figures(folder):
    """The history without what depends on the clock."""
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    return {name: values for name, values in history.items() if name != "seconds"}


def weights(folder):
    """The trained weights, one behind the other."""
    import keras

    return np.concatenate([w.ravel() for w in keras.models.load_model(folder / "model.keras").get_weights()])


def test_interrupted_within_an_epoch_a_run_on_the_disk_ends_as_one_in_memory(small, tmp_path):
    """Losses and weights to the last bit, and the same files, are those of a run in memory."""
    import keras

    from s2s_training.train import train

    class Stop(keras.callbacks.Callback):
        left = 7

        def on_train_batch_begin(self, batch, logs=None):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    memory, disk = tmp_path / "memory", tmp_path / "disk"
    small = small.override(accumulation=4)  # so that step 6, where it goes on, stands between two of the optimizer
    train(small, memory)
    config = small.override(shuffle_buffer=WHOLE, backup_steps=3)
    with pytest.raises(KeyboardInterrupt):
        train(config, disk, callbacks=[Stop()])
    kept = {"epoch-0-step-6.npz", "epoch-0-step-6.weights.h5"}
    assert {path.name for path in (disk / "backup").iterdir()} == kept
    train(config.override(backup_steps=0), disk, resume=True)
    assert figures(memory) == figures(disk)
    np.testing.assert_array_equal(weights(memory), weights(disk))
    assert {path.name for path in memory.iterdir()} == {path.name for path in disk.iterdir()}
    for name in ("vocab.json", "test.tsv"):
        assert (memory / name).read_bytes() == (disk / name).read_bytes()


def test_a_run_that_cannot_begin_leaves_nothing_and_changed_files_are_noticed(data, small, tmp_path):
    """Bad data leaves no folder; an interrupted pass leaves one that is resumed, unless its files changed since."""
    import keras

    from s2s_training.train import train

    file = tmp_path / "pairs.tsv"
    file.write_text("no pair\n")
    config = small.override(data=str(file), shuffle_buffer=PARTS)
    with pytest.raises(DataError, match="expected source<TAB>target"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyboardInterrupt

    file.write_bytes((data / "b.tsv").read_bytes())
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", callbacks=[Stop()])
    assert read_config(tmp_path / "run" / "config.toml") == config
    file.write_bytes((data / "b.tsv").read_bytes() + b"zz\tZZ\n")
    with pytest.raises(RunFolderError, match=r"the data changed since this run began \(other files\)"):
        train(config, tmp_path / "run", resume=True)
