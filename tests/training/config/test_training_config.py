import dataclasses
from typing import get_args

import pytest

from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.model import CellName, ModelConfig
from s2s_training.data.datasets import default_config, tutorial_config
from s2s_training.errors import ConfigError


def test_field_names_are_unique_over_the_sections():
    """An option belongs to one section, so that a name alone says which value is meant."""
    names = [f.name for section in (DataConfig, ModelConfig, FitConfig) for f in dataclasses.fields(section)]
    assert len(names) == len(set(names))


def test_override_reaches_every_section_and_leaves_the_rest():
    """Given options replace fields wherever they stand; all others stay."""
    config = default_config("pairs.tsv").override(rows=7, units=9, seed=3)
    assert (config.data.rows, config.model.units, config.fit.seed) == (7, 9, 3)
    assert config.override(rows=None, units=128, seed=1) == default_config("pairs.tsv")


def test_unknown_options_are_errors():
    """A misspelt option is named."""
    with pytest.raises(ConfigError, match=r"unknown option unit; did you mean 'units'\?$"):
        default_config("pairs.tsv").override(unit=3)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("cell", "xlstm", f"cell: expected {' or '.join(map(repr, get_args(CellName)))}, got 'xlstm'"),
        ("units", 0, "units: expected an integer of at least 1, got 0"),
        ("normalization", "nfc", "normalization: expected 'NFC' or 'NFKC' or 'NFD' or 'NFKD', got 'nfc'"),
        ("dropout", 1.0, "dropout: expected a number of at least 0 and below 1, got 1.0"),
        ("learning_rate", 0.0, "learning_rate: expected a number above 0, got 0.0"),
        ("valid_fraction", 0.97, "sum to less than 1, got 0.97 and 0.05"),
        ("split", "last", "test_fraction: split 'last' has no test part, expected 0, got 0.05"),
        ("learning_rate", float("nan"), "learning_rate: expected a number above 0, got nan"),
        ("clip_norm", float("inf"), "clip_norm: expected a number of at least 0, got inf"),
        ("seed", 2**32, "seed: expected an integer from 0 to 4294967295, got 4294967296"),
        ("digits", 19, "digits: expected an integer from 1 to 18, got 19"),
        ("accumulation", 0, "accumulation: expected an integer of at least 1, got 0"),
        ("r_drop", -1, "r_drop: expected a number of at least 0, got -1"),
        ("word_dropout", 1, "word_dropout: expected a number of at least 0 and below 1, got 1"),
        ("max_minutes", -1, "max_minutes: expected a number above 0, got -1"),
        ("label_smoothing", -0.1, "label_smoothing: expected a number of at least 0 and below 1, got -0.1"),
    ],
)
def test_values_out_of_range_name_the_option_the_value_and_what_is_allowed(option, value, message):
    """Every bad value is one clear message."""
    with pytest.raises(ConfigError) as error:
        default_config("pairs.tsv").override(**{option: value})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "repeat-vector", "attention": "dot"}, "attention: no meaning with model 'repeat-vector', as its dec"),
        ({"r_drop": 1.0}, "r_drop: two passes without dropout don't differ, expected dropout or word_dropout above 0"),
        (
            {"r_drop": 1.0, "dropout": 0.1, "kind": "ctc"},
            "r_drop: no meaning with model 'ctc', as its loss is over all",
        ),
        ({"accumulation": 2, "devices": 2}, "devices, accumulation: expected one of them; together they weren't tried"),
        ({"padding": "space", "source_unit": "word"}, "'space' needs characters on both sides, got units 'word'"),
    ],
)
def test_contradictions_between_options_are_errors(options, message):
    """Options that don't go together are refused before anything runs."""
    with pytest.raises(ConfigError) as error:
        default_config("pairs.tsv").override(**options)
    assert message in str(error.value)


def test_all_problems_are_reported_at_once():
    """One error names every bad value."""
    with pytest.raises(ConfigError, match=r"units: .*; .*epochs: "):
        default_config("pairs.tsv").override(units=0, epochs=0)


def test_differences_name_the_field_and_both_values():
    """Two configurations are compared field by field."""
    one = default_config("pairs.tsv")
    assert one.differences(one) == []
    assert one.differences(one.override(epochs=3, cell="gru")) == ["cell ('lstm', 'gru')", "epochs (20, 3)"]


def test_the_tutorial_setting_is_the_published_one():
    """LSTM 256, one-hot, no mask, rmsprop, batch 64, 100 epochs, last 20% held out."""
    config = tutorial_config("fra.txt")
    assert (config.model.cell, config.model.units, config.model.embedding, config.model.padding) == (
        "lstm",
        256,
        0,
        "space",
    )
    assert (config.fit.optimizer, config.fit.batch_size, config.fit.epochs) == ("rmsprop", 64, 100)
    assert (config.data.split, config.data.valid_fraction) == ("last", 0.2)
