"""Decoding options: what they are called, what they mean, what they may be.

`DecodingOptions` documents each; `OptionValues` is the same as keyword arguments, for type checkers. Names and
meanings are those people know from CTranslate2, fairseq, OpenNMT and Marian.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal, TypedDict

import numpy as np

from s2s_runtime.errors import OptionError
from s2s_runtime.results import TokenEvent
from s2s_runtime.scoring import LengthPenaltyKind

Token = int | str
Prefix = str | Sequence[int]
AllowedNext = Callable[[int, list[int]], object]
Callback = Callable[[TokenEvent], bool | None]


class OptionValues(TypedDict, total=False):
    """The fields of `DecodingOptions` as keyword arguments; all may be left out."""

    beam_size: int
    num_hypotheses: int
    patience: float
    length_penalty: float
    length_penalty_kind: LengthPenaltyKind
    coverage_penalty: float
    max_length: int | None
    max_length_ratio: float | tuple[float, float] | None
    min_length: int
    repetition_penalty: float
    no_repeat_ngram_size: int
    no_repeat_ngram_exclude: Sequence[Token]
    suppress_tokens: Sequence[Token]
    suppress_sequences: Sequence[Sequence[Token]]
    allow_unknown: bool
    end_tokens: Sequence[Token] | None
    return_end_token: bool
    prefix: Sequence[Prefix | None] | None
    sampling_temperature: float | None
    sampling_top_k: int | None
    sampling_top_p: float | None
    seed: int | None
    allowed_next: AllowedNext | None
    replace_unknown: bool
    phrase_table: Mapping[str, str] | None
    return_scores: bool
    return_token_scores: bool
    return_attention: bool
    return_alternatives: bool
    min_alternative_probability: float
    callback: Callback | None
    max_batch_size: int
    batch_by: Literal["sentences", "tokens"]


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How to decode.

    "Length" of a target counts its tokens, the end token included. Tokens are given as ids, or as symbols where the
    bundle has a target vocabulary. The padding and start tokens are never generated.

    Raises:
        OptionError: names the option, what it got and what is allowed.
    """

    beam_size: int = 1
    """Sequences kept alive per sentence. 1 = greedy search, or sampling. May exceed the size of the vocabulary."""

    num_hypotheses: int = 1
    """How many hypotheses to return, best first; fewer where fewer exist. At most beam_size times patience, unless
    sampling, where it is the number of samples, or return_alternatives is set, where it is that of alternatives."""

    patience: float = 1.0
    """A sentence stops once round(beam_size * patience) hypotheses have ended and none alive can beat the best of
    them (Kasai et al. 2022). Larger values make the lower ranks of an n-best list better."""

    length_penalty: float = 1.0
    """Exponent a of the length penalty; 0 = scores are log-probabilities. Not negative."""

    length_penalty_kind: LengthPenaltyKind = "average"
    """"average": log-probability / length^a. "gnmt": log-probability / ((5 + length) / 6)^a (Wu et al. 2016)."""

    coverage_penalty: float = 0.0
    """Weight b of b * sum over the source of log(min(attention received, 1)), added to the scores of ended hypotheses
    (Wu et al. 2016). Needs beam search and a bundle with attention."""

    max_length: int | None = None
    """Longest target; None = the bundle's. A sequence that reaches it is returned as it is, without an end token."""

    max_length_ratio: float | tuple[float, float] | None = None
    """a, or (a, b): the target is at most a * source length + b tokens long (at least 1), and no longer than
    max_length either."""

    min_length: int = 0
    """Tokens that come before an end token at least."""

    repetition_penalty: float = 1.0
    """Logits of tokens that occurred before in the sequence are divided by it where positive and multiplied where
    negative (Keskar et al. 2019), before the softmax, so that scores count it. Above 1 discourages repetition."""

    no_repeat_ngram_size: int = 0
    """No sequence of so many tokens occurs twice; 0 = off."""

    no_repeat_ngram_exclude: Sequence[Token] = ()
    """Sequences that hold one of these tokens may repeat all the same."""

    suppress_tokens: Sequence[Token] = ()
    """Tokens never generated."""

    suppress_sequences: Sequence[Sequence[Token]] = ()
    """Sequences of tokens never generated."""

    allow_unknown: bool = False
    """Whether the unknown token may be generated."""

    end_tokens: Sequence[Token] | None = None
    """Tokens that end a sequence; None = the bundle's."""

    return_end_token: bool = False
    """Whether ids, tokens, token scores and attention include the end token."""

    prefix: Sequence[Prefix | None] | None = None
    """Forced first tokens of each target, as text or ids; None for a sentence without. Part of the results."""

    sampling_temperature: float | None = None
    """Draw tokens at random from the softmax of logits / temperature. Sampling is on where any of the three sampling
    options is given. Needs beam_size 1."""

    sampling_top_k: int | None = None
    """Draw among the k likeliest tokens."""

    sampling_top_p: float | None = None
    """Draw among the likeliest tokens that together reach probability p (Holtzman et al. 2020)."""

    seed: int | None = None
    """Seed of sampling. Every sentence has a generator of its own: a seed gives a sentence the same samples whatever
    else is decoded. None = different each time."""

    allowed_next: AllowedNext | None = None
    """Called with (tokens written so far, their ids) for each row and step; returns the ids that may follow, or a
    boolean mask over the vocabulary. Where it allows nothing the sequence stops (finish reason "stopped"). Grammars,
    tries, lexicons."""

    replace_unknown: bool = False
    """Each unknown target token becomes the source token it attended to most, in `text` and `tokens` (ids stay).
    Implies allow_unknown. Needs a bundle with attention and both vocabularies."""

    phrase_table: Mapping[str, str] | None = None
    """What source tokens become where replace_unknown would copy them; others are copied."""

    return_scores: bool = False
    """Whether greedy search computes scores; beam search, and whatever returns several hypotheses, always does."""

    return_token_scores: bool = False
    """Whether results hold the log-probability of each token. Implies return_scores."""

    return_attention: bool = False
    """Whether results hold the attention, (target, source). Needs a bundle with attention."""

    return_alternatives: bool = False
    """The num_hypotheses likeliest first tokens (after the prefix), each continued to its best end. Hypotheses come
    in the order of those tokens' probabilities, not of their scores."""

    min_alternative_probability: float = 0.0
    """Alternatives less likely than this, as the next token, are left out. Needs return_alternatives."""

    callback: Callback | None = None
    """Called with a `TokenEvent` for each token as it is chosen; where it returns True that sentence stops (finish
    reason "stopped"). Needs beam_size 1."""

    max_batch_size: int = 64
    """Most sentences (or tokens, see batch_by) decoded at once; longer lists are sorted by length and cut."""

    batch_by: Literal["sentences", "tokens"] = "sentences"
    """What max_batch_size counts: "sentences", or "tokens" = sentences times the longest source among them."""

    def __post_init__(self) -> None:
        problems = [*self._type_problems(), *self._range_problems()]
        if not problems:
            problems = self._contradictions()
        if problems:
            raise OptionError("; ".join(problems))

    @property
    def sampling(self) -> bool:
        """Whether tokens are drawn at random."""
        return not (self.sampling_temperature is self.sampling_top_k is self.sampling_top_p is None)

    @property
    def scored(self) -> bool:
        """Whether log-probabilities are computed."""
        several = self.beam_size > 1 or self.num_hypotheses > 1
        return several or self.return_scores or self.return_token_scores

    @property
    def pool(self) -> int:
        """How many hypotheses have to end before beam search may stop: round(beam_size * patience), at least 1."""
        return max(1, math.floor(self.beam_size * self.patience + 0.5))

    def _type_problems(self) -> list[str]:
        problems = []
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                problems.append(f"{name}: expected True or False, got {getattr(self, name)!r}")
        for name in ("allowed_next", "callback"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                problems.append(f"{name}: expected a function, got {value!r}")
        for name in _SEQUENCES:
            value = getattr(self, name)
            if value is not None and (isinstance(value, str) or not isinstance(value, Sequence | np.ndarray)):
                problems.append(f"{name}: expected a list, got {value!r}")
        if self.phrase_table is not None and not isinstance(self.phrase_table, Mapping):
            problems.append(f"phrase_table: expected a mapping of tokens to tokens, got {self.phrase_table!r}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                problems.append(f"{name}: expected {' or '.join(map(repr, allowed))}, got {getattr(self, name)!r}")
        return problems

    def _range_problems(self) -> list[str]:
        problems = []
        for name, lowest in _INTEGERS.items():
            value = getattr(self, name)
            if not (value is None and name in _OPTIONAL) and not (_is_integer(value) and value >= lowest):
                problems.append(f"{name}: expected an integer of at least {lowest}, got {value!r}")
        for name, (expected, allowed) in _NUMBERS.items():
            value = getattr(self, name)
            if not (value is None and name in _OPTIONAL) and not (_is_number(value) and allowed(value)):
                problems.append(f"{name}: expected {expected}, got {value!r}")
        ratio = self.max_length_ratio
        pair = ratio if isinstance(ratio, tuple) and len(ratio) == 2 else (ratio, 0.0)
        if ratio is not None and not (all(map(_is_number, pair)) and pair[0] >= 0):  # type: ignore[operator]
            problems.append(f"max_length_ratio: expected a number of at least 0, or a pair (a, b), got {ratio!r}")
        return problems

    def _contradictions(self) -> list[str]:
        problems = []
        most = self.pool
        free = self.sampling or self.return_alternatives
        if self.num_hypotheses > most and not free:
            problems.append(
                f"num_hypotheses: expected at most beam_size * patience = {most} (beam_size {self.beam_size}, "
                f"patience {self.patience:g}), got {self.num_hypotheses}"
            )
        if self.max_length is not None and self.min_length > self.max_length:
            problems.append(f"min_length: expected at most max_length = {self.max_length}, got {self.min_length}")
        for name in ("sampling_temperature", "sampling_top_k", "sampling_top_p", "callback"):
            if getattr(self, name) is not None and self.beam_size > 1:
                problems.append(f"{name}: needs beam_size 1, got beam_size {self.beam_size}")
        if self.patience != 1.0 and self.beam_size == 1:
            problems.append(f"patience: needs beam_size above 1, got patience {self.patience:g} with beam_size 1")
        for name, needed, present in (
            ("seed", "one of the sampling options", self.sampling),
            ("phrase_table", "replace_unknown", self.replace_unknown),
            ("no_repeat_ngram_exclude", "no_repeat_ngram_size", self.no_repeat_ngram_size > 0),
            ("min_alternative_probability", "return_alternatives", self.return_alternatives),
            ("coverage_penalty", "beam_size above 1", self.beam_size > 1),
        ):
            if getattr(self, name) != _DEFAULTS[name] and not present:
                problems.append(f"{name}: has no effect without {needed}; give that too or leave {name} out")
        if self.return_alternatives and (self.sampling or self.callback is not None):
            problems.append("return_alternatives: can't be combined with sampling or a callback")
        if self.callback is not None and self.num_hypotheses > 1:
            problems.append(f"callback: needs num_hypotheses 1, got num_hypotheses {self.num_hypotheses}")
        return problems


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return (_is_integer(value) or isinstance(value, float | np.floating)) and math.isfinite(value)  # type: ignore[arg-type]


_FLAGS: Final = (
    "allow_unknown",
    "return_end_token",
    "replace_unknown",
    "return_scores",
    "return_token_scores",
    "return_attention",
    "return_alternatives",
)
_SEQUENCES: Final = ("no_repeat_ngram_exclude", "suppress_tokens", "suppress_sequences", "end_tokens", "prefix")
_CHOICES: Final = {"length_penalty_kind": ("average", "gnmt"), "batch_by": ("sentences", "tokens")}
_INTEGERS: Final = {
    "beam_size": 1,
    "num_hypotheses": 1,
    "max_length": 1,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "sampling_top_k": 1,
    "seed": 0,
    "max_batch_size": 1,
}
_NUMBERS: Final[dict[str, tuple[str, Callable[[float], bool]]]] = {
    "patience": ("a number above 0", lambda value: value > 0),
    "length_penalty": ("a number of at least 0", lambda value: value >= 0),
    "coverage_penalty": ("a number of at least 0", lambda value: value >= 0),
    "repetition_penalty": ("a number above 0", lambda value: value > 0),
    "sampling_temperature": ("a number above 0", lambda value: value > 0),
    "sampling_top_p": ("a number above 0 and at most 1", lambda value: 0 < value <= 1),
    "min_alternative_probability": ("a number from 0 to 1", lambda value: 0 <= value <= 1),
}
_OPTIONAL: Final = frozenset({"max_length", "sampling_top_k", "seed", "sampling_temperature", "sampling_top_p"})
_DEFAULTS: Final = {field.name: field.default for field in fields(DecodingOptions)}
