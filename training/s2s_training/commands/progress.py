"""Shows a run on the terminal: a bar within the epoch, a line per epoch."""

from __future__ import annotations

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from s2s_runtime.console.manners import shows_progress


class ShowProgress(keras.callbacks.Callback):
    """A bar while an epoch runs (on a terminal), and a line of figures after it.

    Args:
        console: where to; standard error, normally.
        epochs: planned number of epochs.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not shows_progress(console),
        )
        self._console = console
        self._task = self._bar.add_task("epoch", epoch="", loss=0.0)
        self._begun = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start drawing."""
        self._bar.start()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Stop drawing."""
        self.stop()

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """An empty bar."""
        self._begun = time.monotonic()
        self._bar.reset(self._task, total=self.params["steps"])  # without fields: it would drop those not named
        self._bar.update(self._task, epoch=f"{epoch + 1}/{self._epochs}", loss=0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """One step further."""
        if not self._bar.disable:
            self._bar.update(self._task, completed=batch + 1, loss=float((logs or {}).get("loss", 0.0)))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """A line of figures."""
        figures = logs or {}
        parts = [f"epoch {epoch + 1:>3}/{self._epochs}"]
        parts.append(f"loss {figures['loss']:.4f}  validation {figures['val_loss']:.4f}")
        if "cross_entropy" in figures:  # texts
            if figures["cross_entropy"] != figures["loss"]:  # labels are smoothed
                parts.append(f"cross-entropy {figures['cross_entropy']:.4f}, {figures['val_cross_entropy']:.4f}")
            parts.append(f"token accuracy {figures['val_token_accuracy']:.2%}")
        if "val_error" in figures:
            parts.append(f"decoded error {figures['val_error']:.4f}")
        parts.append(f"{time.monotonic() - self._begun:.1f} s")
        self._console.print("  ".join(parts), highlight=False, soft_wrap=True)
