"""Signs of how a model was fed, measured on a teacher that is a table."""

from typing import Any

import numpy as np
import pytest

from s2s_export.evidence.setups import Ends, SetUp
from s2s_export.evidence.signs import Signs
from s2s_export.evidence.teacher_forcing import Scored
from s2s_runtime.vocabulary.padding import PaddingPolicy

pytestmark = pytest.mark.tensorflow

PAIRS = 400


class Table:
    """A teacher whose targets gain so many nats by their own sources, more where sources are reversed and left."""

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def score(self, setup: SetUp) -> Scored:
        """Scores of as many pairs, each against ten other sources."""
        share = 0.4 * setup.reverse + 0.6 * (setup.padding.side == "left")
        noise = np.random.default_rng(0).normal(size=(PAIRS, 10))
        return Scored(np.zeros(PAIRS), self.gain * (noise - share), np.ones(PAIRS), np.array([0.1, 0.9]))


def signs(gain: float) -> Signs:
    base = SetUp(PaddingPolicy(masked=False, id=0, length=5), False, Ends(0, (1,), None), None, None)
    teacher: Any = Table(gain)
    return Signs(teacher, None, base, [])


def test_sources_that_hardly_matter_tell_nothing() -> None:
    """However sure the statistics, a model that owes its sources next to nothing says neither order nor side.

    Such a one, trained for a moment, gave the wrong order with z = 4.8 and the wrong side with z = 4.3.
    """
    measured = signs(0.01)
    for verdict in (measured.order(measured.base), measured.side(measured.base)):
        assert verdict.values == ()
        assert "sources matter too little yet (0.0" in str(verdict.signs[0])


def test_sources_that_matter_tell_order_and_side() -> None:
    """The same figures, ten times as large, do say which way sources were read and on which side they were filled."""
    measured = signs(0.4)
    assert measured.order(measured.base).values == (True,)
    assert measured.side(measured.base).values == ("left",)
