"""The figures of every epoch: kept on disk while training, and enough to go on after a kill."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import keras

from s2s_runtime.files.atomic_write import replacing
from s2s_runtime.files.json_fields import read_json, write_json
from s2s_training.config.fit import FitConfig
from s2s_training.errors import DivergenceError
from s2s_training.fit.averaging import Averaging, averaged
from s2s_training.fit.compiling import MONITORED
from s2s_training.fit.schedule import Schedule
from s2s_training.runs.run_folder import RunFolder


class History:
    """The figures of every epoch, by name, as lists of equal length.

    `epoch` counts from 1; `seconds` includes validation; `progress` says how far the learning rate schedule was at
    the end of the epoch. The others are the losses and metrics of `fit`, those of validation with `val_` before.

    Args:
        columns: the figures so far.
        monitored: name of the figure that tells the best epoch, the least being best.
        keeps_last: whether the last epoch's weights are kept, not the best one's.
    """

    def __init__(
        self,
        columns: dict[str, list[float]] | None = None,
        monitored: str = MONITORED,
        *,
        keeps_last: bool = False,
    ) -> None:
        self.columns: dict[str, list[float]] = columns or {}
        self._monitored, self._keeps_last = monitored, keeps_last

    @classmethod
    def read(cls, path: Path, monitored: str = MONITORED, *, keeps_last: bool = False) -> History:
        """Read what `write` wrote; where there is no such file, return a history without epochs."""
        return cls(read_json(path) if path.is_file() else None, monitored, keeps_last=keeps_last)

    def write(self, path: Path) -> None:
        """Write the figures as a JSON object of lists."""
        write_json(path, self.columns)

    def __len__(self) -> int:
        return len(self.columns.get("epoch", []))

    def append(self, row: dict[str, float]) -> None:
        """Add the figures of an epoch."""
        for name, value in row.items():
            self.columns.setdefault(name, []).append(value)

    def truncate(self, epochs: int) -> None:
        """Keep the figures of the first so many epochs, and drop the others."""
        self.columns = {name: values[:epochs] for name, values in self.columns.items()}

    def seconds(self) -> float:
        """Return how many seconds the epochs so far took, those before an interruption included."""
        return sum(self.columns.get("seconds", []))

    def last(self, name: str, default: float) -> float:
        """Return a figure of the last epoch, or `default` before the first."""
        return self.columns[name][-1] if len(self) else default

    def watched(self) -> list[float]:
        """Return the monitored figure of every epoch so far."""
        return self.columns.get(self._monitored, [])

    def best(self) -> int:
        """Return the index of the epoch with the least monitored figure, the first of equals; -1 before any."""
        watched = self.watched()
        return watched.index(min(watched)) if watched else -1

    def kept(self) -> int:
        """Return the index of the epoch whose weights are kept; -1 before any."""
        return len(self) - 1 if self._keeps_last else self.best()

    def finished(self, epochs: int, patience: int) -> bool:
        """Return whether the training is over.

        It is when all epochs are done, or when the last `patience` of them brought nothing better than the best (0 = no
        limit).
        """
        waited = len(self) - 1 - self.best()
        return len(self) >= epochs or (patience > 0 and waited >= patience)


class KeepHistory(keras.callbacks.Callback):
    """Writes the history and the weights to be kept after every epoch, and stops when nothing gets better.

    Everything it knows is in the history, so a resumed run goes on with the same best epoch and the same patience.

    Args:
        history: figures so far, extended in place.
        schedule: gives the learning rate's progress.
        config: epochs and patience.
        folder: where the history and the weights go.
        averaging: of the weights, which are saved averaged then; or None.
        seconds: that the first epoch took before it was interrupted.
    """

    def __init__(
        self,
        history: History,
        schedule: Schedule,
        config: FitConfig,
        folder: RunFolder,
        averaging: Averaging | None = None,
        *,
        seconds: float = 0.0,
    ) -> None:
        super().__init__()
        self._seconds = seconds
        self.history = history
        self._schedule = schedule
        self._config = config
        self._folder = folder
        self._averaging = averaging
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._begun = time.monotonic() - self._seconds
        self._seconds = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch.

        Raises:
            DivergenceError: its loss is no finite number. Nothing is recorded, and nothing backed up after this.
        """
        self._require_finite(epoch + 1, logs or {})
        seconds = time.monotonic() - self._begun
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        row |= {
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": round(seconds, 2),
        }
        self.history.append(row | {"progress": self._schedule.progress})
        if self.history.kept() == epoch:
            with averaged(self._averaging), replacing(self._folder.best_weights) as beside:
                self.model.save_weights(beside)
        self.history.write(self._folder.history)
        if self.history.finished(self._config.epochs, self._config.patience):
            self.model.stop_training = True

    def _require_finite(self, epoch: int, logs: dict[str, Any]) -> None:
        wrong = [name for name in ("loss", "val_loss", "val_error") if not math.isfinite(logs.get(name, 0.0))]
        if wrong:
            clip = "" if self._config.clip_norm else ", or a clip_norm, such as 1"
            raise DivergenceError(
                f"{wrong[0]} is {float(logs[wrong[0]])} in epoch {epoch}: training diverged; try a lower learning_rate "
                f"than {self._config.learning_rate}, a longer warm_up{clip}"
            )
