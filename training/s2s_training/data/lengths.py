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


class _TooLong(NamedTuple):
    """The text of a pair that is longer than a limit: its side (0 or 1), its symbols, itself."""

    side: int
    length: int
    text: str


def within_lengths(corpus: Corpus, data: DataConfig, measure: Measure) -> Corpus:
    """Return the corpus without the pairs that are too long; what was left out is logged.

    Longer than `max_source_length` or `max_target_length`: left out of the training part alone, as what is held out
    tells how good the model is on all texts. Outliers of a side without such a limit: left out of all parts.

    Args:
        corpus: of texts; the training part tells what an outlier is.
        data: the limits.
        measure: gives the number of symbols of each source and of each first target.

    Raises:
        DataError: no training pair is left.
    """
    given = [math.inf if limit is None else limit for limit in (data.max_source_length, data.max_target_length)]
    often = [int(np.percentile(lengths, OFTEN, method="higher")) for lengths in measure(corpus.train)]
    most = [
        max(LEAST, TIMES * usual) if limit == math.inf else math.inf for usual, limit in zip(often, given, strict=True)
    ]
    parts = {name: _divide(getattr(corpus, name), measure, most) for name in ("train", "valid", "test")}
    _warn([each for _, outliers in parts.values() for each in outliers], often, corpus)
    kept = {name: part for name, (part, _) in parts.items()}
    kept["train"], longer = _divide(kept["train"], measure, given)
    if not kept["train"]:
        raise DataError(
            f"no training pair has at most {given[0]} source and {given[1]} target symbols: raise max_source_length or "
            f"max_target_length"
        )
    if longer:
        logger.info("%d of %d training pairs are longer than the limits given", len(longer), len(corpus.train))
    return dataclasses.replace(corpus, **kept)


def _divide(
    examples: Sequence[Example], measure: Measure, most: Sequence[float]
) -> tuple[list[Example], list[_TooLong]]:
    """The pairs within limits, and what is wrong with the others."""
    if max(most) == math.inf == min(most):
        return list(examples), []
    kept, too_long = [], []
    for example, *lengths in zip(examples, *measure(examples), strict=True):
        side = next((side for side in (0, 1) if lengths[side] > most[side]), None)
        if side is None:
            kept.append(example)
        else:
            too_long.append(_TooLong(side, lengths[side], (example.source, example.targets[0])[side]))
    return kept, too_long


def _warn(outliers: Sequence[_TooLong], often: Sequence[int], corpus: Corpus) -> None:
    """Say how many outliers were left out, which, and what keeps them."""
    if not outliers:
        return
    total = len(corpus.train) + len(corpus.valid) + len(corpus.test)
    named = [f"a {SIDES[each.side]} of {each.length:,} symbols ({_shown(each.text)})" for each in outliers[:_NAMED]]
    more = [f"{len(outliers) - _NAMED:,} more"] if len(outliers) > _NAMED else []
    sides = sorted({each.side for each in outliers})
    usual = " and ".join(f"{OFTEN}% of {SIDES[side]}s have at most {often[side]}" for side in sides)
    longest = {side: max(each.length for each in outliers if each.side == side) for side in sides}
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
