"""What greedy search and beam search share: the batch, the plan, and hypotheses that have ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.results import FinishReason
from s2s_runtime.search.sampling import Sampler
from s2s_runtime.search.scoring import Floats, Ints, LengthPenalty, coverage_score
from s2s_runtime.search.token_rules import TokenRules

DROP_SHARE: Final = 8  # ended rows are dropped once they are an eighth (measured): dropping copies, keeping computes

Notify = Callable[[int, int, int, float | None, bool], bool]


@dataclass(frozen=True, slots=True)
class Batch:
    """Sources that are decoded together.

    Args:
        source: int64 (sentences, time) or float32 (sentences, time, features), padded.
        columns: bool (sentences, time), False at padding.
        limits: (sentences,) longest target of each, at least 1.
        prefix: (sentences, steps) forced tokens, -1 after each sentence's last; None where there are none.
        indices: (sentences,) place of each in the caller's inputs.
        others: what the encoder reads beside `source`, padded, sentences first.
    """

    source: NDArray[np.generic]
    columns: NDArray[np.bool_]
    limits: Ints
    prefix: Ints | None
    indices: Ints
    others: tuple[NDArray[np.generic], ...] = ()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def time(self) -> int:
        """Length of the padded source."""
        time: int = self.columns.shape[1]
        return time

    def cut(self, first: int, last: int) -> Batch:
        """The sentences from one place to before another."""
        if last - first == len(self):
            return self
        place = slice(first, last)
        return Batch(
            source=self.source[place],
            columns=self.columns[place],
            limits=self.limits[place],
            prefix=None if self.prefix is None else self.prefix[place],
            indices=self.indices[place],
            others=tuple(other[place] for other in self.others),
        )

    def forced(self, sentences: Ints, step: int) -> Ints | None:
        """The token that each sentence's prefix forces at a step, -1 where none; None where none has any."""
        if self.prefix is None or step >= self.prefix.shape[1]:
            return None
        forced: Ints = self.prefix[sentences, step]
        return forced


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """Options made ready for a bundle: ids resolved, everything checked.

    Args:
        beam_size: sequences kept per sentence.
        num_hypotheses: hypotheses (or samples) returned per sentence.
        pool: ended hypotheses that have to be there before a beam may stop.
        start_id: token fed at the first step (0 where none is fed).
        is_end: bool (vocabulary,), True at tokens that end a sequence.
        ends: how many such tokens there are.
        rules: what may follow.
        length_penalty: from log-probability to score.
        coverage_penalty: weight of the coverage score; 0 = none.
        scores: whether log-probabilities are computed.
        token_scores: whether those of each token are kept.
        attention: whether the attention of each token is kept.
        sampler: draws tokens; None = the likeliest is taken.
        goes_on: float32 (vocabulary,), 0 at tokens that end a sequence, 1 at the others.
        ending: float32 (vocabulary,), -inf at tokens that end a sequence, 0 at the others.
        notify: called with (sentence in the caller's inputs, step, token, log-probability, is last) for each token;
            True stops the sentence.
    """

    beam_size: int
    num_hypotheses: int
    pool: int
    start_id: int
    is_end: NDArray[np.bool_]
    ends: int
    rules: TokenRules
    length_penalty: LengthPenalty
    coverage_penalty: float = 0.0
    scores: bool = False
    token_scores: bool = False
    attention: bool = False
    sampler: Sampler | None = None
    notify: Notify | None = None
    goes_on: Floats = field(init=False, repr=False)
    ending: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "goes_on", np.where(self.is_end, np.float32(0), np.float32(1)))
        object.__setattr__(self, "ending", np.where(self.is_end, np.float32(-np.inf), np.float32(0)))

    @property
    def looks(self) -> bool:
        """Whether the model has to give its attention weights."""
        return self.attention or self.coverage_penalty > 0

    def score(self, log_probability: float, length: int, attended: Floats | None) -> float:
        """Score of an ended sequence; `attended` is what each source position received, padding left out."""
        score = self.length_penalty.score(log_probability, length)
        if attended is not None and self.coverage_penalty > 0:
            score += self.coverage_penalty * coverage_score(attended)
        return score


@dataclass(frozen=True, slots=True)
class Ended:
    """A sequence that has ended.

    Attributes:
        ids: its tokens, the end token included where it has one.
        reason: why it ended; with "end" the last of `ids` is the end token.
        score: None where scores weren't computed.
        token_scores: (tokens,) float32, or None.
        attention: (tokens, source time) float32, or None.
    """

    ids: list[int]
    reason: FinishReason
    score: float | None
    token_scores: Floats | None = None
    attention: Floats | None = None

    @property
    def bare(self) -> list[int]:
        """The tokens without the end token."""
        return self.ids[:-1] if self.reason == "end" else self.ids


def rank(ended: list[Ended], count: int) -> list[Ended]:
    """The best distinct sequences, best first; of equal scores, the one that ended first.

    Two that differ only in which end token they ended with are the same.
    """
    best: dict[tuple[int, ...], Ended] = {}
    for each in sorted(ended, key=lambda item: -(item.score or 0.0)):
        best.setdefault(tuple(each.bare), each)
    return list(best.values())[:count]
