"""The run that another one starts from, for fine-tuning and transfer: its options and its symbols."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from s2s_runtime.errors import raised_as
from s2s_runtime.vocabulary.factors import FactoredVocabulary
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.config.data import DataConfig
from s2s_training.config.model import ModelConfig
from s2s_training.config.toml_file import read_config
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import ConfigError, DataError

logger = logging.getLogger(__name__)
_OF_SYMBOLS: Final = (
    *("source_unit", "target_unit", "normalization", "source_normalization", "lowercase", "reverse", "carry"),
    *("source_factors", "factor_separator"),
)  # the options of `[data]` that say what a symbol is, and so what the weights mean
_FREE: Final = frozenset({"dropout", "word_dropout"})  # the options of `[model]` that change no weight
_NEEDED: Final = ("config.toml", "vocab.json", "model.keras")
_SHOWN: Final = 5  # symbols in a message


def options_of_start(run: str) -> dict[str, Any]:
    """Return the options, by name, that the run in a folder hands on: its model, and how it cuts texts.

    Raises:
        ConfigError: the folder holds no finished run.
    """
    config = require_finished(run)
    model = {field.name: getattr(config.model, field.name) for field in dataclasses.fields(ModelConfig)}
    return model | {name: getattr(config.data, name) for name in _OF_SYMBOLS}


def check_start(config: TrainingConfig) -> None:
    """Check that a run fits the one that it starts from, if it starts from one.

    Raises:
        ConfigError: there is no such run, or weights of its kind would mean something else here.
    """
    run = config.data.start_from
    if run is None:
        return
    then = require_finished(run)
    names = {*_OF_SYMBOLS, *(field.name for field in dataclasses.fields(ModelConfig))} - _FREE
    besides = [name for name in then.differing(config) if name not in names]
    differences = then.differences(config, besides=besides)
    if differences:
        raise ConfigError(
            f"start_from: {run} was trained with other options (there, here): {', '.join(differences)}; leave them as "
            f"they are there"
        )


def symbols_of_start(data: DataConfig) -> VocabularyFile | None:
    """Return the vocabularies of the run that a run starts from; None where it starts from none.

    Raises:
        ConfigError: there is no such run.
    """
    if data.start_from is None:
        return None
    require_finished(data.start_from)
    with raised_as(ConfigError):
        return VocabularyFile.read(Path(data.start_from) / "vocab.json")


def continued(
    vocabulary: VocabularyFile, data: DataConfig, counts: Sequence[Counter[str]], longest: tuple[int, int]
) -> VocabularyFile:
    """Return the vocabularies of the run that a run starts from, for its own texts; what they lack is logged.

    Args:
        vocabulary: that of the run which is started from.
        data: names that run.
        counts: how often each symbol occurs in the sources, in each factor of theirs, and in the targets.
        longest: the symbols of the longest source and of the longest target.

    Raises:
        DataError: texts are longer than a model of fixed lengths can do with, or have symbols that it has no id for.
    """
    source = vocabulary.source
    factors = source.factors if isinstance(source, FactoredVocabulary) else ()
    sides = [("sources", source), *((factor.name, factor) for factor in factors), ("targets", vocabulary.target)]
    for (name, side), own in zip(sides, counts, strict=True):
        if side is not None:
            _tell_unknown(name, side, own, data)
    target = vocabulary.target
    wrapped = longest[1] + sum(symbol is not None for symbol in (target.start, target.end)) if target else longest[1]
    fixed = vocabulary.padding.length
    for name, length, most in (("source", longest[0], fixed), ("target", wrapped, vocabulary.max_length)):
        if fixed is not None and most is not None and length > most:
            raise DataError(
                f"start_from: the model of {data.start_from} has {name}s of {most} symbols at most, got one of "
                f"{length}; leave out longer ones"
            )
    if fixed is not None or vocabulary.max_length is None:
        return vocabulary
    return dataclasses.replace(vocabulary, max_length=max(vocabulary.max_length, longest[1] + 1))


def require_finished(run: str) -> TrainingConfig:
    """Return the configuration of the finished run in a folder.

    Raises:
        ConfigError: the folder holds none.
    """
    missing = [name for name in _NEEDED if not (Path(run) / name).is_file()]
    if missing:
        raise ConfigError(
            f"start_from: expected the folder of a finished run, with {', '.join(_NEEDED)}; {run} has no {missing[0]}"
        )
    return read_config(Path(run) / "config.toml")


def _tell_unknown(name: str, side: Vocabulary, counts: Counter[str], data: DataConfig) -> None:
    known = frozenset(side.symbols)
    unknown = sorted((symbol for symbol in counts if symbol not in known), key=lambda symbol: (-counts[symbol], symbol))
    if not unknown:
        return
    shown = ", ".join(map(repr, unknown[:_SHOWN])) + (", ..." if len(unknown) > _SHOWN else "")
    if side.unknown is None and not side.skip_unknown:
        raise DataError(
            f"start_from: the vocabulary of {data.start_from} has no unknown symbol, and these of the {name} aren't in "
            f"it: {shown}; leave out such pairs, or train on both data from the beginning"
        )
    logger.warning(
        "%d symbol%s of the %s %s unknown to %s, %d of %d occurrences: %s",
        len(unknown),
        *(("", name, "is") if len(unknown) == 1 else ("s", name, "are")),
        data.start_from,
        sum(counts[symbol] for symbol in unknown),
        counts.total(),
        shown,
    )
