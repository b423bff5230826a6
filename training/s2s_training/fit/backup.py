"""Saves a training's state after every epoch, and takes it up again after a kill."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras

from s2s_runtime.files.atomic_write import replacing

_NAME = re.compile(r"epoch-(\d+)\.weights\.h5")


class Backup(keras.callbacks.Callback):
    """Keeps the weights and the optimizer's state of the last whole epoch.

    The number of the epoch is in the file's name, so that one rename puts both in force: whenever the process is
    killed, a whole state is left. Keras's `BackupAndRestore` writes two files in place instead; killed while it writes,
    it can't be restored, or repeats an epoch on weights that have seen it.

    Args:
        folder: where the state is kept, made when needed.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def restore(self, model: keras.Model) -> int:
        """Load the last state into a compiled model.

        Returns:
            How many epochs it has been trained for; 0 where there is no state.
        """
        # Its state needs a place to be loaded into. Without one to load too: what the optimizer makes while the first
        # step is traced would have that step traced again, which takes as long as a few epochs of a small model.
        model.optimizer.build(model.trainable_variables)
        epochs, path = max(self._states(), default=(0, None))
        if path is not None:
            model.load_weights(path)
        return epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the state of this epoch, then remove the one before."""
        self._folder.mkdir(exist_ok=True)
        before = self._states()
        with replacing(self._folder / f"epoch-{epoch + 1}.weights.h5") as beside:
            self.model.save_weights(beside)
        for _, path in before:
            path.unlink()

    def _states(self) -> list[tuple[int, Path]]:
        """Return the number of epochs and the file of every state that is whole."""
        matches = ((_NAME.fullmatch(path.name), path) for path in self._folder.glob("*"))
        return [(int(match[1]), path) for match, path in matches if match]
