"""Beam search.

Each step extends every sequence alive by every token. Of the best `beam_size` candidates of a sentence those that end
are set aside as hypotheses; the best `beam_size` that don't end live on. So that so many stay alive however many end,
more candidates are examined: 2k where there is one end token. One that ends below the first k is neither: it would
not have been found by a narrower look, and counting it would make a beam of one something else than greedy search
(fairseq and CTranslate2 do the same). A sentence stops once enough have ended and none alive can beat the best of
them.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.constraints.required_phrases import share_out
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.finished import EndedPool, EndedSequence
from s2s_runtime.search.history import History
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.scoring import log_normalizer, top_candidates
from s2s_runtime.search.step_model import Candidates, StatesT, StepModel, StepOutput


class Beams(NamedTuple, Generic[StatesT]):
    """The sequences that are alive. Row i of states and history is beam i % width of sentence i // width.

    Attributes:
        states: states of the model, a row for each beam.
        sentences: int64 (sentences,), index of each in the batch.
        scores: float32 (sentences, width), log-probability so far, best first; -inf where fewer are alive.
        tokens: int64 (rows,), the tokens that are fed next.
        history: tokens so far, a row for each beam.
        attended: float32 (rows, source time), attention that each source position received so far, or None.
    """

    states: StatesT
    sentences: Ints
    scores: Floats
    tokens: Ints
    history: History
    attended: Floats | None


class Attention(NamedTuple):
    """Attention of the beams, float32 (rows, source time): of the last step, and summed over all steps if needed."""

    step: Floats | None
    total: Floats | None


def beam_search(model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> list[list[EndedSequence]]:
    """Keep the `beam_size` best sequences of each sentence alive until enough have ended.

    Returns:
        For each sentence of the batch its best distinct hypotheses, best first, at most `num_hypotheses`.
    """
    return BeamSearch(model, batch, plan).run()


class BeamSearch(Generic[StatesT]):
    """One beam search over one batch. `Beams` holds what changes from step to step, the pool holds what has ended.

    Other kinds of beams change single methods of it: see `s2s_runtime.varied_beams`.

    Args:
        model: the model.
        batch: the sentences.
        plan: how to search.
    """

    def __init__(self, model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> None:
        self.model = plan.guided(model)
        self.batch = batch
        self.plan = plan
        self.pool = EndedPool(batch, plan)
        # enough that beam_size sequences go on even where every beam ends in every way it can
        self.examined = plan.beam_size * (1 + plan.ends)
        self.first_limit = int(batch.limits.min())

    def run(self) -> list[list[EndedSequence]]:
        """Return the hypotheses of each sentence, best first."""
        beams: Beams[StatesT] | None = self.start()
        while beams is not None:
            output = self.model.step(beams.states, beams.tokens, attention=self.plan.looks)
            attention = self.look(beams, output)
            candidates = self.extend(beams, output)
            ends = self.plan.is_end.take(candidates.tokens)
            if ends.any():
                ended = self.pool.ending(candidates.tokens, candidates.scores)
                self.set_aside(beams, attention, candidates, ended, "end")
                alive = candidates.that_go_on(ends, self.plan.beam_size)
            else:
                alive = candidates.first(self.plan.beam_size)
            beams = self.advance(beams, attention, alive, self.going_on(beams, attention, alive))
        return self.best()

    def best(self) -> list[list[EndedSequence]]:
        """Return the hypotheses of each sentence, best first, once all have ended."""
        return [self.pool.best(sentence) for sentence in range(len(self.batch))]

    def encode(self) -> StatesT:
        """Return the states before the first step, a row for each sentence."""
        return self.model.encode(self.batch.source, *self.batch.others)

    def start(self) -> Beams[StatesT]:
        """Return one beam per sentence: at the first step there are no others to tell apart."""
        count, time = len(self.batch), self.batch.source.shape[1]
        kept = time if self.plan.attention else None
        automata = self.plan.rules.automata
        return Beams(
            states=self.encode(),
            sentences=np.arange(count),
            scores=np.zeros((count, 1), np.float32),
            tokens=np.full(count, self.plan.start_id, np.int64),
            history=History(count, scores=self.plan.token_scores, attention_time=kept, automata=automata),
            attended=np.zeros((count, time), np.float32) if self.plan.coverage_penalty > 0 else None,
        )

    def look(self, beams: Beams[StatesT], output: StepOutput) -> Attention:
        """Return the attention of this step, and of all steps so far where it is summed."""
        if beams.attended is None or output.attention is None:
            return Attention(output.attention, None)
        return Attention(output.attention, beams.attended + output.attention)

    def extend(self, beams: Beams[StatesT], output: StepOutput) -> Candidates:
        """Return the best extensions of each sentence: as many as can end in one step, and `beam_size` more."""
        extended = self.extended(beams, output)
        every, banks = extended.reshape(len(beams.scores), -1), self.plan.rules.banks(beams.history.places)
        return self.examine(every, None if banks is None else banks.reshape(every.shape), extended.shape[1])

    def extended(self, beams: Beams[StatesT], output: StepOutput) -> Floats:
        """Return the log-probability of each beam with each token behind it, float32 (rows, vocabulary)."""
        logits, rules, width = (
            output.logits,
            self.plan.rules,
            beams.scores.shape[1],
        )  # the logits are ours to write into
        scores, written = beams.scores.reshape(-1), beams.history.tokens
        nothing = rules.penalize(logits, written)
        offset = scores - log_normalizer(logits)
        if output.added is not None:
            logits += output.added
        forced = self.batch.forced(beams.sentences, beams.history.length)
        living = None if rules.allowed_next is None else scores > -np.inf
        forced = None if forced is None else np.repeat(forced, width)
        left = self.batch.limits[beams.sentences].repeat(width) - beams.history.length if rules.automata else None
        rules.mask(logits, written, forced, living, places=beams.history.places, left=left, nothing=nothing)
        logits += offset[:, None]
        return logits

    def examine(self, every: Floats, banks: Ints | None, size: int) -> Candidates:
        """Return the best extensions of each sentence, as many as are examined.

        Args:
            every: float32 (sentences, width * size), the log-probability of all.
            banks: int64, likewise, where beams are shared out among banks.
            size: of the vocabulary.
        """
        if banks is None:
            best, positions = top_candidates(every, self.examined)
        else:
            best, positions = share_out(every, banks, self.plan.beam_size, self.examined)
        parents, tokens = np.divmod(positions, size)
        return Candidates(best, parents, tokens)

    def set_aside(
        self,
        beams: Beams[StatesT],
        attention: Attention,
        candidates: Candidates,
        which: NDArray[np.bool_],
        reason: FinishReason,
    ) -> None:
        """Move candidates to the pool of ended hypotheses, best first."""
        kept = self.pool.screen(beams.sentences, which, candidates.scores, beams.history.length + 1)
        for index, rank in zip(*np.nonzero(kept), strict=True):
            ended = self.ended(beams, attention, candidates, (int(index), int(rank)), reason)
            self.keep(int(beams.sentences[index]), ended, float(candidates.scores[index, rank]))

    def ended(
        self,
        beams: Beams[StatesT],
        attention: Attention,
        candidates: Candidates,
        position: tuple[int, int],
        reason: FinishReason,
    ) -> EndedSequence:
        """Return the candidate at a position (sentence in flight, rank) as a sequence that has ended."""
        history, index = beams.history, position[0]
        row = index * beams.scores.shape[1] + int(candidates.parents[position])
        token, log_probability = int(candidates.tokens[position]), candidates.scores[position]
        sentence, length = int(beams.sentences[index]), history.length
        score = self.score(sentence, row, float(log_probability), length + 1, attention.total)
        ids, scores, weights = history.of(row, length)
        if scores is not None:
            scores = np.append(scores, self.gains(beams, log_probability, row, token))
        if weights is not None and attention.step is not None:
            weights = np.concatenate([weights, attention.step[row : row + 1]])
        return EndedSequence([*ids, token], reason, score, scores, weights)

    def keep(self, sentence: int, ended: EndedSequence, log_probability: float) -> None:
        """Put a sequence into the pool; `log_probability` is what the search counted for it."""
        self.pool.add(sentence, ended, ended.score or 0.0)

    def gains(self, beams: Beams[StatesT], scores: Any, rows: Any, tokens: Any) -> Any:
        """Return the log-probability of tokens behind beams, where sequences with them have these scores.

        All are arrays of one shape, or single numbers: float32 scores, int64 rows and tokens.
        """
        before = beams.scores.reshape(-1)[rows]
        return scores - np.where(np.isneginf(before), np.float32(0), before)

    def score(self, sentence: int, row: int, log_probability: float, length: int, attended: Floats | None) -> float:
        """Return the score of a sequence that ends; `attended` is float32 (rows, source time), of all beams."""
        looked = None if attended is None else attended[row][self.batch.columns[sentence]]
        return self.plan.score(log_probability, length, looked)

    def going_on(self, beams: Beams[StatesT], attention: Attention, alive: Candidates) -> NDArray[np.intp]:
        """Return the indices of the sentences that go on; end what is alive in those that have reached their limit."""
        length, left = beams.history.length + 1, alive.scores[:, 0] > -np.inf
        if length >= self.first_limit:
            last = self.batch.limits[beams.sentences] <= length
            self.set_aside(beams, attention, alive, (alive.scores > -np.inf) & last[:, None], "length")
            left = left & ~last
        if not left.all():
            self.rescue(beams, (~left).nonzero()[0])
        return (left & ~self.pool.settled(beams.sentences, alive.scores[:, 0], length)).nonzero()[0]

    def rescue(self, beams: Beams[StatesT], indices: NDArray[np.intp]) -> None:
        """End the best beam of each sentence in which no token may follow and nothing has ended."""
        width = beams.scores.shape[1]
        for index in indices:
            sentence, row = int(beams.sentences[index]), int(index) * width
            if self.pool.is_empty(sentence):
                self.keep(sentence, self.unfollowed(beams, sentence, row), float(beams.scores[index, 0]))

    def unfollowed(self, beams: Beams[StatesT], sentence: int, row: int) -> EndedSequence:
        """Return the beam of a row as a sequence that ends because nothing may follow."""
        length = beams.history.length
        score = self.score(sentence, row, float(beams.scores.reshape(-1)[row]), length, beams.attended)
        ids, scores, weights = beams.history.of(row, length)
        return EndedSequence(ids, "stopped", score, scores, weights)

    def advance(
        self, beams: Beams[StatesT], attention: Attention, alive: Candidates, left: NDArray[np.intp]
    ) -> Beams[StatesT] | None:
        """Return the beams of the sentences that go on, each made of its parent; None where none goes on."""
        if len(left) == 0:
            return None
        width, history, states = beams.scores.shape[1], beams.history, beams.states
        kept = alive if len(left) == len(beams.sentences) else alive.select(left)
        rows = (kept.parents + left[:, None] * width).reshape(-1)
        if kept.scores.shape == beams.scores.shape:
            self.model.reorder(states, rows)
        else:
            states = self.model.select(states, rows)
        tokens, gains, weights = kept.tokens.reshape(-1), None, None
        if self.plan.token_scores:
            gains = self.gains(beams, kept.scores.reshape(-1), rows, tokens)
        if self.plan.attention and attention.step is not None:
            weights = attention.step[rows]
        history.select(rows)
        history.append(tokens, gains, weights)
        total = None if attention.total is None else attention.total[rows]
        return Beams(states, beams.sentences[left], kept.scores, tokens, history, total)
