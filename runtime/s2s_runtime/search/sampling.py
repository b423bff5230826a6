"""Drawing tokens at random, one generator per sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.search.scoring import pick, top_candidates
from s2s_runtime.search.step_model import Drawing

_HIGHEST = np.float32(1 - 2**-22)  # a larger number times a sum could be rounded to the sum
_ALL = 2.0  # a mass that no rounding reaches
_LOWEST = np.finfo(np.float32).min
_AHEAD = 64  # numbers that a row's generator gives at a time: one at a time costs a microsecond each


@dataclass(frozen=True, slots=True)
class Sampler:
    """A way to draw the next token.

    Temperature comes first, then top-k, then top-p of what that left, then min-p, whose bound neither of them moves,
    then typical-p and epsilon, each by the probabilities among the tokens that are left.

    Args:
        temperature: the softmax is taken of logits / temperature.
        top_k: only the k likeliest tokens; None = all.
        top_p: only the likeliest tokens that together reach this probability; 1 = all (Holtzman et al. 2020).
        min_p: only tokens at least so many times as likely as the likeliest; 0 = all (Nguyen et al. 2024).
        typical_p: only the tokens whose information is nearest to the entropy, until they reach this probability; 1 =
            all (Meister et al. 2023).
        epsilon: only tokens of at least this probability, or the likeliest where none has it; 0 = all (Hewitt et al.
            2022).
        seed: None = different each time.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    epsilon: float = 0.0
    seed: int | None = None

    def generators(self, sentences: int, samples: int) -> list[np.random.Generator]:
        """Return a generator for each sample of each sentence, the samples of a sentence side by side.

        The seed of a generator is `seed` and the sample's number, not the sentence's index in the batch: that would
        make results depend on what else is decoded.
        """
        if self.seed is None:
            return [np.random.default_rng() for _ in range(sentences * samples)]
        return [np.random.default_rng([self.seed, sample]) for _ in range(sentences) for sample in range(samples)]

    def draw(self, logits: Floats, numbers: Floats) -> Ints:
        """Draw one token per row, int64 (rows,), by inverting the cumulative distribution.

        Among all tokens that is done in the order of the vocabulary, else with the likeliest first.

        Args:
            logits: float32 (rows, vocabulary); tokens at -inf are never drawn, unless the whole row is -inf.
            numbers: float32 (rows,), at random from 0 to below 1.
        """
        if self.is_open:
            reached = self._scaled(logits).cumsum(axis=1)
            among_all: Ints = (reached > (numbers * reached[:, -1])[:, None]).argmax(axis=1)
            return among_all
        order, weights = self._weights(logits)
        reached = weights.cumsum(axis=1)
        rank = (reached <= (numbers * reached[:, -1])[:, None]).sum(axis=1)
        # rounding may put the rank past the last token that has weight
        if self._thins_out:
            last = np.where(weights > 0, np.arange(weights.shape[1]), 0).max(axis=1)
        else:
            last = np.maximum((weights > 0).sum(axis=1) - 1, 0)
        return pick(order, np.minimum(rank, last)[:, None])[:, 0]

    @property
    def is_open(self) -> bool:
        """Whether every token may be drawn."""
        return self.top_k is None and self.top_p >= 1.0 and self.min_p <= 0.0 and not self._thins_out

    @property
    def _thins_out(self) -> bool:
        """Whether likelier tokens than some that are left may be left out."""
        return self.typical_p < 1.0 or self.epsilon > 0.0

    def log_shares(self, logits: Floats) -> Floats:
        """Return the log-probability with which each token is drawn, float32 (rows, vocabulary), -inf where never.

        Args:
            logits: float32 (rows, vocabulary), as `draw` takes them.
        """
        order, weights = self._weights(logits)
        shares = _shares(weights)
        logs = np.log(shares, out=np.full_like(shares, -np.inf), where=shares > 0)
        every = np.full(logits.shape, -np.inf, np.float32)
        np.put_along_axis(every, order, logs, axis=1)
        return every

    def _weights(self, logits: Floats) -> tuple[Ints, Floats]:
        """Return the tokens to draw among, likeliest first, and what each weighs there; both (rows, tokens)."""
        likeliest, order = top_candidates(logits, self.top_k or logits.shape[1])
        weights = self._scaled(likeliest)
        if self.top_p < 1.0:
            reached = np.cumsum(weights, axis=1)
            before = reached - weights
            weights[before >= np.float32(self.top_p) * reached[:, -1:]] = 0.0
        if self.min_p > 0.0:
            weights[weights < np.float32(self.min_p)] = 0.0  # the likeliest weighs 1
        if self._thins_out:
            weights = self._with_epsilon(self._typical(weights))
        return order, weights

    def _scaled(self, logits: Floats) -> Floats:
        """Return what tokens weigh at the temperature, the likeliest 1; float32 (rows, tokens) both."""
        scaled = logits if self.temperature == 1.0 else logits / np.float32(self.temperature)
        highest = np.maximum(np.maximum.reduce(scaled, axis=1, keepdims=True), _LOWEST)  # no -inf minus -inf
        return np.exp(scaled - highest)

    def _typical(self, weights: Floats) -> Floats:
        """Return weights, float32 (rows, vocabulary), 0 at tokens that are not typical enough."""
        if self.typical_p >= 1.0:
            return weights
        shares = _shares(weights)
        information = -np.log(np.where(shares > 0, shares, np.float32(1)))
        entropy = (shares * information).sum(axis=1, keepdims=True)
        distance = np.where(shares > 0, np.abs(information - entropy), np.float32(np.inf))
        order = np.argsort(distance, axis=1, kind="stable")
        reached = np.cumsum(np.take_along_axis(shares, order, axis=1), axis=1)
        last = (reached < np.float32(self.typical_p)).sum(axis=1, keepdims=True)
        farthest = np.take_along_axis(distance, np.take_along_axis(order, np.minimum(last, order.shape[1] - 1), 1), 1)
        return np.where(distance <= farthest, weights, np.float32(0))

    def _with_epsilon(self, weights: Floats) -> Floats:
        """Return weights, 0 at tokens that are too unlikely, but for the likeliest."""
        if self.epsilon <= 0.0:
            return weights
        kept = (_shares(weights) >= np.float32(self.epsilon)) | (weights == weights.max(axis=1, keepdims=True))
        return np.where(kept, weights, np.float32(0))


class Draws:
    """Draws for rows that are written together, by numbers at random that are drawn ahead.

    Args:
        sampler: how to draw, and how generators are seeded: see `Sampler.generators`. Those with one seed are one.
        sentences, samples: rows, the samples of a sentence side by side.
    """

    def __init__(self, sampler: Sampler, sentences: int, samples: int) -> None:
        self._sampler = sampler
        self._generators = sampler.generators(1, samples if sampler.seed is not None else 1)
        self._columns: Ints | None = None if sampler.seed is None else np.tile(np.arange(samples), sentences)
        self._rows = sentences * samples
        self._block: Floats = np.zeros((0, self._rows), np.float32)
        self._used = 0

    def tokens(self, logits: Floats) -> Ints:
        """Return the next token of each row, int64 (rows,); see `Sampler.draw`."""
        tokens = self._sampler.draw(logits, self.ahead()[0])
        self.skip(1)
        return tokens

    def ahead(self) -> Floats:
        """Return the numbers of the next steps, float32 (steps, rows), of at least one."""
        if self._used == len(self._block):
            self._block, self._used = np.minimum(self._drawn(), _HIGHEST), 0
        return self._block[self._used :]

    def drawing(self, vocabulary: int) -> Drawing:
        """Return how a graph draws the next steps, of a vocabulary of so many tokens."""
        sampler = self._sampler
        candidates = min(sampler.top_k or vocabulary, vocabulary)
        return Drawing(self.ahead(), sampler.temperature, candidates, sampler.top_p if sampler.top_p < 1 else _ALL)

    def skip(self, steps: int) -> None:
        """Go on behind so many steps, whose numbers were used."""
        self._used += steps

    def select(self, rows: NDArray[np.intp]) -> None:
        """Go on with some of the rows."""
        self._rows, self._block = len(rows), self._block[:, rows]
        if self._columns is not None:
            self._columns = self._columns[rows]

    def _drawn(self) -> Floats:
        if self._columns is None:
            return self._generators[0].random((_AHEAD, self._rows), dtype=np.float32)
        streams = [generator.random(_AHEAD, dtype=np.float32) for generator in self._generators]
        numbers: Floats = np.stack(streams, axis=1)[:, self._columns]
        return numbers


def _shares(weights: Floats) -> Floats:
    """Return weights that sum to 1 in each row; as they are where all are 0."""
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1)).astype(np.float32)
