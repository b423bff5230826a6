"""Drawing tokens at random, one generator per sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s2s_runtime.array_types import Floats, Ints


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

    def draw(self, logits: Floats, generators: Sequence[np.random.Generator]) -> Ints:
        """Draw one token per row, int64 (rows,), by inverting the cumulative distribution, likeliest tokens first.

        Args:
            logits: float32 (rows, vocabulary); tokens at -inf are never drawn, unless the whole row is -inf.
            generators: one per row, each advanced by one number.
        """
        order, weights = self._weights(logits)
        reached = np.cumsum(weights, axis=1)
        uniform = np.array([generator.random(dtype=np.float32) for generator in generators], np.float32)
        rank = (reached <= uniform[:, None] * reached[:, -1:]).sum(axis=1)
        # rounding may put the rank past the last token that has weight
        last = np.where(weights > 0, np.arange(weights.shape[1]), 0).max(axis=1)
        return np.take_along_axis(order, np.minimum(rank, last)[:, None], axis=1)[:, 0]

    def log_shares(self, logits: Floats) -> Floats:
        """Return the log-probability with which each token is drawn, float32 (rows, vocabulary), -inf where never.

        Args:
            logits: float32 (rows, vocabulary), as `draw` takes them.
        """
        order, weights = self._weights(logits)
        shares = _shares(weights)
        logs = np.log(shares, out=np.full_like(shares, -np.inf), where=shares > 0)
        every = np.empty_like(logs)
        np.put_along_axis(every, order, logs, axis=1)
        return every

    def _weights(self, logits: Floats) -> tuple[Ints, Floats]:
        """Return tokens, likeliest first, and what each weighs among what is drawn from; both (rows, vocabulary)."""
        order = np.argsort(-logits, axis=1, kind="stable")
        scaled = np.take_along_axis(logits, order, axis=1) / np.float32(self.temperature)
        highest = np.maximum(scaled[:, :1], np.finfo(np.float32).min)  # a row of -inf: no -inf minus -inf
        weights = np.exp(scaled - highest)
        if self.top_k is not None:
            weights[:, self.top_k :] = 0.0
        if self.top_p < 1.0:
            reached = np.cumsum(weights, axis=1)
            before = reached - weights
            weights[before >= np.float32(self.top_p) * reached[:, -1:]] = 0.0
        if self.min_p > 0.0:
            weights[weights < np.float32(self.min_p)] = 0.0  # the likeliest weighs 1
        if self.typical_p < 1.0 or self.epsilon > 0.0:
            weights = self._with_epsilon(self._typical(weights))
        return order, weights

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


def _shares(weights: Floats) -> Floats:
    """Return weights that sum to 1 in each row; as they are where all are 0."""
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1)).astype(np.float32)
