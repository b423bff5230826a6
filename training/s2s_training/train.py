"""A whole training run, from a configuration to a run folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from s2s_runtime.vocabulary import VocabularyFile
from s2s_training.arrays import BucketedPairs, Layout, encode_pairs
from s2s_training.backup import Backup
from s2s_training.build_vocabulary import build_vocabulary, drop_long
from s2s_training.config import FitConfig, TrainingConfig
from s2s_training.corpus import Corpus, Example
from s2s_training.datasets import load_corpus
from s2s_training.decode import GreedyDecoder
from s2s_training.fitting import compile_model
from s2s_training.history import History, KeepHistory
from s2s_training.metrics import error_rates
from s2s_training.models import build_model
from s2s_training.pipeline import EpochOrder, make_dataset
from s2s_training.plots import plot_losses
from s2s_training.run_folder import RunFolder
from s2s_training.schedule import Schedule

logger = logging.getLogger(__name__)


def train(
    config: TrainingConfig,
    path: str | Path,
    *,
    resume: bool = False,
    force: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, Any]:
    """Train a model and write its run folder; see `RunFolder` for what stands in it.

    Same configuration, same machine: same losses, whether the run was interrupted or not. Keras's global random seed
    is set.

    Args:
        config: everything about the run.
        path: the run folder.
        resume: continue a run that was interrupted, from its last whole epoch; start it where there is none.
        force: replace the folder of another run.
        callbacks: more Keras callbacks, such as one that shows progress.

    Returns:
        The content of `summary.json`: the best epoch, its figures, and error rates on held-out pairs.

    Raises:
        RunFolderError: the folder can't be used.
        DataNotFoundError, DataError, MissingExtraError: the data can't be read.
    """
    folder = RunFolder(Path(path))
    folder.check(config, resume=resume, force=force)
    if resume and folder.complete():
        logger.info("%s is complete: nothing to resume", folder.path)
        return folder.read_summary()

    prepared = prepare(config)
    folder.prepare(config, prepared.vocabulary, prepared.corpus.held_out(), resume=resume)
    started = time.monotonic()
    history = _fit(prepared, config.fit, folder, callbacks)
    minutes = (time.monotonic() - started) / 60
    prepared.model.load_weights(folder.best_weights)
    plot_losses(history, folder.plot)
    summary = _summary(history, prepared, config, minutes)
    # A model of its own around the same layers: neither the optimizer's state nor the loss goes into the file, so it is
    # a third of the size and loads without this package.
    model = prepared.model
    folder.finish(keras.Model(model.input, model.output, name=model.name), summary)
    return summary


@dataclass(frozen=True)
class Prepared:
    """A run's data and untrained model.

    Attributes:
        corpus: training pairs within the length limits, and held-out pairs.
        vocabulary: of both sides.
        layout: how pairs become arrays.
        model: compiled.
    """

    corpus: Corpus
    vocabulary: VocabularyFile
    layout: Layout
    model: keras.Model

    def bucketed(self, examples: Sequence[Example], config: FitConfig) -> BucketedPairs:
        """Examples as padded arrays."""
        pairs = encode_pairs(examples, self.vocabulary)
        return BucketedPairs(pairs, self.layout, config.buckets, config.batch_size)


def prepare(config: TrainingConfig) -> Prepared:
    """Read the data, build vocabularies and model. Sets Keras's global random seed.

    Raises:
        DataNotFoundError, DataError, MissingExtraError: the data can't be read.
    """
    keras.utils.set_random_seed(config.fit.seed)
    corpus = drop_long(load_corpus(config.data, config.fit.seed), config.data)
    parts = (len(corpus.train), len(corpus.valid), len(corpus.test))
    logger.info("%d pairs to train on, %d for validation, %d for testing", *parts)
    vocabulary = build_vocabulary(corpus, config)
    layout = Layout.of(vocabulary, config.model)
    model = build_model(config.model, layout)
    compile_model(model, config.fit, layout)
    sizes = (layout.source_size, layout.target_size, f"{model.count_params():,}")
    logger.info("%d source and %d target symbols, %s parameters", *sizes)
    return Prepared(corpus, vocabulary, layout, model)


def _fit(
    prepared: Prepared, config: FitConfig, folder: RunFolder, callbacks: Sequence[keras.callbacks.Callback]
) -> History:
    """Train, or continue from the backup in the folder, until done."""
    history = History.read(folder.history)
    if history.finished(config.epochs, config.patience):  # killed after the last epoch
        return history
    pairs = prepared.bucketed(prepared.corpus.train, config)
    valid = prepared.bucketed(prepared.corpus.valid, config)
    order = EpochOrder(config.seed)
    backup = Backup(folder.backup)
    epochs_done = backup.restore(prepared.model)
    history.truncate(epochs_done)  # an epoch may be recorded that was not backed up before a kill
    schedule = Schedule(config, pairs.steps, progress=history.last("progress", 0.0))
    prepared.model.fit(
        make_dataset(pairs, prepared.layout, order),
        validation_data=make_dataset(valid, prepared.layout),
        epochs=config.epochs,
        initial_epoch=epochs_done,
        shuffle=False,  # the dataset shuffles
        verbose=0,
        callbacks=[
            order,
            schedule,
            KeepHistory(history, schedule, config, folder),
            *callbacks,
            backup,  # after the history: what is backed up has been recorded
        ],
    )
    return history


def _summary(history: History, prepared: Prepared, config: TrainingConfig, minutes: float) -> dict[str, Any]:
    best = history.best()
    return {
        "data": config.data.data,
        "parameters": prepared.model.count_params(),
        "epochs": len(history),
        "minutes": round(minutes, 2),
        "best": {name: values[best] for name, values in history.columns.items()},
        "errors": _score(prepared, config.fit.score),
    }


def _score(prepared: Prepared, most: int) -> dict[str, dict[str, float]]:
    """Error rates of at most so many held-out sources, as they are and under each further reading of the corpus."""
    examples = prepared.corpus.held_out()[:most]
    if not examples:
        return {}
    logger.info("decoding %d held-out sources", len(examples))
    decoder = GreedyDecoder(prepared.model, prepared.layout, prepared.vocabulary)
    target = prepared.vocabulary.target
    decoded = [target.split(text) for text in decoder.decode([example.source for example in examples])]
    references = [[target.split(text) for text in example.targets] for example in examples]
    rates = {"plain": error_rates(decoded, references)}
    for name, reading in prepared.corpus.readings.items():
        read = [[reading(tokens) for tokens in right] for right in references]
        rates[name] = error_rates([reading(tokens) for tokens in decoded], read)
    return {name: figures.to_dict() for name, figures in rates.items()}
