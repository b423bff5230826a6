"""Configurations as TOML files: what a run keeps, and what `--config` reads."""

import json

import numpy as np
import pytest
from places import FIXTURES, ROOT
from typer.testing import CliRunner

from s2s_training.commands.train import app
from s2s_training.config.toml_file import read_config, read_options, write_config
from s2s_training.data.datasets import BUILT_IN, SERIES, default_config, tutorial_config
from s2s_training.errors import ConfigError

RECIPES = ROOT / "training" / "recipes"
ALL = [default_config("x.tsv"), tutorial_config("a \\ \"b\"\t'c'.tsv"), *map(default_config, (*BUILT_IN, *SERIES))]


@pytest.mark.parametrize("config", ALL)
def test_a_file_keeps_every_field(config, tmp_path):
    """Also those that are None where the default isn't, and strings with any character."""
    write_config(tmp_path / "config.toml", config)
    assert read_config(tmp_path / "config.toml") == config


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_are_configurations(recipe):
    """Every option in them exists and they contradict neither themselves nor the presets."""
    options = read_options(recipe)
    config = default_config(options.get("data", "pairs.tsv")).override(**options)
    assert config.differences(default_config(config.data.data))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[fit\n", "not a TOML file in UTF-8"),
        ("[train]\nepochs = 3\n", "unknown section or option 'train': expected options in [data], [model], [fit]"),
        ("epochs = 3\n", "unknown section or option 'epochs'"),
        ("[fit]\nepoch = 3\nunits = 4\n", "[fit] has no option 'epoch'; did you mean 'epochs'?"),
        ("[fit]\nepoch = 3\nunits = 4\n", "; [fit] has no option 'units'; it belongs into [model]"),
        ("[fit]\nxyz = 3\n", "[fit] has no option 'xyz'; it has accumulation, average, backup_steps"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(content, message, tmp_path):
    """Every wrong name at once."""
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_options(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[data]\ndata = "x"\n[model]\nunits = "many"\n', "units: expected an integer of at least 1, got 'many'"),
        ('[data]\ndata = "x"\n[fit]\nmax_minutes = "long"\n', "max_minutes: expected a number above 0, got 'long'"),
        ('[data]\ndata = "x"\nlowercase = 1\n', "lowercase: expected True or False, got 1"),
        ("[fit]\nepochs = 3\n", "no `data` in [data]"),
    ],
)
def test_values_of_a_wrong_type_are_errors(content, message, tmp_path):
    """A file may hold anything: no such value gets as far as arithmetic."""
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert message in str(caught.value)


def test_a_file_of_an_older_release_is_read(tmp_path):
    """What a release wrote before an option existed: that option has its default. Byte for byte as 0.1.0 wrote it."""
    kept = read_config(FIXTURES / "run-0.1.0.toml")
    assert kept == default_config('pairs "of"\ttexts.tsv').override(
        units=5, embedding=0, padding="zeros", normalization=None, max_minutes=1.5, learning_rate=1e-05
    )


def test_numbers_of_numpy_are_numbers(tmp_path):
    """A sweep over an array of units or rates gives files like any other."""
    config = default_config("x.tsv").override(units=np.int64(7), learning_rate=np.float32(0.5))
    write_config(tmp_path / "config.toml", config)
    assert read_config(tmp_path / "config.toml") == config


def test_without_data_nothing_is_trained(tmp_path):
    """Neither on the command line nor in a file: wrong usage."""
    found = CliRunner().invoke(app, ["-o", str(tmp_path / "run")])
    assert found.exit_code == 2
    assert found.stderr.startswith("error: nothing to train on: give DATA")


def test_seed_and_seeds_contradict(tmp_path):
    """One of them; and seeds are numbers that numpy takes."""
    expected = "error: seeds: expected different numbers from 0 to 4294967295 separated by commas, got"
    for options, message in (
        (["--seed", "1", "--seeds", "1,2"], "error: seed, seeds: expected one of them, got both"),
        (["--seeds", "1,1"], f"{expected} '1,1'"),
        (["--seeds", "1,4294967296"], f"{expected} '1,4294967296'"),
    ):
        found = CliRunner().invoke(app, ["addition", "-o", str(tmp_path / "run"), *options])
        assert found.exit_code == 2
        assert found.stderr == f"{message}\n"


@pytest.mark.tensorflow
def test_the_command_line_wins_and_a_kept_configuration_repeats_the_run(tmp_path):
    """File, then command line; and `--config RUN/config.toml` alone gives the same losses to the last bit."""
    (tmp_path / "pairs.tsv").write_text("".join(f"{i}\t{i}\n" for i in range(100, 200)))
    (tmp_path / "own.toml").write_text(
        f'[data]\ndata = "{tmp_path}/pairs.tsv"\n[model]\nunits = 5\nembedding = 4\n[fit]\nepochs = 9\naverage = 0.5\n'
    )
    runs = [tmp_path / "one", tmp_path / "two"]
    first = ["--config", str(tmp_path / "own.toml"), "-o", str(runs[0]), "--epochs", "2", "--seed", "3"]
    for arguments in (first, ["--config", str(runs[0] / "config.toml"), "-o", str(runs[1])]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    kept = [read_config(run / "config.toml") for run in runs]
    assert kept[0] == kept[1]
    assert (kept[0].model.units, kept[0].fit.epochs, kept[0].fit.seed) == (5, 2, 3)
    histories = [json.loads((run / "history.json").read_text()) for run in runs]
    for history in histories:
        del history["seconds"]
    assert histories[0] == histories[1]
