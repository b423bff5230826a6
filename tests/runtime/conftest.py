"""Models for the runtime's tests: the committed tiny bundles, and step models that need no graph at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_models import random_model, table_model
from places import FIXTURES

import s2s_runtime
from s2s_runtime import Model


@pytest.fixture(scope="session")
def tiny() -> Model:
    """Attention, masked; spells its source in capitals, more or less."""
    return s2s_runtime.load(FIXTURES / "tiny.s2s")


@pytest.fixture(scope="session")
def tiny_onehot() -> Model:
    """LSTM over one-hot rows, no mask, padded to 6 with rows of zeros."""
    return s2s_runtime.load(FIXTURES / "tiny-onehot.s2s")


@pytest.fixture(name="table_model")
def make_table_model() -> Callable[..., Model]:
    """Build a model from a table."""
    return table_model


@pytest.fixture(name="random_model")
def make_random_model() -> Callable[..., Model]:
    """Build a model of fixed random numbers."""
    return random_model
