"""Greedy search and sampling: one sequence per row, each step takes one token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.constraints.allowed_sequences import SequenceTrie
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.finished import EndedSequence, rank
from s2s_runtime.search.history import History
from s2s_runtime.search.plan import DROP_SHARE, Notify, SearchPlan
from s2s_runtime.search.sampling import Draws
from s2s_runtime.search.scoring import log_normalizer
from s2s_runtime.search.step_model import StatesT, StepModel, StepOutput


@dataclass(slots=True)
class _Rows(Generic[StatesT]):
    """The rows being written. `sentences` has the index of each in the batch; ended rows stay until they're dropped."""

    states: StatesT
    sentences: Ints
    live: NDArray[np.bool_]
    totals: Floats
    history: History
    draws: Draws | None

    def drop_ended(self, model: StepModel[StatesT]) -> Ints:
        """Drop the rows that have ended, and return the indices of those that stay, int64 (rows,)."""
        kept = np.flatnonzero(self.live)
        self.states = model.select(self.states, kept)
        self.history.select(kept)
        self.sentences, self.totals, self.live = self.sentences[kept], self.totals[kept], self.live[kept]
        if self.draws is not None:
            self.draws.select(kept)
        return kept


def greedy_search(model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> list[list[EndedSequence]]:
    """Take the likeliest token at each step, or draw one where the plan has a sampler.

    Returns:
        For each sentence of the batch its hypotheses: one, or the distinct samples, best first.
    """
    return _GreedySearch(model, batch, plan).run()


def greedy_stream(
    model: StepModel[StatesT], batch: Batch, plan: SearchPlan
) -> Iterator[tuple[list[int], list[EndedSequence]]]:
    """Search a batch of one sentence as `greedy_search` does; yield after each step what it has by then.

    Yields:
        All its ids so far, the last of which may not count where it has ended; and its hypotheses, none until then.
    """
    search = _GreedySearch(model, batch, plan)
    for rows in search.steps():
        yield rows.history.tokens[0].tolist(), search.best(0)


class _Choice(NamedTuple):
    """The next token of each row, its log-probability where wanted, and the rows where none may follow, if any can."""

    tokens: Ints
    scores: Floats | None
    blocked: NDArray[np.bool_] | None


class _GreedySearch(Generic[StatesT]):
    """One greedy search over one batch. `_Rows` holds what changes from step to step."""

    def __init__(self, model: StepModel[StatesT], batch: Batch, plan: SearchPlan) -> None:
        self.model = plan.guided(model)
        self.batch = batch
        self.plan = plan
        self.ended: list[list[EndedSequence]] = [[] for _ in range(len(batch))]
        self.first_limit = int(batch.limits.min())
        told = plan.scores or plan.attention or plan.notify is not None
        self.decided = None if told or plan.ends != 1 else plan.rules.listed  # of which no step has to be looked at

    def run(self) -> list[list[EndedSequence]]:
        for _ in self.steps():
            pass
        return [self.best(sentence) for sentence in range(len(self.batch))]

    def best(self, sentence: int) -> list[EndedSequence]:
        """Return the hypotheses of a sentence that has ended, best first."""
        return rank(self.ended[sentence], self.plan.num_hypotheses)

    def steps(self) -> Iterator[_Rows[StatesT]]:
        """Write all sentences; yield the rows after each step, those that ended collected and not dropped yet."""
        rows = self.start()
        tokens = np.full(len(rows.sentences), self.plan.start_id, np.int64)
        left = len(tokens)
        while left:
            output = self.model.step(rows.states, tokens, attention=self.plan.attention)
            choice = self.choose(rows, output)
            tokens = choice.tokens
            rows.history.append(tokens, choice.scores, output.attention)
            if choice.scores is not None:
                rows.totals += choice.scores
            done = self.done(rows, choice)
            is_eventful = bool(done.any())
            if is_eventful:
                self.collect(rows, choice, done)
                rows.live &= ~done
                left = int(rows.live.sum())
            yield rows
            if is_eventful and 0 < left <= len(tokens) - len(tokens) / DROP_SHARE:
                tokens = tokens[rows.drop_ended(self.model)]

    def start(self) -> _Rows[StatesT]:
        batch, plan = self.batch, self.plan
        sentences, states = np.arange(len(batch)), self.model.encode(batch.source, *batch.others)
        draws: Draws | None = None
        if plan.sampler is not None:
            draws = Draws(plan.sampler, len(batch), plan.num_hypotheses)
            if plan.num_hypotheses > 1:
                sentences = np.repeat(sentences, plan.num_hypotheses)
                states = self.model.select(states, sentences)
        count, time = len(sentences), batch.source.shape[1] if plan.attention else None
        history = History(count, scores=plan.token_scores, attention_time=time, automata=plan.rules.automata)
        return _Rows(states, sentences, np.ones(count, np.bool_), np.zeros(count, np.float32), history, draws)

    def choose(self, rows: _Rows[StatesT], output: StepOutput) -> _Choice:
        logits, rules, written = output.logits, self.plan.rules, rows.history.tokens
        nothing = rules.penalize(logits, written)
        normalizer = log_normalizer(logits) if self.plan.scores else None
        if output.added is not None:
            logits += output.added
        forced = self.batch.forced(rows.sentences, rows.history.length)
        if rules.listed is not None and len(logits) == 1 and forced is None and rows.draws is None:
            left_here = int(self.batch.limits[rows.sentences[0]]) - rows.history.length
            best = rules.listed.best(logits, int(rows.history.places[0][0]), left_here)
            return _Choice(best, None if normalizer is None else logits[0, best] - normalizer, None)
        left = self.batch.limits[rows.sentences] - rows.history.length if rules.automata else None
        rules.mask(logits, written, forced, rows.live, places=rows.history.places, left=left, nothing=nothing)
        tokens: Ints = logits.argmax(axis=1) if rows.draws is None else rows.draws.tokens(logits)
        if normalizer is None and not rules.may_block:
            return _Choice(tokens, None, None)
        chosen = logits[np.arange(len(tokens)), tokens]
        blocked = np.isneginf(chosen) if rules.may_block else None
        scores = None if normalizer is None else chosen - normalizer
        if scores is not None and blocked is not None:
            scores[blocked] = 0.0
        return _Choice(tokens, scores, blocked)

    def done(self, rows: _Rows[StatesT], choice: _Choice) -> NDArray[np.bool_]:
        """Return which live rows end with this step, bool (rows,)."""
        done: NDArray[np.bool_] = self.plan.is_end.take(choice.tokens)
        if choice.blocked is not None:
            done |= choice.blocked
        if rows.history.length >= self.first_limit:
            done |= self.batch.limits[rows.sentences] <= rows.history.length
        if self.decided is not None:
            done |= self.decided.decided(rows.history.places[0])
        if self.plan.notify is not None:
            done |= self.stopped(self.plan.notify, rows, choice, done)
        done &= rows.live
        return done

    def stopped(
        self, notify: Notify, rows: _Rows[StatesT], choice: _Choice, done: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell the caller of each new token, and return which rows it wants stopped, bool (rows,)."""
        stopped = np.zeros(len(done), np.bool_)
        told = rows.live if choice.blocked is None else rows.live & ~choice.blocked
        for row in np.flatnonzero(told):
            sentence = int(self.batch.indices[rows.sentences[row]])
            score = None if choice.scores is None else float(choice.scores[row])
            stopped[row] = notify(sentence, rows.history.length - 1, int(choice.tokens[row]), score, bool(done[row]))
        return stopped

    def collect(self, rows: _Rows[StatesT], choice: _Choice, done: NDArray[np.bool_]) -> None:
        """Move the rows that are done to the ended hypotheses of their sentences."""
        for row in np.flatnonzero(done):
            length = rows.history.length
            reason: FinishReason = "stopped"
            if choice.blocked is not None and choice.blocked[row]:
                length -= 1  # nothing could follow: what was chosen doesn't count
            elif self.plan.is_end[choice.tokens[row]]:
                reason = "end"
            elif self.batch.limits[rows.sentences[row]] <= length:
                reason = "length"
            score = self.plan.score(float(rows.totals[row]), length, None) if self.plan.scores else None
            ids, scores, attention = rows.history.of(row, length)
            if reason == "stopped" and self.decided is not None:
                ids, reason = self.completed(self.decided, ids, rows.history.places[0][row], rows.sentences[row])
            self.ended[rows.sentences[row]].append(EndedSequence(ids, reason, score, scores, attention))

    def completed(
        self, decided: SequenceTrie, ids: list[int], place: np.int64, sentence: np.int64
    ) -> tuple[list[int], FinishReason]:
        """Return the whole target of a row of which one sequence alone is left, and why it ends."""
        whole = [*ids, *decided.rest(int(place))]
        if len(whole) >= self.batch.limits[sentence]:
            return whole, "length"
        return [*whole, int(self.plan.rules.end_ids[0])], "end"
