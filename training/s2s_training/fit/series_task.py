"""Learning to write continuous sequences: see `s2s_training.fit.task`."""

from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from s2s_runtime.files.atomic_write import replacing
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.config.training import TrainingConfig
from s2s_training.data.series import SERIES, Floats
from s2s_training.data.tf_datasets import EpochOrder
from s2s_training.fit.compiling import make_optimizer
from s2s_training.fit.precision import training_twin
from s2s_training.models.continuous import continuous_encoder_decoder
from s2s_training.runs.data_digests import refuse
from s2s_training.runs.run_folder import RunFolder

logger = logging.getLogger(__name__)
SHOWN = (0, 24, 49, 74)  # the windows that people look at


class SeriesTask:
    """The windows of a run and its untrained model.

    Every window is trained on, as published: neighbours share 23 of their 24 points, so holding some out would prove
    nothing. What is validated is harder than what is trained: the prediction that reads its own values.

    Args:
        config: of the run. Its weights follow Keras's global random seed, which has to be set before.

    Raises:
        ConfigError: model options that continuous data have no use for.
    """

    monitored = "val_loss"

    def __init__(self, config: TrainingConfig) -> None:
        self._windows = SERIES[config.data.data].windows()
        count, window, features = self._windows.sources.shape
        self._plain = continuous_encoder_decoder(
            config.model.units, source_features=features, target_features=self._windows.targets.shape[-1], length=window
        )
        self.model = training_twin(self._plain, config.fit)
        self.model.compile(optimizer=make_optimizer(config.fit), loss="mean_squared_error", jit_compile=False)
        logger.info("%d windows of %d points, %s parameters", count, window, f"{self.model.count_params():,}")
        self._batch_size = config.fit.batch_size
        self.steps = -(-count // self._batch_size)
        self._step = tf.function(lambda inputs: self.model(inputs, training=False))

    def training(self, order: EpochOrder) -> tf.data.Dataset:
        """Return the batches of an epoch, shuffled."""

        def batches() -> Any:
            rows = order.generator().permutation(len(self._windows.sources))
            for start in range(order.skip * self._batch_size, len(rows), self._batch_size):
                yield self._batch(rows[start : start + self._batch_size])

        inputs, targets = self._batch(np.arange(1))
        specs = [tf.TensorSpec((None, *array.shape[1:]), tf.float32) for array in (*inputs, targets)]
        dataset = tf.data.Dataset.from_generator(batches, output_signature=((specs[0], specs[1]), specs[2]))
        return dataset.apply(tf.data.experimental.assert_cardinality(self.steps - order.skip))

    def validation(self) -> tf.data.Dataset:
        """Return the batches of all windows, with the true values as decoder input."""
        return tf.data.Dataset.from_tensors(self._batch(np.arange(len(self._windows.sources))))

    def validation_error(self) -> float:
        """Return the mean squared error over all windows of predictions that read their own values."""
        return float(np.mean((self.predict(self._windows.sources) - self._windows.targets) ** 2))

    def check(self, folder: RunFolder) -> None:
        """Check that the windows are those with which the run in the folder began; see `Task.check`.

        Values may differ by what another machine's sine differs by.
        """
        if not folder.windows.is_file():
            return
        with np.load(folder.windows) as then:
            for name in ("points", "sources", "targets"):
                now = getattr(self._windows, name)
                if then[name].shape != now.shape or not np.allclose(then[name], now, atol=1e-5):
                    refuse(folder, f"other {name} of windows")

    def write(self, folder: RunFolder) -> None:
        """Write `vocab.json`, which only says how long targets are, and `windows.npz`."""
        window = self._windows.points.shape[1]
        VocabularyFile(None, None, PaddingPolicy(masked=False), window).write(folder.vocabulary)
        windows = self._windows
        with replacing(folder.windows) as beside:
            np.savez(beside, points=windows.points, sources=windows.sources, targets=windows.targets, shown=SHOWN)

    def errors(self) -> dict[str, dict[str, Any]]:
        """Return mean squared errors of predictions that read their own values.

        One is over all windows, the other over those that are shown to people.
        """
        shown = list(SHOWN)
        off = (self.predict(self._windows.sources[shown]) - self._windows.targets[shown]) ** 2
        return {
            "all windows": {"sequences": len(self._windows.sources), "mean_squared_error": self.validation_error()},
            "windows shown": {"sequences": len(shown), "mean_squared_error": float(off.mean())},
        }

    def trained(self) -> keras.Model:
        """Return a float32 model with the trained weights; loading its file needs no model class of this package."""
        if self._plain is not self.model:
            self._plain.set_weights(self.model.get_weights())
        return keras.Model(self._plain.input, self._plain.output, name=self._plain.name)

    def predict(self, sources: Floats) -> Floats:
        """Predict each value from the ones predicted before it.

        The whole model is called again at every step, so this shares nothing with a decoder.

        Args:
            sources: (windows, time, features), float32.

        Returns:
            (windows, time, target features), float32.
        """
        fed = np.zeros((*sources.shape[:2], self._windows.targets.shape[-1]), np.float32)
        for step in range(sources.shape[1]):
            values = self._step((sources, fed)).numpy()
            if step + 1 < fed.shape[1]:
                fed[:, step + 1] = values[:, step]
        return values

    def _batch(self, rows: Any) -> tuple[tuple[Floats, Floats], Floats]:
        windows = self._windows
        return (windows.sources[rows], windows.decoder_inputs()[rows]), windows.targets[rows]
