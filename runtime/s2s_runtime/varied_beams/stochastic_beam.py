"""Stochastic beam search (Kool et al. 2019): sequences drawn without replacement, by Gumbel noise from the top down.

A sequence drawn `beam_size` times from the model would often be the same. Instead each whole sequence has its
log-probability and Gumbel noise, and those with the highest sums are taken, which draws without replacement. They are
found by a beam: the noise of a token is drawn such that the highest sum among what may follow a beam is the beam's own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.beam import Attention, Beams, BeamSearch
from s2s_runtime.search.finished import EndedSequence, rank
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.sampling import Sampler
from s2s_runtime.search.scoring import top_candidates
from s2s_runtime.search.step_model import Candidates, StatesT, StepModel, StepOutput

_Doubles = NDArray[np.float64]


def stochastic_beam_search(model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> list[list[EndedSequence]]:
    """Draw `beam_size` sequences of each sentence without replacement.

    Returns:
        For each sentence of the batch the first `num_hypotheses` of those drawn, in the order of their scores.
    """
    return _StochasticBeamSearch(model, batch, plan).run()


class _Draws(NamedTuple):
    """The numbers by which the beams in flight were chosen, float64 (sentences, width), -inf where fewer are alive.

    Attributes:
        log_shares: log-probability of having been drawn, by what is drawn from.
        sums: that and noise: the highest of all whole sequences that begin so.
    """

    log_shares: _Doubles
    sums: _Doubles


class _StochasticBeamSearch(BeamSearch[StatesT]):
    """A beam search whose beams are chosen by `_Draws`; those that have ended keep their places in it."""

    def __init__(self, model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> None:
        super().__init__(model, batch, plan)
        self.sampler = plan.sampler or Sampler()
        self.generators = self.sampler.generators(len(batch), 1)
        self.drawn: list[list[tuple[float, EndedSequence]]] = [[] for _ in range(len(batch))]  # ended, with their sums

    def run(self) -> list[list[EndedSequence]]:
        beams: Beams[StatesT] | None = self.start()
        draws = _Draws(*np.zeros((2, len(self.batch), 1)))
        while beams is not None:
            output = self.model.step(beams.states, beams.tokens, attention=self.plan.looks)
            attention = self.look(beams, output)
            log_shares, scores = self.shares(beams, output)
            self.end_unfollowed(beams, draws, log_shares)
            candidates, chosen = self.choose(beams, draws, self.perturbed(beams, draws, log_shares), log_shares, scores)
            beams, draws = self.go_on(beams, attention, candidates, chosen)
        return self.best()

    def best(self) -> list[list[EndedSequence]]:
        ranked = (sorted(drawn, key=lambda pair: -pair[0])[: self.plan.num_hypotheses] for drawn in self.drawn)
        return [rank([ended for _, ended in drawn], self.plan.num_hypotheses) for drawn in ranked]

    def shares(self, beams: Beams[StatesT], output: StepOutput) -> tuple[Floats, Floats]:
        """Return what each token adds to the log-probability of being drawn, and the model's of each beam with it.

        Both float32 (rows, vocabulary). What is drawn from is what sampling draws from: rules and sampling options
        count there, and scores are as everywhere.
        """
        scores = self.extended(beams, output)
        return self.sampler.log_shares(scores), scores

    def end_unfollowed(self, beams: Beams[StatesT], draws: _Draws, log_shares: Floats) -> None:
        """End the beams behind which nothing may follow."""
        width = beams.scores.shape[1]
        stopped = np.isneginf(log_shares).all(axis=1) & (draws.sums.reshape(-1) > -np.inf)
        for row in np.flatnonzero(stopped).tolist():
            sentence = int(beams.sentences[row // width])
            ended = self.unfollowed(beams, sentence, row)
            self.drawn[sentence].append((float(draws.sums.reshape(-1)[row]), ended))

    def perturbed(self, beams: Beams[StatesT], draws: _Draws, log_shares: Floats) -> _Doubles:
        """Return the highest sum behind each beam with each token: float64 (rows, vocabulary)."""
        shape = beams.scores.shape[1], log_shares.shape[1]
        noise = np.concatenate([self.generators[sentence].gumbel(size=shape) for sentence in beams.sentences])
        sums = draws.log_shares.reshape(-1)[:, None] + log_shares + noise
        return conditioned(sums, draws.sums.reshape(-1))

    def choose(
        self, beams: Beams[StatesT], draws: _Draws, perturbed: _Doubles, log_shares: Floats, scores: Floats
    ) -> tuple[Candidates, _Draws]:
        """Return the extensions among the `beam_size` highest sums of each sentence, and drop what is not among them.

        The extensions are those of single tokens; what has ended keeps its sum. Arrays are as `shares` gives them.
        """
        count, width, most = *beams.scores.shape, self.plan.beam_size
        ended = np.full((count, most), -np.inf)
        for row, sentence in enumerate(beams.sentences):
            sums = [own for own, _ in self.drawn[sentence]]
            ended[row, : len(sums)] = sums
        highest, positions = top_candidates(np.concatenate([ended, perturbed.reshape(count, -1)], axis=1), most)
        is_taken, is_new = highest > -np.inf, positions >= most
        for row, sentence in enumerate(beams.sentences):
            kept = positions[row, is_taken[row] & ~is_new[row]]
            self.drawn[sentence] = [self.drawn[sentence][index] for index in kept.tolist()]
        is_new &= is_taken
        parents, tokens = np.divmod(np.where(is_new, positions - most, 0), perturbed.shape[1])
        rows = parents + np.arange(0, count * width, width)[:, None]
        shares = draws.log_shares.reshape(-1)[rows] + log_shares[rows, tokens]
        chosen = _Draws(np.where(is_new, shares, -np.inf), np.where(is_new, highest, -np.inf))
        return Candidates(np.where(is_new, scores[rows, tokens], np.float32(-np.inf)), parents, tokens), chosen

    def go_on(
        self, beams: Beams[StatesT], attention: Attention, candidates: Candidates, chosen: _Draws
    ) -> tuple[Beams[StatesT] | None, _Draws]:
        """Set aside what ends, and return the beams of the others; None where there are none."""
        alive, is_end = chosen.sums > -np.inf, self.plan.is_end.take(candidates.tokens)
        at_limit = self.batch.limits[beams.sentences] <= beams.history.length + 1
        done = alive & (is_end | at_limit[:, None])
        for index, rank_ in zip(*np.nonzero(done), strict=True):
            position = int(index), int(rank_)
            reason: FinishReason = "end" if is_end[position] else "length"
            sequence = self.ended(beams, attention, candidates, position, reason)
            self.drawn[int(beams.sentences[index])].append((float(chosen.sums[position]), sequence))
        alive &= ~done
        order, left = np.argsort(~alive, axis=1, kind="stable"), np.flatnonzero(alive.any(axis=1))
        rows = np.arange(len(order))[:, None]
        alive = alive[rows, order]
        scores = np.where(alive, candidates.scores[rows, order], np.float32(-np.inf))
        going = Candidates(scores, candidates.parents[rows, order], candidates.tokens[rows, order])
        draws = _Draws(*(np.where(alive, array[rows, order], -np.inf)[left] for array in chosen))
        return self.advance(beams, attention, going, left), draws


def conditioned(sums: _Doubles, highest: _Doubles) -> _Doubles:
    """Return the sums of each row moved so that the highest is what it has to be (Kool et al. 2019, appendix B).

    Args:
        sums: float64 (rows, choices), log-probabilities and Gumbel noise; -inf where there is no choice.
        highest: float64 (rows,), what the highest of each row is to be.
    """
    own = np.maximum(sums.max(axis=1, keepdims=True), np.finfo(np.float64).min)  # a row of -inf: no -inf minus -inf
    below, wanted = sums - own, np.maximum(highest, np.finfo(np.float64).min)[:, None]
    with np.errstate(divide="ignore"):  # the highest itself
        moved = wanted - sums + np.log(-np.expm1(below))
    placed: _Doubles = wanted - np.maximum(moved, 0.0) - np.log1p(np.exp(-np.abs(moved)))
    return placed
