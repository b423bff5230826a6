"""The best sequences where rules look at what was written before: a search that is exact, however far rules reach.

Whatever stands at the other positions, a sequence scores no more than its tokens so far and the best of each position
to come. Sequences are taken up by that bound, the highest first: those that are whole come out best first.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.constraints.automaton import walk
from s2s_runtime.errors import OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.results import FinishReason
from s2s_runtime.search.finished import EndedSequence, rank
from s2s_runtime.search.plan import SearchPlan

_MOST: Final = 100_000  # sequences taken up for one row; more take minutes


class _Choice(NamedTuple):
    """The next tokens of a sequence, best first, of which the one at `at` is to be taken."""

    written: tuple[int, ...]
    total: float
    tokens: NDArray[np.intp]
    scores: Floats
    at: int


def exact_search(scores: Floats, logits: Floats, batch: Batch, plan: SearchPlan) -> list[list[EndedSequence]]:
    """Return the `num_hypotheses` best sequences of each row that the rules allow, by score, best first.

    Args:
        scores: float32 (rows, positions, vocabulary), log-probabilities.
        logits: float32 of the same shape, before softmax; rules are asked with these.
        batch: the sentences; a row has as many positions as its limit says.
        plan: the rules, how many are wanted, and how lengths count.

    Raises:
        OptionError: the rules leave so little that no end is in sight.
    """
    return [_Row(scores[row], logits[row], batch, row, plan).best() for row in range(len(scores))]


class _Row:
    """The search of one row."""

    def __init__(self, scores: Floats, logits: Floats, batch: Batch, row: int, plan: SearchPlan) -> None:
        self.scores, self.logits, self.plan = scores, logits, plan
        self.limit = int(batch.limits[row])
        self.prefix = [] if batch.prefix is None else [int(token) for token in batch.prefix[row] if token >= 0]
        best = (scores[: self.limit] + plan.rules.always).max(axis=1).astype(np.float64)
        for position, token in enumerate(self.prefix):
            best[position] = scores[position, token]
        self.reach = np.concatenate([[0.0], np.cumsum(best)])
        self.divisors = np.array([plan.length_penalty.divisor(length) for length in range(self.limit + 1)])
        self.heap: list[tuple[float, int, Any]] = []
        self.number = count()

    def best(self) -> list[EndedSequence]:
        found: list[EndedSequence] = []
        self.take_up((), 0.0)
        taken = 0
        while self.heap and len(found) < self.plan.num_hypotheses:
            bound, _, item = heapq.heappop(self.heap)
            if isinstance(item, _Choice):
                taken += 1
                if taken > _MOST:
                    raise OptionError(
                        f"allowed_next: no {self.plan.num_hypotheses} best sequences that it allows were found among "
                        f"{_MOST:,}; give engine='steps' for a search that keeps beam_size of them"
                    )
                self.follow(item)
            else:
                found = rank([*found, self.ended(item, -bound)], self.plan.num_hypotheses)
        return found or [EndedSequence([], "stopped", 0.0, np.zeros(0, np.float32))]

    def take_up(self, written: tuple[int, ...], total: float) -> None:
        """Put what may follow a sequence among what is to be looked at: what ends it, and what goes on."""
        position, rules = len(written), self.plan.rules
        row, tokens = self.logits[position][None].copy(), np.array([written], np.int64).reshape(1, position)
        forced = np.array([self.prefix[position]]) if position < len(self.prefix) else None
        left = np.array([self.limit - position])
        rules.mask(row, tokens, forced, places=walk(rules.automata, tokens), left=left)
        may = np.isfinite(row[0])
        for chosen in (may & self.plan.is_end, may & ~self.plan.is_end):
            ids = np.flatnonzero(chosen)
            order = ids[np.argsort(-self.scores[position, ids], kind="stable")]
            if len(order):
                self.push(_Choice(written, total, order, self.scores[position, order], 0))

    def push(self, choice: _Choice) -> None:
        """Put one choice where its bound says, the highest score that a sequence with its token can have."""
        length = len(choice.written) + 1
        total = choice.total + float(choice.scores[choice.at])
        bound = total / self.divisors[length]
        if not self.plan.is_end[choice.tokens[choice.at]]:
            lengths = np.arange(length, self.limit + 1) if self.plan.ends else np.array([self.limit])
            bound = float(((total + self.reach[lengths] - self.reach[length]) / self.divisors[lengths]).max())
        heapq.heappush(self.heap, (-bound, next(self.number), choice))

    def follow(self, choice: _Choice) -> None:
        """Take the token of a choice, and put the next one of its kind in its place."""
        if choice.at + 1 < len(choice.tokens):
            self.push(choice._replace(at=choice.at + 1))
        token = int(choice.tokens[choice.at])
        written, total = (*choice.written, token), choice.total + float(choice.scores[choice.at])
        if self.plan.is_end[token] or len(written) == self.limit:
            score = total / float(self.divisors[len(written)])
            heapq.heappush(self.heap, (-score, next(self.number), written))
        else:
            self.take_up(written, total)

    def ended(self, written: tuple[int, ...], score: float) -> EndedSequence:
        reason: FinishReason = "end" if self.plan.is_end[written[-1]] else "length"
        each = self.scores[np.arange(len(written)), list(written)]
        return EndedSequence(list(written), reason, score, each)
