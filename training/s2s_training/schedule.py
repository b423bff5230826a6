"""The learning rate over a run, and fitting the run into a time budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from s2s_training.config import FitConfig

WARM_UP = 0.05  # share of the run
MEASURE_FROM = 20  # the first steps include tracing and say nothing about speed
MEASURE_EVERY = 10


def learning_rate_at(progress: float, config: FitConfig) -> float:
    """The learning rate at a point of the run.

    Args:
        progress: 0 at the first step, 1 after the last.
        config: schedule and highest learning rate.
    """
    if config.schedule == "constant":
        return config.learning_rate
    if progress < WARM_UP:
        return config.learning_rate * (progress + WARM_UP / 10) / (WARM_UP * 1.1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


class Schedule(keras.callbacks.Callback):
    """Sets the learning rate before every step, and ends the run with the schedule when the time is up.

    Where the time budget is too short for all epochs, the number of steps that fit is estimated again every few
    steps, and what is left of the schedule is spread over them: the learning rate still comes down smoothly, on a
    machine of any speed. With time to spare nothing depends on the clock.

    Args:
        config: schedule, epochs and time budget.
        steps_per_epoch: batches in an epoch.
        progress: how far the schedule is already, of a resumed run.
        clock: seconds; for tests.
    """

    def __init__(
        self,
        config: FitConfig,
        steps_per_epoch: int,
        progress: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.progress = progress
        self._config = config
        self._steps_per_epoch = steps_per_epoch
        self._planned = config.epochs * steps_per_epoch
        self._clock = clock
        self._step = 0  # of the whole run
        self._fitting = self._planned  # steps that fit into the budget
        self._deadline = clock() + config.max_minutes * 60 if config.max_minutes else math.inf
        self._measured_from: tuple[int, float] | None = None
        self._first_step: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count from this epoch's first step."""
        self._step = epoch * self._steps_per_epoch
        if self._first_step is None:
            self._first_step = self._step

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the learning rate of this step."""
        self.model.optimizer.learning_rate = learning_rate_at(self.progress, self._config)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on by one step of those that are left; stop where none are."""
        self.progress += (1 - self.progress) / max(1, self._fitting - self._step)
        self._step += 1
        if self._deadline < math.inf and self._step % MEASURE_EVERY == 0:
            self._fit_into_budget()
        if self._step >= self._fitting or self._clock() >= self._deadline:
            self.model.stop_training = True

    def _fit_into_budget(self) -> None:
        now = self._clock()
        if self._measured_from is None:
            if self._step - self._first_step >= MEASURE_FROM:
                self._measured_from = (self._step, now)
            return
        step, moment = self._measured_from
        seconds_per_step = (now - moment) / (self._step - step)  # validation between epochs included
        affordable = int((self._deadline - now) / seconds_per_step)
        self._fitting = min(self._planned, self._step + affordable)
