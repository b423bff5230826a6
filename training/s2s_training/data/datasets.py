"""Data sets: files, and those that are built in.

A built-in data set is a `BuiltIn`: a function that makes the corpus, and the options in which its ordinary
configuration differs from the general one. The continuous ones, in `SERIES`, hold no texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from s2s_training.config.data import DataConfig
from s2s_training.config.kinds import has_meaning
from s2s_training.config.model import Kind
from s2s_training.config.training import TrainingConfig
from s2s_training.data import addition, cmudict, series
from s2s_training.data.corpus import Corpus, source_key, split_corpus
from s2s_training.data.pair_files import read_pairs
from s2s_training.data.record_files import list_files, require_readable
from s2s_training.data.series import SERIES
from s2s_training.data.text_files import Reading
from s2s_training.errors import ConfigError, DataNotFoundError
from s2s_training.stages import Stages, unseen
from s2s_training.start_run import check_start

__all__ = ["BUILT_IN", "SERIES", "BuiltIn", "default_config", "load_corpus", "require_data", "tutorial_config"]


@dataclass(frozen=True)
class BuiltIn:
    """A data set that needs no file.

    Attributes:
        load: makes the corpus from the data section and the seed.
        defaults: the options, by name, in which its ordinary configuration differs from the general one.
    """

    load: Callable[[DataConfig, int], Corpus]
    defaults: Mapping[str, Any]


BUILT_IN: Mapping[str, BuiltIn] = MappingProxyType(
    {
        "addition": BuiltIn(addition.load, addition.DEFAULTS),
        "cmudict": BuiltIn(cmudict.load, cmudict.DEFAULTS),
    }
)

# The character translator as published: "A ten-minute introduction to sequence-to-sequence learning in Keras"
# (Chollet 2017). `training/s2s_training/fit/compiling.py` says how its optimizer is carried over to Keras 3.
TUTORIAL: Mapping[str, Any] = MappingProxyType(
    {
        "split": "last",
        "valid_fraction": 0.2,
        "test_fraction": 0.0,
        "normalization": None,
        "cell": "lstm",
        "units": 256,
        "embedding": 0,
        "padding": "space",
        "epochs": 100,
        "batch_size": 64,
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "clip_norm": 0.0,
        "patience": 0,
        "buckets": 1,
    }
)


def default_config(data: str, kind: Kind | None = None) -> TrainingConfig:
    """Return the usual configuration for a data set: that of the built-in one with this name, else the general one.

    Args:
        data: a file, or the name of a built-in data set.
        kind: of model, where another is asked for: options that have no meaning for it aren't among the defaults.
    """
    config = TrainingConfig(data=DataConfig(data=data))
    defaults = series.DEFAULTS if data in SERIES else BUILT_IN[data].defaults if data in BUILT_IN else {}
    if kind is None:
        return config.override(**defaults)
    return config.override(**{n: value for n, value in defaults.items() if has_meaning(n, kind)} | {"kind": kind})


def tutorial_config(data: str) -> TrainingConfig:
    """Return the configuration of the well-known character translator; see `TUTORIAL`."""
    return TrainingConfig(data=DataConfig(data=data)).override(**TUTORIAL)


def load_corpus(config: DataConfig, seed: int, stages: Stages = unseen) -> Corpus:
    """Read or make the pairs that `config.data` names, and split them.

    Args:
        config: the data section.
        seed: for data sets that are made up.
        stages: is told how far it is.

    Raises:
        DataNotFoundError: neither a file nor a built-in data set.
        DataError: the file has a bad row, no rows, or too few.
        MissingExtraError: the data set is in a package that isn't installed.
    """
    _require_files(config)
    if config.data in BUILT_IN:
        return BUILT_IN[config.data].load(config, seed)
    target_file = None if config.target_file is None else Path(config.target_file)
    examples = list(read_pairs(config, list_files(config.data), target_file, config.rows, stages=stages))
    stages("dividing the pairs into parts")
    if config.valid_data is None:
        shares = (config.valid_fraction, config.test_fraction)
        return split_corpus(examples, config.split, *shares, key=source_key(config))
    valid, test = (
        [] if data is None else list(read_pairs(config, list_files(data), stages=stages))
        for data in (config.valid_data, config.test_data)
    )
    return Corpus(examples, valid, test, key=source_key(config))


def require_data(config: TrainingConfig) -> None:
    """Check that the data, and the models that cut it, are there and of the kind asked for.

    Only the beginning of each file is read; of a run to start from, what it is.

    Raises:
        DataNotFoundError: neither a file nor a built-in data set; no such sentencepiece model or further file.
        DataError: a file is no text, or looks like another encoding.
        ConfigError: a built-in data set with options that are for files, or a continuous one with options for texts; or
            another model, or other units, than those of the run to start from.
    """
    check_start(config)
    if config.model.kind == "language-model" and config.data.data in (*BUILT_IN, *SERIES):
        raise ConfigError(f"data: expected a text for a language model, got the built-in data set {config.data.data!r}")
    if config.model.kind == "language-model" and Path(config.data.data).is_dir():
        pattern = str(Path(config.data.data) / "*.txt")
        raise ConfigError(
            f"data: expected a text, or a pattern of such as {pattern!r}, got the folder {config.data.data!r}"
        )
    _require_files(config.data)
    if config.data.data in SERIES:
        _check_continuous(config)


_OF_TEXTS = frozenset({"label_smoothing", "r_drop", "buckets", "score"})  # of the fit section


def _check_continuous(config: TrainingConfig) -> None:
    used = {"units", *vars(config.fit)} - _OF_TEXTS
    other = [name for name in default_config(config.data.data).differing(config) if name not in used]
    if other:
        raise ConfigError(
            f"{', '.join(other)}: continuous data sets hold no texts, and have an LSTM of one layer a side, with the "
            "option units; leave out the others"
        )


def _require_files(config: DataConfig) -> None:
    for name in ("source_model", "target_model"):
        model = getattr(config, name)
        if model is not None and not Path(model).is_file():
            raise DataNotFoundError(f"{name}: no file {model!r}; expected the .model file of spm_train")
    built_in = (*BUILT_IN, *SERIES)
    if config.data in built_in:
        of_files = ("target_file", "source_column", "valid_data", "encoding", "strict", "shuffle_buffer")
        for name in (*of_files, "source_factors"):
            if getattr(config, name):
                raise ConfigError(f"{name}: expected none with the built-in data set {config.data!r}")
    elif not list_files(config.data):
        raise DataNotFoundError(
            f"no file {config.data!r}: expected a file of pairs, a folder or a pattern of such, or a built-in data set "
            f"({', '.join(built_in)})"
        )
    else:
        _require_beside(config)
    reading = Reading(config.encoding)
    for data in (config.data, config.target_file, config.valid_data, config.test_data):
        if data is not None and data not in built_in:
            for file in list_files(data):
                require_readable(file, reading)


def _require_beside(config: DataConfig) -> None:
    """Check that the files named beside the one of pairs, or sources, are there."""
    if config.target_file is not None and Path(config.data).is_dir():
        raise ConfigError(f"target_file: expected one file of sources beside it, got the folder {config.data!r}")
    for name in ("valid_data", "test_data"):
        path = getattr(config, name)
        if path is not None and not list_files(path):
            raise DataNotFoundError(f"{name}: no file {path!r}; expected a file of pairs")
    if config.target_file is not None and not Path(config.target_file).is_file():
        raise DataNotFoundError(f"target_file: no file {config.target_file!r}; expected a text file")
