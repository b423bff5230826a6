"""How much of a model verification tries: less of a larger one, so that it takes half a minute and not half a day.

The oracle runs the whole training model on every prefix of every hypothesis, which grows with the model's weights and
with the square of the target's length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Final

import keras

from s2s_export.options import ExportOptions
from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime.spelling import option

UNKNOWN_LENGTH: Final = 12
"""Steps of the target to compare where nobody told how long targets get."""

LONGEST_SOURCE: Final = 40
"""Longest generated source where nobody told how long sources get."""

BEAM_SIZE: Final = 5
SOURCES: Final = 24
_BEAM_SOURCES: Final = 8
_MOST_WORK: Final = 1.5e12  # multiplications: some 15 seconds of two cores
_MOST_STEPS: Final = 512  # where nobody asks for more
_ENOUGH_STEPS: Final = 12  # longer targets are cut before there are fewer of them
_FEWEST: Final = (4, 2, 4)  # sources, sources of beam search, steps


@dataclass(frozen=True)
class Coverage:
    """How much verification tries.

    Attributes:
        sources: how many sources are generated, where no texts are given.
        beam_sources: how many of the sources are decoded by beam search too.
        steps: longest target.
        cut: whether that is less than for a small model.
    """

    sources: int
    beam_sources: int
    steps: int
    cut: bool = False

    def in_words(self) -> str:
        """Say what is not covered, as the end of a sentence that tells how many sources there are; or nothing."""
        if not self.cut:
            return ""
        return (
            f", up to {self.steps} steps each, {self.beam_sources} of them by beam search: fewer or shorter than of a "
            f"small model ({option('verify_sources', str(SOURCES))} takes the time that all take)"
        )


def coverage(model: keras.Model, facts: Understanding, options: ExportOptions) -> Coverage:
    """Return how much of a model is tried: all that is asked for where somebody asks, else what a budget allows.

    Args:
        model: the training model.
        facts: how it was understood.
        options: texts, or a number of sources to generate.
    """
    steps = facts.target.max_length or UNKNOWN_LENGTH
    asked = Coverage(options.verify_sources or SOURCES, _BEAM_SOURCES, steps)
    if options.verify_with or options.verify_sources is not None:
        return asked
    weights = _multiplied(model)
    width = facts.longest[0] or LONGEST_SOURCE
    if steps > _MOST_STEPS:  # of a small model too, each takes its time
        asked = Coverage(asked.sources, asked.beam_sources, _MOST_STEPS, cut=True)
    tries = [asked, *(Coverage(*sizes, cut=True) for sizes in _smaller(asked))]
    return next((tried for tried in tries if _work(tried, weights, width) <= _MOST_WORK), tries[-1])


def _multiplied(model: keras.Model) -> int:
    """Return how many weights a position is multiplied by: those of tables are looked up."""
    tables = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    looked_up = {id(weight) for table in tables for weight in table.weights}
    return sum(prod(weight.shape) for weight in model.weights if id(weight) not in looked_up)


def _smaller(whole: Coverage) -> Iterable[tuple[int, int, int]]:
    """Yield fewer and fewer sources, sources of beam search and steps."""
    sources, beam_sources, steps = whole.sources, whole.beam_sources, whole.steps
    fewest, fewest_beams, fewest_steps = _FEWEST
    while steps // 2 >= _ENOUGH_STEPS:
        steps //= 2
        yield sources, beam_sources, steps
    while sources > fewest or beam_sources > fewest_beams:
        sources, beam_sources = max(fewest, sources * 2 // 3), max(fewest_beams, beam_sources * 2 // 3)
        yield sources, beam_sources, steps
    while steps > fewest_steps:
        steps = max(fewest_steps, steps * 2 // 3)
        yield sources, beam_sources, steps


def _work(tried: Coverage, weights: int, width: int) -> float:
    """Return some number of multiplications: half the weights read the source, half the target, at each step anew."""
    rows = tried.sources + BEAM_SIZE * tried.beam_sources
    return rows * tried.steps * weights * (width + tried.steps) / 2
