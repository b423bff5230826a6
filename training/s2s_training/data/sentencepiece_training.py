"""Sub-word units: a run's sentencepiece models, read or trained on its texts (Kudo and Richardson 2018).

The package sentencepiece is an extra: imported when a model is trained.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from s2s_runtime.errors import MissingExtraError
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary
from s2s_training.config.data import DataConfig, Normalization
from s2s_training.data.corpus import Example
from s2s_training.errors import DataError
from s2s_training.source_factors import without_factors
from s2s_training.start_run import symbols_of_start


class PieceModels(NamedTuple):
    """The content of the sentencepiece `.model` file of each side; None where the side is cut into another unit."""

    source: bytes | None = None
    target: bytes | None = None


def piece_models(examples: Sequence[Example], data: DataConfig) -> PieceModels:
    """Read the models that the configuration names, or the run that it starts from has; train those that it asks for.

    Args:
        examples: the training part; what is trained sees its sources, or its first targets, normalised as configured.
        data: units, models, size.

    Raises:
        ConfigError: there is no run to start from where it says.
        DataError: too little text for so many pieces.
        MissingExtraError: sentencepiece is not installed.
    """
    start = symbols_of_start(data)
    if start is not None:
        return PieceModels(*(None if side is None else side.model for side in (start.source, start.target)))
    sources = without_factors([example.source for example in examples], data)
    texts = (sources, [example.targets[0] for example in examples])
    sides = zip(("source", "target"), data.normalizations, texts, strict=True)
    return PieceModels(*(_of_side(side, form, own, data) for side, form, own in sides))


def train_pieces(texts: Sequence[str], size: int) -> bytes:
    """Train a unigram model of sentencepiece.

    Every character of the texts becomes a piece, nothing is normalised, and one thread works, so that the same texts
    always give the same model.

    Args:
        texts: a sentence each.
        size: number of pieces, those for the unknown, start and end among them; fewer where the texts give no more.

    Returns:
        The content of a `.model` file.

    Raises:
        DataError: the characters alone are more than `size`, or the texts are empty.
        MissingExtraError: sentencepiece is not installed.
    """
    try:
        module = importlib.import_module("sentencepiece")
    except ModuleNotFoundError as error:
        raise MissingExtraError("sentencepiece is not installed: pip install 's2s-training[sentencepiece]'") from error
    written = io.BytesIO()
    try:
        module.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=written,
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DataError(
            f"vocabulary_size: no sentencepiece model of {size} pieces from these texts: {reason}"
        ) from error
    return written.getvalue()


def _of_side(side: str, form: Normalization | None, texts: Sequence[str], data: DataConfig) -> bytes | None:
    if getattr(data, f"{side}_unit") != "sentencepiece":
        return None
    path = getattr(data, f"{side}_model")
    if path is not None:
        return Path(path).read_bytes()
    # How a text is normalised plays no part in how it is cut, so any unit's vocabulary will do here.
    plain = Vocabulary("char", ("any",), unknown="any", normalization=form, lowercase=data.lowercase)
    return train_pieces(["".join(plain.split(text)) for text in texts], data.vocabulary_size or 0)
