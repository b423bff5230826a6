"""Which pairs are too long: those above the limits given, or, where none is, those far longer than all others.

One text of 20,000 characters among sentences makes a run slow in every epoch, and most often is a file that was put
into a cell by mistake.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import Corpus, Example
from s2s_training.errors import DataError

logger = logging.getLogger(__name__)

# Twenty times what 95% of a side's texts have at most, and never less than 100 symbols. Of lengths distributed as those
# of sentences (log-normal, the logarithm with a deviation of up to 0.8) a million reach 12 times. Up to one pair in
# twenty may be an outlier without moving the limit.
OFTEN = 95  # per cent
TIMES = 20
LEAST = 100
SIDES = ("source", "target")
_NAMED = 3  # pairs in a warning
_SHOWN = 30  # characters of each

Lengths = tuple[Sequence[int], Sequence[int]]
Measure = Callable[[Sequence[Example]], Lengths]


class TooLong(NamedTuple):
    """A text that is longer than a limit: its side (0 = source, 1 = target), its number of symbols, and itself."""

    side: int
    length: int
    text: str


def within_lengths(corpus: Corpus, data: DataConfig, measure: Measure) -> Corpus:
    """Return the corpus without the pairs that are too long, and log what was left out.

    A pair longer than `max_source_length` or `max_target_length` is left out of the training part alone, because what
    is held out tells how good the model is on all texts. On a side without such a limit, outliers are left out of all
    parts.

    Args:
        corpus: of texts; the training part tells what an outlier is.
        data: the limits.
        measure: gives the number of symbols of each source and of each first target.

    Raises:
        DataError: no training pair is left.
    """
    usual_lengths = [int(np.percentile(lengths, OFTEN, method="higher")) for lengths in measure(corpus.train)]
    limits, bounds = limits_and_bounds(data, usual_lengths)
    parts = {name: _divide(getattr(corpus, name), measure, bounds) for name in ("train", "valid", "test")}
    outliers = [outlier for _, outliers in parts.values() for outlier in outliers]
    warn(outliers, usual_lengths, len(corpus.train) + len(corpus.valid) + len(corpus.test))
    kept = {name: part for name, (part, _) in parts.items()}
    kept["train"], longer = _divide(kept["train"], measure, limits)
    say_longer(limits, len(longer), len(kept["train"]), len(corpus.train))
    return dataclasses.replace(corpus, **kept)


def limits_and_bounds(data: DataConfig, usual_lengths: Sequence[int]) -> tuple[list[float], list[float]]:
    """Return for each side the limit given, and the length above which a text is an outlier; infinite = there is none.

    Args:
        data: the limits.
        usual_lengths: what 95% of a side's training texts have at most.
    """
    limits = [math.inf if limit is None else limit for limit in (data.max_source_length, data.max_target_length)]
    bounds = [
        max(LEAST, TIMES * usual) if limit == math.inf else math.inf
        for usual, limit in zip(usual_lengths, limits, strict=True)
    ]
    return limits, bounds


def say_longer(limits: Sequence[float], longer: int, left: int, total: int) -> None:
    """Log how many training pairs are longer than the limits given.

    Raises:
        DataError: none is left.
    """
    if not left:
        raise DataError(
            f"no training pair has at most {limits[0]} source and {limits[1]} target symbols: raise "
            f"max_source_length or max_target_length"
        )
    if longer:
        logger.info("%d of %d training pairs are longer than the limits given", longer, total)


def _divide(
    examples: Sequence[Example], measure: Measure, most: Sequence[float]
) -> tuple[list[Example], list[TooLong]]:
    """Divide examples into those within the limits and the texts that are too long."""
    if max(most) == math.inf == min(most):
        return list(examples), []
    kept, too_long = [], []
    for example, *lengths in zip(examples, *measure(examples), strict=True):
        side = next((side for side in (0, 1) if lengths[side] > most[side]), None)
        if side is None:
            kept.append(example)
        else:
            too_long.append(TooLong(side, lengths[side], (example.source, example.targets[0])[side]))
    return kept, too_long


def warn(outliers: Sequence[TooLong], usual_lengths: Sequence[int], total: int) -> None:
    """Log how many outliers were left out, which they are, and which option keeps them."""
    if not outliers:
        return
    named = [
        f"a {SIDES[outlier.side]} of {outlier.length:,} symbols ({_shown(outlier.text)})"
        for outlier in outliers[:_NAMED]
    ]
    more = [f"{len(outliers) - _NAMED:,} more"] if len(outliers) > _NAMED else []
    sides = sorted({outlier.side for outlier in outliers})
    usual = " and ".join(f"{OFTEN}% of {SIDES[side]}s have at most {usual_lengths[side]}" for side in sides)
    longest = {side: max(outlier.length for outlier in outliers if outlier.side == side) for side in sides}
    options = " ".join(f"--max-{SIDES[side]}-length {longest[side]}" for side in sides)
    logger.warning(
        "left out %d of %d pairs, far longer than the others: %s; %s; to keep them give %s",
        len(outliers),
        total,
        ", ".join([*named, *more]),
        usual,
        options,
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
