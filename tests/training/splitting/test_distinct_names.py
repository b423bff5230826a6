"""Layers of one name in several models inside: told apart while a model is split, called as before afterwards."""

import keras
import pytest
from architectures.nested import nested_models_of_one_naming

from s2s_training.splitting.graph import flatten_model
from s2s_training.splitting.splitter import split

pytestmark = pytest.mark.tensorflow


def names(model: keras.Model) -> list[str]:
    return [call.operation.name for call in flatten_model(model).calls]


def test_names_are_given_back() -> None:
    """A split leaves the caller's layers with the names they had."""
    model = nested_models_of_one_naming()
    before = names(model)
    assert len(set(before)) < len(before)
    split(model)
    assert names(model) == before
