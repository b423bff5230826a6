"""Saves a training's state after every epoch, and between, and takes it up again after a kill."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from s2s_runtime.files.atomic_write import replacing
from s2s_training.data.tf_datasets import random_states

_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.weights\.h5")


@dataclass(frozen=True)
class Place:
    """Where a run goes on.

    Attributes:
        epochs: whole epochs that were trained.
        step: steps of the next one that were trained too.
        progress: how far the schedule was after that step.
        seconds: that these steps took.
        variables: what changes within an epoch and isn't saved with the weights: states of dropout, sums of figures.
    """

    epochs: int = 0
    step: int = 0
    progress: float = 0.0
    seconds: float = 0.0
    variables: list[NDArray[Any]] = field(default_factory=list)


class Backup(keras.callbacks.Callback):
    """Keeps the weights and the optimizer's state of the last whole epoch, and of a step behind it.

    Epoch and step are in the file's name, so that one rename puts all in force: whenever the process is killed, a whole
    state is left. What a state within an epoch needs besides is in a file beside it, which is written first. Keras's
    `BackupAndRestore` writes two files in place instead; killed while it writes, it can't be restored, or repeats an
    epoch on weights that have seen it.

    It has to stand behind the callbacks whose state it saves.

    Args:
        folder: where the state is kept, made when needed.
        every: steps between states within an epoch; 0 = none.
        progress: gives that of the schedule.
    """

    def __init__(self, folder: Path, every: int = 0, progress: Callable[[], float] = float) -> None:
        super().__init__()
        self._folder, self._every, self._progress = folder, every, progress
        self._place = Place()
        self._sums: list[NDArray[Any]] = []
        self._epoch, self._begun = 0, 0.0

    def restore(self, model: keras.Model) -> Place:
        """Load the last state into a compiled model, and return where it goes on."""
        # Its state needs a place to be loaded into. Without one to load too: what the optimizer makes while the first
        # step is traced would have that step traced again, which takes as long as a few epochs of a small model.
        model.optimizer.build(model.trainable_variables)
        epochs, step, path = max(self._states(), default=(0, 0, None))
        if path is not None:
            model.load_weights(path)
        self._place = Place(epochs)
        if path is not None and step:
            with np.load(_beside(path)) as beside:
                progress, seconds, *variables = (beside[f"arr_{i}"] for i in range(len(beside.files)))
            self._place = Place(epochs, step, float(progress), float(seconds), variables)
        return self._place

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Give dropout the state that it had where this epoch was interrupted."""
        self._epoch, self._begun = epoch, time.monotonic()
        if self._place.epochs != epoch or not self._place.step:
            self._place = Place(epoch)
        seeds = random_states(self.model)
        if self._place.step:
            for variable, value in zip(seeds, self._place.variables, strict=False):
                variable.assign(value)
        # Keras makes the variables of figures within the first step. All figures are means, and their variables sums.
        self._sums = self._place.variables[len(seeds) :]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the state behind this step, where it is one of those. Figures count what a run did before."""
        for figure, before in zip(self._figures() if self._sums else [], self._sums, strict=True):
            figure.assign(figure + before)
        self._sums = []
        step = self._place.step + batch + 1
        if self._every and step % self._every == 0:
            seconds = self._place.seconds + time.monotonic() - self._begun
            variables = (*random_states(self.model), *self._figures())
            numbers = [keras.ops.convert_to_numpy(variable) for variable in variables]
            self._save(f"epoch-{self._epoch}-step-{step}.weights.h5", (self._progress(), seconds, *numbers))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the state of this epoch, then remove those before."""
        self._save(f"epoch-{epoch + 1}.weights.h5")

    def _save(self, name: str, beside_it: tuple[Any, ...] = ()) -> None:
        self._folder.mkdir(exist_ok=True)
        before = [path for *_, path in self._states()]
        if beside_it:
            with replacing(_beside(self._folder / name)) as beside, beside.open("wb") as file:
                np.savez(file, *beside_it)
        with replacing(self._folder / name) as beside:
            self.model.save_weights(beside)
        for path in before:
            if path.name != name:
                path.unlink()
                _beside(path).unlink(missing_ok=True)

    def _figures(self) -> list[Any]:
        """Return the variables of the losses and metrics of an epoch."""
        return [variable for metric in self.model.metrics for variable in metric.variables]

    def _states(self) -> list[tuple[int, int, Path]]:
        """Return the number of epochs and of steps behind them, and the file, of every state that is whole."""
        matches = ((_NAME.fullmatch(path.name), path) for path in self._folder.glob("*"))
        return [(int(match[1]), int(match[2] or 0), path) for match, path in matches if match]


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix('.weights.h5')}.npz")
