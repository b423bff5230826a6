"""Diverse beam search (Vijayakumar et al. 2016): groups of beams that keep away from what the others take.

Groups go in order. A token that beams of earlier groups took at the same step costs a later group `diversity_penalty`
for each of them, from then on, as Hugging Face's `num_beam_groups` has it. Within a group all is as in any other beam.
The penalty decides what is found and which of it is returned; scores are those of the model, and so is their order.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from s2s_runtime.array_types import Floats
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.beam import Beams, BeamSearch
from s2s_runtime.search.finished import EndedSequence, rank
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import Candidates, StatesT, StepModel, StepOutput


def grouped_beam_search(model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> list[list[EndedSequence]]:
    """Search with `beam_groups` groups of beams, each of `beam_size / beam_groups`.

    Returns:
        For each sentence of the batch its best distinct hypotheses, best first, at most `num_hypotheses`.
    """
    return _GroupedBeamSearch(model, batch, plan).run()


class _GroupedBeamSearch(BeamSearch[StatesT]):
    """A beam search in which each group of a sentence is a sentence of its own: group g of s is s * groups + g."""

    def __init__(self, model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> None:
        self.whole, self.groups, self.wanted = batch, plan.beam_groups, plan.num_hypotheses
        enough = max(1, math.floor(plan.pool / plan.beam_groups + 0.5))
        own = replace(
            plan,
            beam_size=plan.beam_size // plan.beam_groups,
            pool=enough,
            num_hypotheses=enough,
            token_scores=True,  # what a sequence counts in its group isn't what the model says of it
        )
        repeated = np.repeat(np.arange(len(batch)), plan.beam_groups)
        super().__init__(model, batch.take(repeated, trim=False), own)
        self.found: list[list[tuple[float, EndedSequence]]] = [[] for _ in repeated]
        self.before_penalty: Floats = np.zeros((0, 0), np.float32)

    def encode(self) -> StatesT:
        states = self.model.encode(self.whole.source, *self.whole.others)
        return self.model.select(states, np.repeat(np.arange(len(self.whole)), self.groups))

    def extend(self, beams: Beams[StatesT], output: StepOutput) -> Candidates:
        extended = self.before_penalty = self.extended(beams, output)
        count, width = beams.scores.shape
        banks = self.plan.rules.banks(beams.history.places)
        sentences, groups = np.divmod(beams.sentences, self.groups)
        taken = np.zeros((len(self.whole), extended.shape[1]), np.float32)  # how often, by earlier groups
        forced = self.batch.forced(beams.sentences, beams.history.length)
        places, found = [], []
        for group in np.unique(groups).tolist():
            members = np.flatnonzero(groups == group)
            every = extended.reshape(count, width, -1)[members]
            every -= np.float32(self.plan.diversity_penalty) * taken[sentences[members]][:, None, :]
            own_banks = None if banks is None else banks.reshape(count, -1)[members]
            best = self.examine(every.reshape(len(members), -1), own_banks, extended.shape[1])
            places.append(members)
            found.append(best)
            alive = best.that_go_on(self.plan.is_end.take(best.tokens), self.plan.beam_size)
            counts = alive.scores > -np.inf
            if forced is not None:
                counts &= (forced[members] < 0)[:, None]  # what has to follow costs nobody anything
            rows, ranks = np.nonzero(counts)
            np.add.at(taken, (sentences[members][rows], alive.tokens[rows, ranks]), np.float32(1))
        order = np.argsort(np.concatenate(places))
        return Candidates(*(np.concatenate(parts)[order] for parts in zip(*found, strict=True)))

    def gains(self, beams: Beams[StatesT], scores: Any, rows: Any, tokens: Any) -> Any:
        return super().gains(beams, self.before_penalty[rows, tokens], rows, tokens)

    def keep(self, sentence: int, ended: EndedSequence, log_probability: float) -> None:
        counted = ended.score or 0.0
        own = 0.0 if ended.token_scores is None else float(ended.token_scores.sum(dtype=np.float32))
        penalty = own - log_probability
        score = counted + penalty / self.plan.length_penalty.divisor(len(ended.ids))
        self.pool.add(sentence, ended, counted)
        self.found[sentence].append((counted, ended._replace(score=score)))

    def best(self) -> list[list[EndedSequence]]:
        """Return the hypotheses that count most in their groups, in the order of the model's scores."""
        chosen = []
        for sentence in range(len(self.whole)):
            of_groups = self.found[sentence * self.groups : (sentence + 1) * self.groups]
            kept = [pair for found in of_groups for pair in _first(found, self.plan.num_hypotheses)]
            chosen.append(rank([ended for _, ended in _first(kept, self.wanted)], self.wanted))
        return chosen


def _first(found: list[tuple[float, EndedSequence]], count: int) -> list[tuple[float, EndedSequence]]:
    """Return the distinct sequences that count most, at most so many; of equal ones, the first."""
    distinct: dict[tuple[int, ...], tuple[float, EndedSequence]] = {}
    for counted, ended in sorted(found, key=lambda pair: -pair[0]):
        distinct.setdefault(tuple(ended.bare), (counted, ended))
    return list(distinct.values())[:count]
