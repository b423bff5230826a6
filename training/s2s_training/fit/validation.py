"""Decodes the validation part after every epoch."""

from __future__ import annotations

from typing import Any

import keras

from s2s_training.fit.averaging import Averaging, averaged
from s2s_training.fit.task import Task

VALIDATION_ERROR = "val_error"


class DecodeValidation(keras.callbacks.Callback):
    """Adds `val_error` to the figures of an epoch: how wrong the sequences are that the model writes by itself.

    It has to stand before the callbacks that read the figures.

    Args:
        task: decodes.
        averaging: of the weights, or None.
    """

    def __init__(self, task: Task, averaging: Averaging | None) -> None:
        super().__init__()
        self._task = task
        self._averaging = averaging

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Decode the validation part, where the task asks for it, and add the error to the figures."""
        with averaged(self._averaging):
            error = self._task.validation_error()
        if error is not None and logs is not None:
            logs[VALIDATION_ERROR] = error
