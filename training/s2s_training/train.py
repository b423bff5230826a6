"""A whole training run, from a configuration to a run folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import s2s_training
from s2s_runtime.errors import S2SError
from s2s_runtime.plots.runs import plot_history
from s2s_training.config.fit import FitConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.data.datasets import SERIES, require_data
from s2s_training.data.tf_datasets import EpochOrder
from s2s_training.errors import ConfigError, DivergenceError
from s2s_training.fit.averaging import make_averaging
from s2s_training.fit.backup import Backup
from s2s_training.fit.devices import training_together
from s2s_training.fit.epoch_history import History, KeepHistory
from s2s_training.fit.event_log import EventLog
from s2s_training.fit.schedule import Before, Schedule
from s2s_training.fit.series_task import SeriesTask
from s2s_training.fit.streamed_task import StreamedTextTask
from s2s_training.fit.task import Task
from s2s_training.fit.text_task import TextTask
from s2s_training.fit.validation import VALIDATION_ERROR, DecodeValidation
from s2s_training.given import FUNCTION, PATH, TRUTH, an, check_given, list_of
from s2s_training.language_models.task import LanguageTask
from s2s_training.models.starting_weights import set_weights_of
from s2s_training.runs.run_folder import RunFolder
from s2s_training.stages import Stages, unseen

logger = logging.getLogger(__name__)


def train(
    config: TrainingConfig,
    path: str | Path,
    *,
    resume: bool = False,
    force: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    stages: Stages = unseen,
) -> dict[str, Any]:
    """Train a model and write its run folder; see `RunFolder` for what stands in it.

    Same configuration, same machine: same losses, whether the run was interrupted or not. Keras's global random seed
    is set.

    Args:
        config: everything about the run.
        path: the run folder.
        resume: continue a run that was interrupted, from its last whole epoch; start it where there is none.
        force: replace the run in the folder; files that no run writes stay.
        callbacks: more Keras callbacks, such as one that shows progress.
        stages: is told what is being done outside the epochs.

    Returns:
        The content of `summary.json`: the epoch that is kept (`best`), its figures, and error rates on held-out pairs.

    Raises:
        RunFolderError: the folder can't be used, or the data is not what the run to be resumed began with.
        DataNotFoundError, DataError, MissingExtraError: the data can't be read.
        DivergenceError: the loss is no finite number any more. Where an epoch went well before, the folder is complete
            all the same, with the best one.
    """
    check_given(
        ConfigError,
        config=(config, an(TrainingConfig, "a TrainingConfig")),
        path=(path, PATH),
        resume=(resume, TRUTH),
        force=(force, TRUTH),
        callbacks=(callbacks, list_of(an(keras.callbacks.Callback, ""), "Keras's callbacks")),
        stages=(stages, FUNCTION),
    )
    folder = RunFolder(Path(path))
    folder.check(config, resume=resume, force=force)
    if resume and folder.complete():
        logger.info("%s is complete: nothing to resume", folder.path)
        return folder.read_summary()

    with training_together(config.fit.devices):
        return _trained(config, folder, callbacks, stages, resume=resume)


def _trained(
    config: TrainingConfig,
    folder: RunFolder,
    callbacks: Sequence[keras.callbacks.Callback],
    stages: Stages,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Train a model into a folder that was checked; see `train`."""
    streamed = config.data.shuffle_buffer is not None
    begun = folder.path.exists()
    if streamed:  # pairs are written while they are read
        folder.prepare(config, resume=resume)
    try:
        task = prepare(config, stages, folder)
    except S2SError:
        if streamed and not begun:
            folder.discard()
        raise
    if resume:
        stages("comparing the data with what the run began with")
        task.check(folder)
    if not streamed:
        folder.prepare(config, resume=resume)
    stages("writing the run folder")
    task.write(folder)
    batches = task.steps * config.fit.epochs  # known only now of a text, whose ids were just written
    if config.fit.accumulation > batches:
        if not begun:
            folder.discard()
        asked = config.fit.accumulation
        raise ConfigError(f"accumulation: expected at most {batches}, the batches of the run, got {asked}")
    monitored = VALIDATION_ERROR if config.fit.select == "error" else task.monitored
    history = History.read(folder.history, monitored, keeps_last=config.fit.select == "last")
    stages("preparing the first step")
    diverged = None
    try:
        _fit(task, config.fit, folder, history, callbacks)
    except DivergenceError as error:
        if not len(history):
            raise
        which = f"{_kept(config.fit)} epoch before, {history.kept() + 1}"
        diverged = DivergenceError(f"{error}; {folder.model} holds the {which}")
    minutes = history.seconds() / 60
    task.model.load_weights(folder.best_weights)
    plot_history({str(folder.path): history.columns}, folder.plot, best=history.best() + 1)
    stages("decoding what was held out")
    summary = _summary(history, task, config, minutes)
    folder.finish(task.trained(), summary)
    if diverged is not None:
        raise diverged
    return summary


def prepare(config: TrainingConfig, stages: Stages = unseen, folder: RunFolder | None = None) -> Task:
    """Read the data, build vocabularies and model, or take those to start from. Sets Keras's global random seed.

    Args:
        config: of the run.
        stages: is told how far it is.
        folder: of the run, needed where not all pairs are to be in memory.

    Raises:
        DataNotFoundError, DataError, MissingExtraError: the data can't be read.
        ConfigError: continuous data with options that are for texts; another model than that of the run to start from.
    """
    require_data(config)
    if config.fit.devices > 1 and config.data.data in SERIES:
        raise ConfigError(f"devices: expected 1 for the continuous data set {config.data.data!r}")
    keras.utils.set_random_seed(config.fit.seed)
    task = _task(config, stages, folder)
    if config.data.start_from is not None:
        stages("loading the weights to start from")
        set_weights_of(config.data.start_from, task.model)
    return task


def _task(config: TrainingConfig, stages: Stages, folder: RunFolder | None) -> Task:
    if config.model.kind == "language-model":
        return LanguageTask(config, stages)
    if config.data.data in SERIES:
        return SeriesTask(config)
    if config.data.shuffle_buffer is not None and folder is not None:
        return StreamedTextTask(config, folder, stages)
    return TextTask(config, stages)


def _fit(
    task: Task, config: FitConfig, folder: RunFolder, history: History, callbacks: Sequence[keras.callbacks.Callback]
) -> None:
    """Train, or continue from the backup in the folder, until done; the history is extended in place."""
    if history.finished(config.epochs, config.patience):  # killed after the last epoch
        return
    if config.max_minutes is not None and history.seconds() >= config.max_minutes * 60:
        return
    order = EpochOrder(config.seed)
    backup = Backup(folder.backup, config.backup_steps, lambda: schedule.progress)
    place = backup.restore(task.model)
    history.truncate(place.epochs)  # an epoch may be recorded that was not backed up before a kill
    progress = place.progress if place.step else history.last("progress", 0.0)
    before = Before(progress, history.seconds() + place.seconds, place.step)
    schedule = Schedule(config, task.steps, before, watched=history.watched)
    averaging = make_averaging(config)
    used = [
        order,
        schedule,
        *([averaging] if averaging else []),
        DecodeValidation(task, averaging),
        KeepHistory(history, schedule, config, folder, averaging, seconds=place.seconds),
        *([EventLog(folder.events)] if config.tensorboard else []),
        *callbacks,
        backup,  # after the history: what is backed up has been recorded
    ]
    epochs = place.epochs
    if place.step:  # to Keras, an epoch of fewer steps is a training of its own
        order.epoch, order.skip = epochs, place.step
        _fit_epochs(task, order, used, range(epochs, epochs + 1))
        if task.model.stop_training:
            return
        epochs = backup.restore(task.model).epochs  # Keras ends a training with the averaged weights in place
    if epochs < config.epochs:
        _fit_epochs(task, order, used, range(epochs, config.epochs))


def _fit_epochs(task: Task, order: EpochOrder, callbacks: Sequence[keras.callbacks.Callback], epochs: range) -> None:
    task.model.fit(
        task.training(order),
        validation_data=task.validation(),
        epochs=epochs.stop,
        initial_epoch=epochs.start,
        shuffle=False,  # the dataset shuffles
        verbose=0,
        callbacks=list(callbacks),
    )


def _kept(config: FitConfig) -> str:
    """Return which epoch's weights are saved, in a word."""
    return "last" if config.select == "last" else "best"


def _summary(history: History, task: Task, config: TrainingConfig, minutes: float) -> dict[str, Any]:
    kept = history.kept()
    return {
        "data": config.data.data,
        "seed": config.fit.seed,
        "parameters": task.model.count_params(),
        "epochs": len(history),
        "minutes": round(minutes, 2),
        "kept": _kept(config.fit),
        "best": {name: values[kept] for name, values in history.columns.items()},
        "errors": task.errors(),
        "versions": {module.__name__: module.__version__ for module in (s2s_training, keras, tf, np)},
    }
