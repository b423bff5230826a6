"""Runs that start from another one's weights and symbols."""

import re
from dataclasses import replace

import numpy as np
import pytest

from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.config.toml_file import write_config
from s2s_training.data.datasets import default_config, require_data
from s2s_training.errors import ConfigError, DataError, RunFolderError
from s2s_training.runs.run_folder import RunFolder
from s2s_training.start_run import options_of_start

pytestmark = pytest.mark.tensorflow

SMALL = {"units": 3, "embedding": 2, "batch_size": 8, "valid_fraction": 0.3, "test_fraction": 0.1}
RUNS = {
    "masked": {"attention": "dot"},
    "own cells": {"scheduled_sampling": 0.5, "input_feeding": True, "attention": "additive"},
    "padded with spaces": {"padding": "space", "embedding": 0},
    "repeated": {"kind": "repeat-vector", "attention": "none"},
    "tagger": {"kind": "same-length"},
    "language model": {"kind": "language-model"},
    "pieces": {"source_unit": "sentencepiece", "vocabulary_size": 12},
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A file of fifty words and the same in capitals, and one of other words that has a further letter."""
    folder = tmp_path_factory.mktemp("pairs")
    letters = np.random.default_rng(0).integers(0, 5, (50, 4))
    words = ["".join("abcde"[i] for i in row) for row in letters]
    (folder / "first.tsv").write_text("".join(f"{word}\t{word.upper()}\n" for word in words))
    (folder / "further.tsv").write_text("".join(f"{word[:3]}f\t{word[:3].upper()}A\n" for word in words))
    (folder / "longer.tsv").write_text("".join(f"{word}a\t{word.upper()}A\n" for word in words))
    return folder


@pytest.fixture(scope="module")
def first(pairs, tmp_path_factory):
    """Make, once for each name, a run that is finished as far as its files say: its weights are those it began with."""
    from s2s_training.train import prepare

    made = {}

    def of(name):
        if name not in made:
            config = default_config(str(pairs / "first.tsv")).override(**(SMALL | RUNS[name]))
            folder = RunFolder(tmp_path_factory.mktemp(re.sub(" ", "-", name)))
            task = prepare(config)
            write_config(folder.config, config)
            task.write(folder)
            folder.finish(task.trained(), {})
            made[name] = config, folder, task.model.get_weights()
        return made[name]

    return of


def starting(config, folder, data, **options):
    """Return the configuration of a run on other pairs, with another seed, that starts from the one in a folder."""
    further = replace(config.data, data=str(data), vocabulary_size=None, start_from=str(folder.path))
    return replace(config, data=further).override(seed=7, **options)


@pytest.mark.parametrize("name", [name for name in RUNS if name not in {"padded with spaces", "repeated"}])
def test_weights_and_symbols_are_those_of_the_other_run(name, first, pairs, caplog):
    """To the last bit, whatever dropout and average it has; a letter that the other hasn't seen is told."""
    from s2s_training.train import prepare

    config, folder, weights = first(name)
    options = {} if name in {"language model", "tagger"} else {"r_drop": 1.0}
    task = prepare(starting(config, folder, pairs / "further.tsv", dropout=0.2, average=0.9, **options))
    for ours, theirs in zip(task.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    then = VocabularyFile.read(folder.vocabulary)
    assert (task.vocabulary.source, task.vocabulary.target) == (then.source, then.target)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    side = "targets" if name == "language model" else "sources"
    assert re.match(rf"1 symbol of the {side} is unknown to {folder.path}, \d+ of \d+ occurrences: 'f'$", told[0])


def test_pairs_on_the_disk_start_from_the_same(first, pairs, tmp_path):
    """Vocabulary and weights are those of the other run there too."""
    from s2s_training.train import prepare

    config, folder, weights = first("masked")
    task = prepare(
        starting(config, folder, pairs / "longer.tsv", shuffle_buffer=10), folder=RunFolder(tmp_path / "run")
    )
    np.testing.assert_array_equal(task.model.get_weights()[0], weights[0])
    assert task.vocabulary.target == VocabularyFile.read(folder.vocabulary).target
    assert task.vocabulary.max_length == VocabularyFile.read(folder.vocabulary).max_length + 1, "targets are longer now"


def test_a_number_of_steps_may_grow(first, pairs):
    """Weights of a decoder that is fed nothing don't depend on how many steps it takes."""
    from s2s_training.train import prepare

    config, folder, weights = first("repeated")
    model = prepare(starting(config, folder, pairs / "longer.tsv")).model
    np.testing.assert_array_equal(model.get_weights()[-1], weights[-1])
    assert model.output_shape[1] == VocabularyFile.read(folder.vocabulary).max_length + 1


def test_a_model_that_reads_its_padding_keeps_its_lengths_and_symbols(first, pairs):
    """What doesn't fit is refused, as such a model has neither further steps nor an unknown symbol."""
    from s2s_training.train import prepare

    config, folder, _ = first("padded with spaces")
    with pytest.raises(DataError, match="has sources of 4 symbols at most, got one of 5; leave out longer ones"):
        prepare(starting(config, folder, pairs / "longer.tsv"))
    with pytest.raises(DataError, match=r"no unknown symbol, and these of the sources aren't in it: 'f'; leave out"):
        prepare(starting(config, folder, pairs / "further.tsv"))


def test_the_command_takes_model_and_units_from_the_other_run(first, pairs):
    """What is typed wins; so do the usual values of what the weights don't depend on."""
    from s2s_training.commands.train import _configure
    from s2s_training.commands.train_options import TrainSettings

    config, folder, _ = first("own cells")
    typed = {"data": str(pairs / "further.tsv"), "start_from": str(folder.path), "dropout": 0.3}
    made = _configure(typed, TrainSettings(run=pairs / "run"))
    assert made.model == replace(config.model, dropout=0.3)
    assert made.fit == default_config("x").fit
    assert made.data.valid_fraction == default_config("x").data.valid_fraction
    assert options_of_start(str(folder.path))["reverse"] is False
    require_data(made)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"units": 4, "reverse": True},
            r"other options \(there, here\): reverse \(False, True\), units \(3, 4\); leave",
        ),
        (
            {"start_from": "nowhere"},
            r"expected the folder of a finished run, with config.toml, .*; nowhere has no conf",
        ),
        ({"min_count": 2}, "min_count: no meaning with start_from, whose symbols are settled; leave it out"),
        ({"kind": "ctc", "attention": "none"}, "start_from: no meaning with model 'ctc', as how many frames"),
    ],
)
def test_what_the_weights_would_not_fit_is_refused(given, message, first, pairs):
    """Before anything is loaded, with what was expected."""
    config, folder, _ = first("masked")
    with pytest.raises(ConfigError, match=message):
        require_data(starting(config, folder, pairs / "further.tsv").override(**given))


def test_no_run_starts_from_the_folder_that_it_writes(first):
    """It would remove the model that it reads."""
    config, folder, _ = first("masked")
    with pytest.raises(RunFolderError, match="is the folder that the run would write itself: choose another"):
        folder.check(starting(config, folder, config.data.data), resume=False, force=True)


def test_other_weights_than_the_configuration_says_are_refused(first, pairs, tmp_path):
    """Such as those of a model that somebody put into the folder, or none at all."""
    import shutil

    from s2s_training.train import prepare

    config, folder, _ = first("masked")
    other = shutil.copytree(folder.path, tmp_path / "other")
    shutil.copy(first("tagger")[1].model, other / "model.keras")
    with pytest.raises(ConfigError, match="are not those of the model that its config"):
        prepare(starting(config, RunFolder(other), pairs / "further.tsv"))
    (other / "model.keras").write_bytes(b"no model")
    with pytest.raises(ConfigError, match="can't be loaded"):
        prepare(starting(config, RunFolder(other), pairs / "further.tsv"))
