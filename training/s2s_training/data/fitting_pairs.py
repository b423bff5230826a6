"""Which pairs a model of one pass can learn: those whose targets fit into what it gives for their sources."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from itertools import compress, pairwise

import numpy as np

from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.config.model import ModelConfig
from s2s_training.data.corpus import Corpus, Example
from s2s_training.errors import DataError

logger = logging.getLogger(__name__)
_FITTING = 99  # per cent of targets for which the frames of a source symbol are chosen


def with_frames(model: ModelConfig, corpus: Corpus, vocabulary: VocabularyFile) -> ModelConfig:
    """Return the model section with the number of frames that a symbol of the source has, where CTC leaves it open."""
    if model.kind != "ctc" or model.upsample is not None:
        return model
    lengths = (_lengths(example, vocabulary, model) for example in corpus.train)
    frames = [-(-needed // max(1, read)) for read, needed in lengths]
    chosen = max(1, int(np.percentile(frames, _FITTING, method="higher")))
    logger.info("%d frames for each symbol of the source", chosen)
    return dataclasses.replace(model, upsample=chosen)


def that_fit(corpus: Corpus, vocabulary: VocabularyFile, model: ModelConfig) -> Corpus:
    """Return the corpus without the pairs for training and validation that the model can't give the targets of.

    Those held out for scoring stay: they count as wrong.

    Args:
        corpus: of texts.
        vocabulary: of both sides.
        model: its kind, and the frames of CTC.

    Raises:
        DataError: no pair is left of one of the parts.
    """
    if model.kind not in ("same-length", "ctc"):
        return corpus
    frames = model.upsample or 1
    kept, left_out = {}, list[Example]()
    for name, part in (("train", corpus.train), ("valid", corpus.valid)):
        lengths = [_lengths(example, vocabulary, model) for example in part]
        fits = [needed <= read * frames for read, needed in lengths]
        kept[name] = list(compress(part, fits))
        if not kept[name]:
            raise DataError(_none_fits(part, lengths, model))
        left_out += compress(part, (not fit for fit in fits))
    if left_out:
        first = left_out[0]
        logger.warning(
            "left out %d of %d pairs, whose targets don't fit %s, such as %r to %r%s",
            len(left_out),
            len(corpus.train) + len(corpus.valid),
            "into one for each source symbol" if model.kind == "same-length" else f"into {frames} frames a symbol",
            first.source,
            first.targets[0],
            "" if model.kind == "same-length" else "; --upsample gives more of them",
        )
    return dataclasses.replace(corpus, **kept)


def _lengths(example: Example, vocabulary: VocabularyFile, model: ModelConfig) -> tuple[int, int]:
    """Return how many symbols a source has, and how many places its first target takes.

    With CTC equal neighbours have a blank between.
    """
    target = vocabulary.target.encode(example.targets[0])
    blanks = sum(one == other for one, other in pairwise(target)) if model.kind == "ctc" else 0
    return len(vocabulary.source.encode_sentence(example.source)), len(target) + blanks


def _none_fits(part: Sequence[Example], lengths: Sequence[tuple[int, int]], model: ModelConfig) -> str:
    (read, needed), example = lengths[0], part[0]
    shown = f"such as {example.source!r} ({read} symbols) to {example.targets[0]!r} ({needed})"
    if model.kind == "same-length":
        return f"no target has at most as many symbols as its source, {shown}: is each cut as it should be?"
    return f"no target fits into {model.upsample} frames for each symbol of its source, {shown}: raise upsample"
