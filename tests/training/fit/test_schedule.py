from itertools import pairwise
from types import SimpleNamespace

import pytest

from s2s_training.config.fit import FitConfig

pytestmark = pytest.mark.tensorflow


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        """The time."""
        return self.now


def run(config, steps_per_epoch, seconds_per_step, progress=0.0, *, first_epoch=0, seconds=0.0, pauses=()):
    """Learning rates of all steps until the schedule stops the run, before which it had `seconds`.

    `pauses` are (step, seconds it takes beyond the others).
    """
    from s2s_training.fit.schedule import Before, Schedule

    clock = Clock()
    schedule = Schedule(config, steps_per_epoch, Before(progress, seconds), clock)
    optimizer = SimpleNamespace(learning_rate=None)
    schedule.set_model(SimpleNamespace(optimizer=optimizer, stop_training=False))
    rates = []
    for epoch in range(first_epoch, config.epochs):
        schedule.on_epoch_begin(epoch)
        for batch in range(steps_per_epoch):
            schedule.on_train_batch_begin(batch)
            rates.append(optimizer.learning_rate)
            clock.now += seconds_per_step + dict(pauses).get(epoch * steps_per_epoch + batch, 0.0)
            schedule.on_train_batch_end(batch)
            if schedule.model.stop_training:
                return rates, schedule.progress
    return rates, schedule.progress


COSINE = FitConfig(schedule="cosine", learning_rate=1.0, epochs=4)


def test_cosine_warms_up_then_falls_to_zero():
    """From a tenth of the highest rate up to it in the first 5%, then down to nearly nothing, without a jump."""
    rates, progress = run(COSINE, 100, 0.0)
    assert len(rates) == 400
    assert progress == pytest.approx(1)
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates.index(max(rates)) == pytest.approx(20, abs=1)
    assert rates[-1] < 1e-4
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.06


def test_constant_stays():
    """No warm-up either."""
    assert set(run(FitConfig(learning_rate=0.5, epochs=2), 10, 0.0)[0]) == {0.5}


def test_time_to_spare_changes_nothing():
    """With a budget that is long enough the rates are those without a budget: same seed, same losses."""
    ample = FitConfig(schedule="cosine", learning_rate=1.0, epochs=4, max_minutes=10)
    assert run(ample, 100, 1.0) == run(COSINE, 100, 1.0)


@pytest.mark.parametrize("pauses", [((0, 60),), ((10, 20), (100, 30)), ((58, 10),)], ids=["trace", "validate", "pause"])
def test_a_slow_start_changes_nothing_where_time_is_to_spare(pauses):
    """Tracing, the first validation, a machine that pauses once: the epochs fit, so the rates stay what they were."""
    ample = FitConfig(schedule="cosine", learning_rate=1.0, epochs=4, max_minutes=13)
    assert run(ample, 100, 1.0, pauses=pauses) == run(COSINE, 100, 1.0)


def test_a_short_budget_still_ends_with_the_schedule():
    """On a slow machine there are fewer steps, and the rate comes down to nearly nothing all the same."""
    short = FitConfig(schedule="cosine", learning_rate=1.0, epochs=4, max_minutes=2)
    rates, progress = run(short, 100, 1.0)
    assert 115 <= len(rates) <= 120
    assert progress == pytest.approx(1, abs=0.02)
    assert rates[-1] < 0.01
    assert all(later <= earlier for earlier, later in pairwise(rates[25:]))


def test_a_budget_shorter_than_the_measurement_stops_too():
    """The deadline holds before the speed is known."""
    assert len(run(FitConfig(epochs=4, max_minutes=0.1), 100, 1.0)[0]) == 6


def test_a_resumed_schedule_goes_on_where_it_was():
    """Halves of a run have the rates of the whole."""
    whole, _ = run(COSINE, 100, 0.0)
    first, progress = run(FitConfig(schedule="cosine", learning_rate=1.0, epochs=4), 100, 0.0)
    second, _ = run(COSINE, 100, 0.0, progress=0.5, first_epoch=2)
    assert (first, progress) == (whole, pytest.approx(1))
    assert second == pytest.approx(whole[200:])


def test_a_resumed_run_has_what_is_left_of_its_minutes():
    """What it took before the interruption counts."""
    config = FitConfig(schedule="cosine", learning_rate=1.0, epochs=4, max_minutes=2)
    rates, progress = run(config, 100, 1.0, progress=0.5, first_epoch=1, seconds=80.0)
    assert 35 <= len(rates) <= 40
    assert progress == pytest.approx(1.0, abs=0.1)
