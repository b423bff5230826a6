"""What training needs to know of what is learned: texts or continuous sequences, each a `Task` of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import keras
import tensorflow as tf

from s2s_training.data.tf_datasets import EpochOrder
from s2s_training.runs.run_folder import RunFolder


class Task(Protocol):
    """The data of a run and its untrained model.

    Attributes:
        model: compiled; what is trained.
        steps: batches in an epoch.
        monitored: name of the validation figure that tells the best epoch where the loss does; less is better.
    """

    model: keras.Model
    steps: int
    monitored: str

    def training(self, order: EpochOrder) -> tf.data.Dataset:
        """Return the batches of an epoch, in an order that depends on its number."""

    def validation(self) -> tf.data.Dataset:
        """Return the batches of the validation part."""

    def validation_error(self) -> float | None:
        """Return how far decoded validation sequences are from right, 0 = all right; None where none are decoded."""

    def check(self, folder: RunFolder) -> None:
        """Check that the data is what the run in the folder began with, if one began there; change nothing.

        Raises:
            RunFolderError: it isn't.
        """

    def write(self, folder: RunFolder) -> None:
        """Write vocabularies, held-out sequences, and what `check` compares."""

    def errors(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the figures of decoded held-out sequences, by name of the comparison; empty where none are decoded."""

    def trained(self) -> keras.Model:
        """Return the model to be saved: float32, without optimizer and loss."""
