"""Decodes what one pass gave: the best symbol of each position, all at once where nothing looks at those before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.inputs.batch import Batch
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.one_pass.pass_model import Positions
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan, check_targets
from s2s_runtime.search.scoring import log_normalizer
from s2s_runtime.search.step_model import StepModel, StepOutput

if TYPE_CHECKING:
    from s2s_runtime.search import beam, greedy
else:  # most calls need neither
    beam, greedy = LazyModule("search.beam"), LazyModule("search.greedy")


class _Encoded:
    """A model of one pass whose pass is made already."""

    def __init__(self, model: StepModel[Any], positions: Positions) -> None:
        self._model = model
        self._positions = positions

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> Positions:
        return self._positions

    def step(self, states: Positions, tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        return self._model.step(states, tokens, attention=attention)

    def reorder(self, states: Positions, rows: NDArray[np.int64]) -> None:
        self._model.reorder(states, rows)

    def select(self, states: Positions, rows: NDArray[np.int64]) -> Positions:
        selected: Positions = self._model.select(states, rows)
        return selected


def search_positions(model: StepModel[Any], batch: Batch, plan: SearchPlan) -> Iterator[SentenceHypotheses]:
    """Yield the hypotheses of each sentence of a batch, in their order.

    Args:
        model: a model of one pass.
        batch: the sentences; none gets more tokens than the pass gives positions.
        plan: how to search.

    Raises:
        OptionError: no target of so many tokens meets what is asked of it.
    """
    positions: Positions = model.encode(batch.source, *batch.others)
    batch = replace(batch, limits=np.minimum(batch.limits, positions.count))
    check_targets(plan, batch)
    if _is_plain(plan, batch):
        found = [[sequence] for sequence in _best(positions, batch, plan)]
    else:
        search = greedy.greedy_search if plan.beam_size == 1 else beam.beam_search
        found = search(_Encoded(model, positions), batch, plan)
    for sentence, hypotheses in enumerate(found):
        yield SentenceHypotheses(batch, sentence, hypotheses)


def _is_plain(plan: SearchPlan, batch: Batch) -> bool:
    """Return whether the best symbol of each position is what is wanted, whatever stands at the others."""
    rules = plan.rules
    looks_back = rules.may_block or rules.repetition_penalty != 1.0 or batch.prefix is not None
    watched = plan.notify is not None or plan.sampler is not None
    return plan.beam_size == 1 and not looks_back and not watched


def _best(positions: Positions, batch: Batch, plan: SearchPlan) -> Iterator[EndedSequence]:
    """Yield the sequence of the best symbols of each sentence, up to its first end."""
    logits = positions.outputs[:, : int(batch.limits.max())]
    rows, count, size = logits.shape
    flat = logits.reshape(-1, size)
    normalizer = log_normalizer(flat).reshape(rows, count) if plan.scores else None
    if len(plan.rules.banned):
        flat = flat + plan.rules.always
    chosen = flat.argmax(axis=1)
    tokens = chosen.reshape(rows, count)
    ends = plan.is_end[tokens]
    for row, limit in enumerate(batch.limits.tolist()):
        ended = np.flatnonzero(ends[row, :limit])
        length = int(ended[0]) + 1 if len(ended) else limit
        score = scores = None
        if normalizer is not None:
            places = np.arange(row * count, row * count + length)
            scores = flat[places, chosen[places]] - normalizer[row, :length]
            score = plan.score(float(scores.sum(dtype=np.float32)), length, None)
        reason = "end" if len(ended) else "length"
        kept = scores if plan.token_scores else None
        yield EndedSequence(tokens[row, :length].tolist(), reason, score, kept)  # type: ignore[arg-type]
