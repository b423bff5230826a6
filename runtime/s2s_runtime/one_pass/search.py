"""Decodes what one pass gave: the best symbol of each position, all at once where nothing looks at those before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from s2s_runtime.array_types import Floats
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.one_pass.pass_model import OnePassModel, Positions
from s2s_runtime.options import DecodingOptions
from s2s_runtime.results import FinishReason
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan, check_targets
from s2s_runtime.search.scoring import log_normalizer
from s2s_runtime.search.step_model import StepModel
from s2s_runtime.varied_beams.searches import step_search

if TYPE_CHECKING:
    from s2s_runtime.one_pass import best_sequences, exact_search
else:  # most calls need none of them
    best_sequences, exact_search = LazyModule("one_pass.best_sequences"), LazyModule("one_pass.exact_search")


Further = Callable[[Positions, Batch], Sequence[Mapping[str, list[EndedSequence] | Floats]]]


def search_positions(
    model: StepModel[Any],
    batch: Batch,
    plan: SearchPlan,
    options: DecodingOptions,
    further: Further | None = None,
) -> Iterator[SentenceHypotheses]:
    """Yield the hypotheses of each sentence of a batch, in their order.

    The best symbol of each position makes the best sequence, several are found exactly, and so are those that rules
    allow which look at what was written before. Who draws tokens, watches them, lets those written before change the
    probabilities, or asks for it, goes position by position as through any other model.

    Args:
        model: a model of one pass.
        batch: the sentences; none gets more tokens than the pass gives positions.
        plan: how to search.
        options: what the plan was made of.
        further: returns what the pass gave beside, by name, for each sentence; None = nothing.

    Raises:
        OptionError: no target of so many tokens meets what is asked of it.
    """
    positions: Positions = model.encode(batch.source, *batch.others)
    beside = None if further is None else further(positions, batch)
    batch = replace(batch, limits=np.minimum(batch.limits, positions.count))
    check_targets(plan, batch)
    rules = plan.rules
    watched = any(each is not None for each in (plan.notify, plan.sampler, plan.guide))
    by_steps = watched or plan.varied or rules.changes_scores
    looks_back = rules.allowed_next is not None or rules.automata or rules.ngram_size or rules.sequences
    found: Iterable[list[EndedSequence]]
    if by_steps or options.engine == "steps":
        found = step_search(plan)(OnePassModel(lambda *_: [positions.outputs]), batch, plan)  # the pass is made
    elif looks_back:
        found = exact_search.exact_search(_scores(positions.outputs), positions.outputs, batch, plan)
    else:
        found = best_of_positions(positions.outputs, batch, plan)
    for sentence, hypotheses in enumerate(found):
        yield SentenceHypotheses(batch, sentence, hypotheses, further=None if beside is None else beside[sentence])


def best_of_positions(logits: Floats, batch: Batch, plan: SearchPlan) -> Iterable[list[EndedSequence]]:
    """Return the hypotheses of each sentence, best first, where nothing looks at what was written before.

    Args:
        logits: float32 (sentences, positions, size), of all positions.
        batch: the sentences; none gets more tokens than its limit says, nor more than there are positions.
        plan: how many are wanted, which tokens are allowed, and which end a sequence.
    """
    if plan.num_hypotheses > 1:
        return best_sequences.best_sequences(_allowed(_scores(logits), batch, plan), batch, plan)
    return ([sequence] for sequence in _best(logits, batch, plan))


def _scores(logits: Floats) -> Floats:
    """Return log-probabilities, float32 (rows, positions, size)."""
    scores: Floats = logits - _normalizer(logits)[:, :, None]
    return scores


def _normalizer(logits: Floats) -> Floats:
    return log_normalizer(logits.reshape(-1, logits.shape[2])).reshape(logits.shape[:2])


def _allowed(scores: Floats, batch: Batch, plan: SearchPlan) -> Floats:
    """Return logits or log-probabilities, float32 (rows, positions, size), -inf at tokens that may not stand there."""
    rules = plan.rules
    allowed: Floats = scores + rules.always if len(rules.banned) else scores
    if rules.min_length:
        allowed = allowed.copy()
        allowed[:, : rules.min_length, rules.end_ids] = -np.inf
    if batch.prefix is not None:
        allowed = allowed.copy()
        rows, steps = np.nonzero(batch.prefix >= 0)
        tokens = batch.prefix[rows, steps]
        allowed[rows, steps] = -np.inf
        allowed[rows, steps, tokens] = scores[rows, steps, tokens]
    return allowed


def _best(logits: Floats, batch: Batch, plan: SearchPlan) -> Iterator[EndedSequence]:
    """Yield the sequence of the best symbols of each sentence, up to its first end."""
    allowed = _allowed(logits, batch, plan)
    tokens = allowed.argmax(axis=2)
    ends = plan.is_end[tokens]
    chosen = None
    if plan.scores:
        chosen = np.take_along_axis(allowed, tokens[:, :, None], axis=2)[:, :, 0] - _normalizer(logits)
    for row, limit in enumerate(batch.limits.tolist()):
        ended = np.flatnonzero(ends[row, :limit])
        length = int(ended[0]) + 1 if len(ended) else limit
        score = None if chosen is None else plan.score(float(chosen[row, :length].sum(dtype=np.float32)), length, None)
        kept = chosen[row, :length] if chosen is not None and plan.token_scores else None
        reason: FinishReason = "end" if len(ended) else "length"
        yield EndedSequence(tokens[row, :length].tolist(), reason, score, kept)
