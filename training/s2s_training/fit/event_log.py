"""Figures of every epoch as event files, for TensorBoard. Writing them needs TensorFlow alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

# What tells TensorBoard that a tensor is a point of a curve: its package, which has `tf.summary.scalar`, need not be
# installed where training runs.
SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class=1
)


class EventLog(keras.callbacks.Callback):
    """Writes the figures of every epoch; validation is a run of its own, so that both curves share a picture.

    Args:
        folder: holds `train/` and `validation/` afterwards.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write one point of every curve."""
        figures = dict(logs or {}) | {"learning_rate": float(self.model.optimizer.learning_rate)}
        for name, value in figures.items():
            run = "validation" if name.startswith("val_") else "train"
            with self._writer(run).as_default():
                tf.summary.write(name.removeprefix("val_"), tf.constant(float(value)), step=epoch + 1, metadata=SCALAR)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            self._writers[run] = tf.summary.create_file_writer(str(self._folder / run))
        return self._writers[run]
