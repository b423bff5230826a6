"""Shows a run on the terminal: what is being done, a bar within the epoch, a line per epoch."""

from __future__ import annotations

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.text import Text

from s2s_runtime.console.manners import shows_progress

LONG = 10.0  # seconds after which a stage is worth a line, where no line is redrawn
OFTEN = 60.0  # seconds between lines within an epoch there


class ShowProgress(keras.callbacks.Callback):
    """Shows what is being done before and after the epochs, a bar while one runs, and a line of figures after it.

    Where nobody sees a line redrawn, as in a file, what takes long is said in lines of its own.

    Args:
        console: where to; standard error, normally.
        epochs: planned number of epochs.
        smoothed: whether labels are smoothed, so that the loss is another figure than the cross-entropy.
    """

    def __init__(self, console: Console, epochs: int, *, smoothed: bool) -> None:
        super().__init__()
        self._smoothed = smoothed
        self._epochs = epochs
        self._status: Status | None = None  # beside a bar no other line can be redrawn
        self._stage = ""
        self._told = time.monotonic()  # when something was said last
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
        self._begun, self._epoch = 0.0, 0

    def stage(self, what: str, done: int = 0, total: int = 0, /) -> None:
        """Show what is being done, as `Stages` describes it."""
        if not self._bar.disable:
            if self._status is None:
                self._status = self._console.status("")
                self._status.start()
            self._status.update(Text(f"{what}: {done / total:.0%}" if total else what))
        elif what != self._stage:
            self._say_rarely(what, LONG)
        self._stage = what

    def _say_rarely(self, what: str, seconds: float) -> None:
        """Print a line, unless something was printed less than so many seconds ago."""
        if time.monotonic() - self._told >= seconds:
            self._say(what)

    def _say(self, what: str) -> None:
        self._console.print(what, highlight=False, soft_wrap=True, markup=False)
        self._told = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start drawing."""
        self._stop_status()
        self._bar.start()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Stop drawing."""
        self.stop()

    def stop(self) -> None:
        """Take away what is redrawn: the bar, or the line with the spinner."""
        self._stop_status()
        self._bar.stop()

    def _stop_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show an empty bar for this epoch."""
        self._begun, self._epoch = time.monotonic(), epoch + 1
        self._bar.reset(self._task, total=self.params["steps"])  # without fields: it would drop those not named
        self._bar.update(self._task, epoch=f"{epoch + 1}/{self._epochs}", loss=0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar on by one step, and show the latest figures."""
        loss = float((logs or {}).get("loss", 0.0))
        if self._bar.disable:
            steps = f"{batch + 1}/{self.params['steps']} steps"
            self._say_rarely(f"epoch {self._epoch}/{self._epochs}  {steps}  loss {loss:.4f}", OFTEN)
        else:
            self._bar.update(self._task, completed=batch + 1, loss=loss)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print a line with the figures of this epoch."""
        figures = logs or {}
        parts = [f"epoch {epoch + 1:>3}/{self._epochs}"]
        parts.append(f"loss {figures['loss']:.4f}  validation {figures['val_loss']:.4f}")
        if "cross_entropy" in figures:  # texts
            if self._smoothed:
                parts.append(f"cross-entropy {figures['cross_entropy']:.4f}, {figures['val_cross_entropy']:.4f}")
            parts.append(f"token accuracy {figures['val_token_accuracy']:.2%}")
        if "val_perplexity" in figures:
            parts.append(f"perplexity {figures['val_perplexity']:.3f}")
        if "val_error" in figures:
            parts.append(f"decoded error {figures['val_error']:.4f}")
        parts.append(f"{time.monotonic() - self._begun:.1f} s")
        self._say("  ".join(parts))
