"""Continuous models that stop by what they have predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import s2s_runtime
from s2s_runtime import CancelledError, Model, OptionError


@pytest.fixture(scope="module")
def values(fixtures: Path) -> Model:
    """Two features to one; no mask, any length."""
    return s2s_runtime.load(fixtures / "tiny-values.s2s")


def sources(count: int = 9) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.normal(size=(int(length), 2)) for length in random.integers(1, 5, size=count)]


@given(threshold=st.floats(-2, 2), size=st.integers(1, 9), steps=st.integers(1, 12))
def test_each_sequence_ends_with_the_first_step_at_which_stop_says_so(
    values: Model, threshold: float, size: int, steps: int
) -> None:
    """The steps are those of a fixed length, cut behind the first that the function names; whatever the batch."""
    whole = values.predict(sources(), steps=steps)
    found = values.predict(
        sources(), steps=steps, stop=lambda so_far: so_far[:, -1, 0] > threshold, max_batch_size=size
    )
    for sequence, full in zip(found, whole, strict=True):
        above = np.flatnonzero(full[:, 0] > threshold)
        length = above[0] + 1 if len(above) else steps
        assert sequence.dtype == np.float32
        np.testing.assert_allclose(sequence, full[:length], atol=1e-6)


def test_stop_sees_all_steps_so_far_of_the_rows_that_run(values: Model) -> None:
    """It is asked once per step but the last, with a growing array of rows that haven't stopped, in one batch."""
    rows = np.random.default_rng(3).normal(size=(4, 3, 2))
    seen = []

    def stop(so_far: np.ndarray) -> list[bool]:
        seen.append(so_far.shape)
        with pytest.raises(ValueError, match="read-only"):
            so_far[:] = 0
        return [row == 0 for row in range(len(so_far))]

    found = values.predict(rows, steps=4, stop=stop)
    assert seen == [(4, 1, 1), (3, 2, 1), (2, 3, 1)]
    assert sorted(len(sequence) for sequence in found) == [1, 2, 3, 4]
    assert values.predict([], stop=stop) == []


def test_the_bundle_says_how_many_steps_at_most(values: Model) -> None:
    """A function that never stops gives the bundle's number of steps, from the start given."""
    rows = np.random.default_rng(4).normal(size=(2, 3, 2))
    found = values.predict(rows, start=[0.5], stop=lambda so_far: np.zeros(len(so_far), np.bool_))
    np.testing.assert_allclose(np.stack(found), values.predict(rows, start=[0.5]), atol=1e-6)


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (3, "stop: expected a function of the values so far or None, got 3"),
        (lambda so_far: True, r"stop: expected one bool per row, shape \(2,\), got bool of shape \(\)"),
        (
            lambda so_far: so_far[:, -1, 0],
            r"stop: expected one bool per row, shape \(2,\), got float32 of shape \(2,\)",
        ),
        (lambda so_far: so_far[:, -1] > 0, r"got bool of shape \(2, 1\)"),
        (lambda so_far: None, "got object of shape"),
    ],
)
def test_bad_answers_are_refused(values: Model, stop: Any, message: str) -> None:
    """Anything but one bool per row is one error that says what came and what was expected."""
    with pytest.raises(OptionError, match=message):
        values.predict(np.zeros((2, 3, 2)), stop=stop)


def test_a_stopping_prediction_can_be_cancelled(values: Model) -> None:
    """The function may end its own call through `cancel`, as another thread may."""

    class Signal:
        set_now = False

        def is_set(self) -> bool:
            return self.set_now

    signal = Signal()

    def stop(so_far: np.ndarray) -> np.ndarray:
        signal.set_now = True
        return np.zeros(len(so_far), np.bool_)

    with pytest.raises(CancelledError):
        values.predict(np.zeros((2, 3, 2)), stop=stop, cancel=signal)
