"""The hypotheses of a batch that have ended, and when that is enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.scoring import Floats, Ints
from s2s_runtime.search import Batch, Ended, SearchPlan, rank


class EndedPool:
    """Ended hypotheses of each sentence.

    Args:
        batch: the sentences.
        plan: how many have to end, and how they are scored.
    """

    def __init__(self, batch: Batch, plan: SearchPlan) -> None:
        self._batch = batch
        self._plan = plan
        self._ended: list[list[Ended]] = [[] for _ in range(len(batch))]
        self._counts: Ints = np.zeros(len(batch), np.int64)
        self._best: Floats = np.full(len(batch), -np.inf, np.float32)
        self._full = False

    def is_empty(self, sentence: int) -> bool:
        """Whether nothing has ended in this sentence."""
        return not self._ended[sentence]

    def admit(self, sentence: int, log_probability: float, length: int, attended: Floats | None) -> float | None:
        """Count an ended sequence; its score, or None where the pool holds enough better ones already.

        Args:
            sentence: place in the batch.
            log_probability: of the sequence.
            length: its tokens, the end token included.
            attended: (source time,) attention that each position received, or None.
        """
        if attended is not None:
            attended = attended[self._batch.columns[sentence]]
        score = self._plan.score(log_probability, length, attended)
        self._counts[sentence] += 1
        self._full |= bool(self._counts[sentence] >= self._plan.pool)
        better = sum(1 for ended in self._ended[sentence] if ended.score is not None and ended.score >= score)
        return None if better >= self._capacity else score

    @property
    def _capacity(self) -> int:
        # two sequences that differ in their end tokens only count once in the end
        return max(self._plan.pool, self._plan.num_hypotheses) * max(1, self._plan.ends)

    def add(self, sentence: int, ended: Ended) -> None:
        """Keep an admitted sequence."""
        self._ended[sentence].append(ended)
        if ended.score is not None:
            self._best[sentence] = max(self._best[sentence], np.float32(ended.score))

    def settled(self, sentences: Ints, log_probability: Floats) -> NDArray[np.bool_]:
        """Whether enough sequences have ended and none alive can beat the best of them.

        Args:
            sentences: (sentences,) places in the batch.
            log_probability: (sentences,) of the best sequence alive.
        """
        if not self._full:
            return np.zeros(len(sentences), np.bool_)
        bound = self._plan.length_penalty.bound(log_probability, self._batch.limits[sentences])
        settled: NDArray[np.bool_] = (self._counts[sentences] >= self._plan.pool) & (bound <= self._best[sentences])
        return settled

    def best(self) -> list[list[Ended]]:
        """The best distinct hypotheses of each sentence, best first."""
        return [rank(ended, self._plan.num_hypotheses) for ended in self._ended]
