"""Forced decoding: the probabilities of targets that are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.constraints.automaton import advance_places, start_places, walk
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.finished import Confidences
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.scoring import log_normalizer
from s2s_runtime.search.step_model import StatesT, StepModel, StepOutput


class ForcedScores(NamedTuple):
    """The scores of a given target, and where the model looked.

    Attributes:
        token_scores: float32 (tokens,), log-probability of each.
        score: by the plan.
        attention: float32 (tokens, source time), where the plan wants it.
    """

    token_scores: Floats
    score: float
    attention: Floats | None = None

    def behind(self, prompt: int, plan: SearchPlan) -> ForcedScores:
        """Return the scores of what stands behind so many tokens, which were given too."""
        if not prompt:
            return self
        scores = self.token_scores[prompt:]
        return ForcedScores(scores, plan.score(float(scores.sum(dtype=np.float32)), len(scores), None))


def score_targets(
    model: StepModel[StatesT], batch: Batch, targets: list[list[int]], plan: SearchPlan
) -> list[ForcedScores]:
    """Feed each target to the model and read off the probability of every token of it.

    Args:
        model: the model.
        batch: the sources.
        targets: ids of each target, the end token included where it counts.
        plan: gives the penalties and the weights of phrases; its masks don't apply.
    """
    given, model = padded_targets(targets), plan.guided(model)
    scores = np.zeros(given.shape, np.float32)
    attended = np.zeros((given.shape[1], *batch.columns.shape), np.float32) if plan.looks else None
    rows = np.arange(len(targets))
    automata = plan.rules.automata
    places, lengths = start_places(automata, len(targets)), np.array([len(target) for target in targets])
    for step, output in forced_steps(model, batch, given, plan.start_id, attention=plan.looks):
        nothing = plan.rules.penalize(output.logits, given[:, :step])
        tokens = given[:, step]
        scores[:, step] = output.logits[rows, tokens] - log_normalizer(output.logits)
        if output.added is not None:
            scores[:, step] += output.added[rows, tokens]
        if nothing is not None:
            scores[nothing, step] = -np.inf
        if automata:
            scores[:, step] += plan.rules.added(tokens, places, lengths - step)
            places = advance_places(automata, places, tokens)
        if attended is not None and output.attention is not None:
            attended[step] = output.attention
    return [
        _forced(
            scores[row, : len(target)], None if attended is None else attended[: len(target), row], batch, row, plan
        )
        for row, target in enumerate(targets)
    ]


def calibrated_targets(
    model: StepModel[StatesT],
    batch: Batch,
    targets: Sequence[Sequence[int]],
    start_id: int,
    *,
    temperature: float,
    top: int,
) -> list[Confidences]:
    """Feed each target to the model and read off how sure it is of every token, whatever search forbids or favours.

    Args:
        model: the model.
        batch: the sources.
        targets: ids of each target, at least one each, the end token included where it counts.
        start_id: token fed at the first step.
        temperature: logits are divided by it.
        top: how many of the likeliest tokens are kept at each position, at most as many as there are.
    """
    given = padded_targets(targets)
    sure = np.zeros(given.shape, np.float32)
    likeliest = np.zeros((*given.shape, top), np.int64)
    scores = np.zeros(likeliest.shape, np.float32)
    for step, output in forced_steps(model, batch, given, start_id):
        scaled = output.logits / np.float32(temperature)
        scaled -= log_normalizer(scaled)[:, None]
        sure[:, step] = np.take_along_axis(scaled, given[:, step, None], axis=1)[:, 0]
        if top:
            likeliest[:, step] = np.argsort(-scaled, axis=1, kind="stable")[:, :top]
            scores[:, step] = np.take_along_axis(scaled, likeliest[:, step], axis=1)
    return [
        Confidences(sure[row, : len(target)], likeliest[row, : len(target)], scores[row, : len(target)])
        for row, target in enumerate(targets)
    ]


def padded_targets(targets: Sequence[Sequence[int]]) -> Ints:
    """Return targets as an array, int64 (targets, longest), zeros after the end of each."""
    given = np.zeros((len(targets), max(map(len, targets))), np.int64)
    for row, target in enumerate(targets):
        given[row, : len(target)] = target
    return given


def forced_steps(
    model: StepModel[StatesT], batch: Batch, given: Ints, start_id: int, *, attention: bool = False
) -> Iterator[tuple[int, StepOutput]]:
    """Yield each step and what the model gives at it, the targets' tokens, int64 (targets, longest), fed to it."""
    states, tokens = model.encode(batch.source, *batch.others), np.full(len(given), start_id, np.int64)
    for step in range(given.shape[1]):
        yield step, model.step(states, tokens, attention=attention)
        tokens = given[:, step]


def _forced(scores: Floats, attended: Floats | None, batch: Batch, row: int, plan: SearchPlan) -> ForcedScores:
    looked = None if attended is None else attended.sum(axis=0)[batch.columns[row]]
    score = plan.score(float(scores.sum(dtype=np.float32)), len(scores), looked)
    return ForcedScores(scores, score, attended if plan.attention else None)


def likeliest_next(model: StepModel[StatesT], batch: Batch, plan: SearchPlan, count: int, least: float) -> list[Ints]:
    """Return the likeliest tokens after each sentence's prefix, best first: int64 (tokens,) for each sentence.

    Args:
        model: the model.
        batch: the sources and prefixes.
        plan: says which tokens may follow.
        count: most tokens for each sentence.
        least: tokens less likely than this are left out.
    """
    model = plan.guided(model)
    prefix = np.zeros((len(batch), 0), np.int64) if batch.prefix is None else batch.prefix
    lengths = (prefix >= 0).sum(axis=1)
    likeliest: list[Ints] = [np.zeros(0, np.int64)] * len(batch)
    states, tokens = model.encode(batch.source, *batch.others), np.full(len(batch), plan.start_id, np.int64)
    for step in range(int(lengths.max()) + 1):
        output = model.step(states, tokens)
        here = np.flatnonzero(lengths == step)
        if len(here):
            written, chosen = prefix[here, :step], output.logits[here]
            nothing = plan.rules.penalize(chosen, written)
            normalizer = log_normalizer(chosen)
            if output.added is not None:
                chosen += output.added[here]
            left = batch.limits[here] - step
            places = walk(plan.rules.automata, written)
            plan.rules.mask(chosen, written, None, places=places, left=left, nothing=nothing)
            order = np.argsort(-chosen, axis=1, kind="stable")[:, :count]
            scores = np.take_along_axis(chosen, order, axis=1) - normalizer[:, None]
            kept = (scores > -np.inf) & (np.exp(scores) >= least)
            for i, row in enumerate(here):
                likeliest[row] = order[i][kept[i]]
        if step < prefix.shape[1]:
            tokens = np.maximum(prefix[:, step], 0)
    return likeliest
