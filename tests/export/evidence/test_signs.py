"""Signs of how a model was fed, measured on a teacher that is a table."""

from typing import Any

import numpy as np
import pytest

from s2s_export.evidence.setups import Ends, SetUp
from s2s_export.evidence.signs import Signs
from s2s_export.evidence.teacher_forcing import Scored
from s2s_export.evidence.training_memory import Leaning
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


class Remembered:
    """A memory that lies somewhere between what the right side gives, 0, and the left one, 1."""

    def __init__(self, whole: float, pattern: float) -> None:
        self.found = Leaning(whole, pattern)

    def predicted(self, setup: SetUp, *_: object) -> SetUp:
        """What a set-up predicts: itself."""
        return setup

    def leaning(self, one: SetUp, other: SetUp) -> Leaning:
        """Where it lies between two."""
        assert (one.padding.side, other.padding.side) == ("right", "left")
        return self.found


def signs(gain: float, remembered: Any = None) -> Signs:
    base = SetUp(PaddingPolicy(masked=False, id=0, length=5), False, Ends(0, (1,), None), None, None)
    teacher: Any = Table(gain)
    return Signs(teacher, remembered, base, [])


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


@pytest.mark.parametrize(
    ("whole", "pattern", "values"),
    [(0.1, 0.2, ("right",)), (1.6, 0.7, ("left",)), (0.6, 0.6, ("left",)), (0.4, 0.4, ()), (0.4, 0.6, ("left",))],
)
def test_the_memory_goes_before_other_signs_of_the_side(whole: float, pattern: float, values: tuple[str, ...]) -> None:
    """Shares that say left count where the memory leans to neither side, or that way; clear, it outweighs them."""
    measured = signs(0.4, Remembered(whole, pattern))
    verdict = measured.side(measured.base)
    assert verdict.values == values
    assert bool(verdict.doubt) == (values == ("right",))


def test_a_memory_that_leans_too_little_tells_nothing() -> None:
    """Nothing else speaks here: the side stays as it was, and the figures are shown."""
    measured = signs(0.01, Remembered(0.6, 0.6))
    verdict = measured.side(measured.base)
    assert verdict.values == ()
    assert "0.60, 0.60 within symbols; 0 = right, 1 = left (tells nothing)" in str(verdict.signs[-1])
