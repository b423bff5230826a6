"""Learning to go on with a text: see `s2s_training.fit.task`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

import keras
import tensorflow as tf

from s2s_runtime.files.atomic_write import replacing
from s2s_training.config.training import TrainingConfig
from s2s_training.data.corpus import Part
from s2s_training.data.tf_datasets import EpochOrder, generated
from s2s_training.fit.compiling import CrossEntropy, StepMean, make_optimizer, step_metrics
from s2s_training.fit.epoch_history import MONITORED
from s2s_training.language_models.id_files import IdFile, Windows, write_ids
from s2s_training.language_models.model import build_carrying_model, build_language_model
from s2s_training.language_models.text_parts import TextParts
from s2s_training.runs.data_digests import require_same_data, write_digests
from s2s_training.runs.run_folder import RunFolder
from s2s_training.stages import Stages, unseen

logger = logging.getLogger(__name__)
_FEWEST_WINDOWS: Final = 8  # of a row that is validated, where the text has no lines to begin rows with


class LanguageTask:
    """The text of a run and its untrained model.

    Args:
        config: of the run. Its weights follow Keras's global random seed, which has to be set before.
        stages: is told how far it is.

    Attributes:
        text: its parts and vocabulary.
        monitored: the figure that tells the best epoch.

    Raises:
        DataError, MissingExtraError: the text can't be read.
    """

    def __init__(self, config: TrainingConfig, stages: Stages = unseen) -> None:
        self._config = config
        self._stages = stages
        self.text = TextParts(config.data, stages)
        parts = (self.text.lines["train"], self.text.lines["valid"], self.text.lines["test"])
        logger.info("%d lines to train on, %d for validation, %d for testing", *parts)
        self.vocabulary = self.text.vocabulary
        stages("building the model")
        symbols, start = len(self.vocabulary.target), self.vocabulary.target.start_id
        self._plain = build_language_model(config.model, symbols)
        self.model = build_carrying_model(config.model, symbols, config.fit.batch_size, start)
        self.model.compile(
            optimizer=make_optimizer(config.fit),
            loss=CrossEntropy(config.fit.label_smoothing),
            weighted_metrics=[*step_metrics(), Perplexity()],
            jit_compile=False,
        )
        logger.info("%d symbols, %s parameters", symbols, f"{self.model.count_params():,}")
        self.monitored = "val_loss" if config.fit.label_smoothing else MONITORED
        self._files: dict[Part, IdFile] = {}

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""
        return self._windows("train").steps

    def training(self, order: EpochOrder) -> tf.data.Dataset:
        """Return the windows of an epoch; lines that are sentences are read in an order of their own each time."""
        blocks = len(self._files["train"].starts)
        return self._dataset("train", lambda: order.generator().permutation(blocks) if self._of_lines else None)

    def validation(self) -> tf.data.Dataset:
        """Return the windows of the validation part."""
        return self._dataset("valid", lambda: None)

    def validation_error(self) -> None:
        """Return nothing: what is written is neither right nor wrong."""

    def check(self, folder: RunFolder) -> None:
        """Check that lines and symbols are those with which the run in the folder began; see `Task.check`."""
        require_same_data(folder, self.text.digests)

    def write(self, folder: RunFolder) -> None:
        """Write the digests of the text, `vocab.json`, the held-out lines as `test.txt`, and the ids of all parts."""
        write_digests(folder, self.text.digests)
        self.vocabulary.write(folder.vocabulary)
        part = self._held_out
        with replacing(folder.held_out_text) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for of, line in self.text.of_parts() if of == part)
        self._stages("turning the text into numbers")
        symbols = len(self.vocabulary.target)
        self._files = write_ids(folder.path, self.text.ids(), symbols, self.text.lines)

    def errors(self) -> dict[str, dict[str, Any]]:
        """Return the perplexity of the held-out lines."""
        part = self._held_out
        figures = self.model.evaluate(self._dataset(part, lambda: None), return_dict=True, verbose=0)
        counted = sum(int(weights.sum()) for _, _, weights, _ in self._windows(part).batches())
        return {
            "held-out lines": {
                "lines": self.text.lines[part],
                "symbols": counted,
                "cross_entropy": figures["cross_entropy"],
                "perplexity": figures["perplexity"],
            }
        }

    def trained(self) -> keras.Model:
        """Return the model to be saved: a plain one, which gives what follows each symbol."""
        self._plain.set_weights(self.model.get_weights())
        return keras.Model(self._plain.input, self._plain.output, name=self._plain.name)

    @property
    def _held_out(self) -> Part:
        return "test" if self.text.lines["test"] else "valid"

    @property
    def _of_lines(self) -> bool:
        return self._config.data.carry == "line"

    def _windows(self, part: Part) -> Windows:
        fit, file = self._config.fit, self._files[part]
        used = fit.batch_size
        if part != "train" and not self._of_lines:
            used = min(used, max(1, len(file.ids) // (fit.window * _FEWEST_WINDOWS)))
        start = self.vocabulary.target.start_id
        return Windows(file, fit.batch_size, used, fit.window, start, self._of_lines and part != "train")

    def _dataset(self, part: Part, order: Any) -> tf.data.Dataset:
        windows = self._windows(part)

        def batches() -> Iterator[Any]:
            for inputs, labels, weights, carried in windows.batches(order()):
                yield (inputs, carried), labels, weights

        ids, floats = (tf.TensorSpec((windows.rows, windows.length), dtype) for dtype in (tf.int32, tf.float32))
        signature = ((ids, tf.TensorSpec((windows.rows, 1), tf.float32)), ids, floats)
        return generated(batches, signature, windows.steps).prefetch(4)


class Perplexity(StepMean):
    """The exponential of the mean cross-entropy of all steps that count."""

    def __init__(self) -> None:
        super().__init__(keras.losses.sparse_categorical_crossentropy, name="perplexity")

    def result(self) -> Any:
        """Return the perplexity."""
        return keras.ops.exp(super().result())
