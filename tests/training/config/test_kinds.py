"""Which options go with which kind of model."""

import dataclasses
from typing import get_args

import pytest

from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.kinds import WITHOUT, misfits
from s2s_training.config.model import Kind, ModelConfig
from s2s_training.data.datasets import default_config
from s2s_training.errors import ConfigError

SECTIONS = (DataConfig, ModelConfig, FitConfig)
FIELDS = {field.name: field for section in SECTIONS for field in dataclasses.fields(section)}


def test_the_table_knows_every_kind_and_names_options():
    """No kind is left out, and no name is misspelt."""
    assert set(WITHOUT) == set(get_args(Kind))
    assert {name for names in WITHOUT.values() for name in names} <= set(FIELDS)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in WITHOUT.items() for name in names])
def test_options_without_meaning_are_refused_by_name(kind, name):
    """Each is refused where it isn't left as it is, and the message says why."""
    values = {field.name: field.default for field in FIELDS.values()}
    assert misfits(kind, values) == []
    [problem] = misfits(kind, values | {name: "another"})
    assert problem.startswith(f"{name}: no meaning with model '{kind}', as ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kind": "ctc", "attention": "dot", "reverse": True},
            "attention: no meaning with model 'ctc', as it has no decoder; leave it out; reverse: ",
        ),
        ({"kind": "ctc", "padding": "space"}, "padding: expected 'mask' with model 'ctc', got 'space'"),
        ({"kind": "language-model", "embedding": 0}, "embedding: expected above 0 with model 'language-model', got 0"),
        (
            {"kind": "language-model", "carry": "text", "max_target_length": 9},
            "max_target_length: no meaning with carry 'text', where no line is left out; leave it out",
        ),
    ],
)
def test_values_that_a_kind_lacks_are_refused(options, message):
    """The message says what was expected."""
    with pytest.raises(ConfigError, match=message):
        default_config("data.tsv").override(**options)


def test_defaults_of_a_data_set_that_mean_nothing_for_a_kind_are_left_out():
    """Words to phones are usually learned with attention; by CTC they are learned without, and all else is the same."""
    usual, ctc = default_config("cmudict"), default_config("cmudict", "ctc")
    assert usual.differing(ctc) == ["kind", "attention"]
