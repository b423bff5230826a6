"""The learning rate over a run, and fitting the run into a time budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from s2s_training.config.fit import FitConfig

# Shares of the time budget. The first steps trace graphs, here and in the first validation, and say nothing about
# speed; and a few steps say little: a run with time to spare must not be bent because its machine paused once.
MEASURE_FROM = 0.05
TRUST_FROM = 0.1
MEASURE_EVERY = 10  # steps


def learning_rate_at(progress: float, config: FitConfig) -> float:
    """Return the learning rate at a point of the run.

    Args:
        progress: 0 at the first step, 1 after the last.
        config: schedule and highest learning rate.
    """
    warm_up = config.warm_up_share
    if progress < warm_up:
        return config.learning_rate * (progress + warm_up / 10) / (warm_up * 1.1)
    done = (progress - warm_up) / (1 - warm_up)  # of what follows the warm-up
    if config.schedule == "linear":
        return config.learning_rate * (1 - done)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return config.learning_rate


def plateau_scale(watched: Sequence[float], config: FitConfig) -> float:
    """Return the factor of the learning rate with schedule "plateau", after epochs with these monitored figures.

    It depends on the figures alone, so a resumed run goes on as if it had not been interrupted.
    """
    scale, best, waited = 1.0, math.inf, 0
    for value in watched:
        waited = 0 if value < best else waited + 1
        best = min(best, value)
        if waited == config.plateau_patience:
            scale, waited = scale * config.plateau_factor, 0
    return scale


class Before(NamedTuple):
    """What a run had done before it was interrupted.

    Attributes:
        progress: how far the schedule was, 0 to 1.
        seconds: of training.
        steps: of the epoch in which it was interrupted.
    """

    progress: float = 0.0
    seconds: float = 0.0
    steps: int = 0


_NOTHING = Before()


class Schedule(keras.callbacks.Callback):
    """Sets the learning rate before every step, and ends the run with the schedule when the time is up.

    Where the time budget is too short for all epochs, the number of steps that fit is estimated again every few
    steps, from a tenth of the budget on, and what is left of the schedule is spread over them: the learning rate still
    comes down smoothly, on a machine of any speed. With time to spare nothing depends on the clock, however slowly the
    run began.

    Args:
        config: schedule, epochs and time budget.
        steps_per_epoch: batches in an epoch.
        before: of a resumed run.
        clock: seconds; for tests.
        watched: gives the monitored figures of the epochs so far, which schedule "plateau" goes by.
    """

    def __init__(
        self,
        config: FitConfig,
        steps_per_epoch: int,
        before: Before = _NOTHING,
        clock: Callable[[], float] = time.monotonic,
        watched: Callable[[], Sequence[float]] = tuple,
    ) -> None:
        super().__init__()
        self.progress = before.progress
        self._watched = watched
        self._scale = 1.0
        self._config = config
        self._steps_per_epoch = steps_per_epoch
        self._planned = config.epochs * steps_per_epoch
        self._clock = clock
        self._step = 0  # of the whole run
        self._skipped = before.steps
        self._fitting = self._planned  # steps that fit into the budget
        self._started = clock()
        self._budget = config.max_minutes * 60 - before.seconds if config.max_minutes else math.inf
        self._measured_from: tuple[int, float] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count from the first step of this epoch, and see whether the validation figure still gets better."""
        if self._config.schedule == "plateau":
            self._scale = plateau_scale(self._watched(), self._config)
        self._step = epoch * self._steps_per_epoch + self._skipped
        self._skipped = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the learning rate of this step."""
        self.model.optimizer.learning_rate = learning_rate_at(self.progress, self._config) * self._scale

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on by one of the steps that are left, and stop the training where none are."""
        self.progress += (1 - self.progress) / max(1, self._fitting - self._step)
        self._step += 1
        spent = self._clock() - self._started
        if self._budget < math.inf and self._step % MEASURE_EVERY == 0:
            self._fit_into_budget(spent)
        if self._step >= self._fitting or spent >= self._budget:
            self.model.stop_training = True

    def _fit_into_budget(self, spent: float) -> None:
        if self._measured_from is None:
            if spent >= MEASURE_FROM * self._budget:
                self._measured_from = (self._step, spent)
            return
        if spent < TRUST_FROM * self._budget:
            return
        step, moment = self._measured_from
        seconds_per_step = (spent - moment) / (self._step - step)  # validation between epochs included
        affordable = int((self._budget - spent) / seconds_per_step)
        self._fitting = min(self._planned, self._step + affordable)
