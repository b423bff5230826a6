"""The search of an ensemble by hypotheses: each model searches by itself, and all choose among what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from s2s_runtime.errors import OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.finished import EndedSequence, rank
from s2s_runtime.search.forced import score_targets
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel, nominators

Search = Callable[[StepModel[Any], Batch, SearchPlan], Iterator[SentenceHypotheses]]


def union_search(model: StepModel[Any], batch: Batch, plan: SearchPlan, search: Search) -> Iterator[SentenceHypotheses]:
    """Yield the best hypotheses of each sentence of a batch, of all that the nominators find: each has a whole beam.

    Args:
        model: scores what its nominators find; its scores are those of its steps.
        batch: the sentences.
        plan: how to search.
        search: searches with one of them.
    """
    found: list[dict[tuple[int, ...], EndedSequence]] = [{} for _ in range(len(batch))]
    own = replace(plan, num_hypotheses=max(plan.num_hypotheses, plan.beam_size), attention=False, token_scores=False)
    for member in nominators(model):
        for each in search(member, batch, own):
            for ended in each.hypotheses:
                found[each.sentence].setdefault(tuple(ended.bare), ended)
    rows = np.array([sentence for sentence, several in enumerate(found) for _ in several], np.intp)
    nominated = [ended for several in found for ended in several.values()]
    scored = score_targets(model, batch.take(rows, trim=False), [ended.ids for ended in nominated], plan)
    chosen: list[list[EndedSequence]] = [[] for _ in found]
    for sentence, ended, forced in zip(rows, nominated, scored, strict=True):
        token_scores = forced.token_scores if plan.token_scores else None
        chosen[sentence].append(EndedSequence(ended.ids, ended.reason, forced.score, token_scores, forced.attention))
    for sentence, hypotheses in enumerate(chosen):
        best = rank(hypotheses, plan.num_hypotheses)
        if not plan.scores:
            best = [ended._replace(score=None) for ended in best]
        yield SentenceHypotheses(batch, sentence, best)


def check_union(options: DecodingOptions) -> None:
    """Refuse options that have no meaning where models choose among hypotheses.

    Raises:
        OptionError: names them.
    """
    reasons = {
        "a sampling option": (options.sampling, "draws from one distribution"),
        "callback": (options.callback is not None, "hears of tokens before it is known which hypothesis is chosen"),
    }
    problems = [
        f"{name}: {why}, which an ensemble by hypotheses doesn't have"
        for name, (asked, why) in reasons.items()
        if asked
    ]
    if problems:
        raise OptionError("; ".join(problems))
