"""Drawing tokens at random, one generator per sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s2s_runtime.array_types import Floats, Ints


@dataclass(frozen=True, slots=True)
class Sampler:
    """A way to draw the next token.

    Temperature comes first, then top-k, then top-p of what that left, then min-p, whose bound neither of them moves.

    Args:
        temperature: the softmax is taken of logits / temperature.
        top_k: only the k likeliest tokens; None = all.
        top_p: only the likeliest tokens that together reach this probability; 1 = all (Holtzman et al. 2020).
        min_p: only tokens at least so many times as likely as the likeliest; 0 = all (Nguyen et al. 2024).
        seed: None = different each time.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
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
        order = np.argsort(-logits, axis=1, kind="stable")
        scaled = np.take_along_axis(logits, order, axis=1) / np.float32(self.temperature)
        highest = np.maximum(scaled[:, :1], np.finfo(np.float32).min)  # a row of -inf: no -inf minus -inf
        weights = np.exp(scaled - highest)
        if self.top_k is not None:
            weights[:, self.top_k :] = 0.0
        reached = np.cumsum(weights, axis=1)
        if self.top_p < 1.0:
            before = reached - weights
            weights[before >= np.float32(self.top_p) * reached[:, -1:]] = 0.0
            reached = np.cumsum(weights, axis=1)
        if self.min_p > 0.0:
            weights[weights < np.float32(self.min_p)] = 0.0  # the likeliest weighs 1
            reached = np.cumsum(weights, axis=1)
        uniform = np.array([generator.random(dtype=np.float32) for generator in generators], np.float32)
        rank = (reached <= uniform[:, None] * reached[:, -1:]).sum(axis=1)
        # rounding may put the rank past the last token that has weight
        rank = np.minimum(rank, np.maximum((weights > 0).sum(axis=1) - 1, 0))
        return np.take_along_axis(order, rank[:, None], axis=1)[:, 0]
