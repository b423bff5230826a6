"""Decoding options: what they are called, what they mean, what they may be.

`DecodingOptions` documents each; `OptionValues` is the same as keyword arguments, for type checkers. Names and
meanings are those people know from CTranslate2, fairseq, OpenNMT and Marian.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypedDict

from s2s_runtime.errors import OptionError
from s2s_runtime.option_checks import option_problems
from s2s_runtime.results import TokenEvent
from s2s_runtime.search.cancellation import CancelSignal
from s2s_runtime.search.scoring import LengthPenaltyKind
from s2s_runtime.vocabulary.vocabulary import UnknownPolicy

READ_AHEAD: Final = 4096  # sources of a stream that are sorted and decoded together

Engine = Literal["auto", "graph", "steps"]
Batching = Literal["static", "continuous"]
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
    cancel: CancelSignal | None
    unknown_symbols: UnknownPolicy | None
    engine: Engine
    max_batch_size: int
    batch_by: Literal["sentences", "tokens"]
    batching: Batching


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
    """Tokens that come before an end token at least; at most as many as the target may have."""

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
    """Each unknown target token becomes the source token it attended to most, in `text` and `tokens` (ids stay), one
    that the source vocabulary lacks as the text spells it. Implies allow_unknown. Needs a bundle with attention and
    both vocabularies."""

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
    """Alternatives less likely than this, as the next token, are left out; where none is left, the one hypothesis is
    the prefix, without a score, "stopped". Needs return_alternatives."""

    callback: Callback | None = None
    """Called with a `TokenEvent` for each token as it is chosen; where it returns True that sentence stops (finish
    reason "stopped"). Needs beam_size 1."""

    cancel: CancelSignal | None = None
    """A `threading.Event`, or anything else with `is_set()`. Looked at before steps; once set, the call raises
    `CancelledError` and returns nothing. To keep what a sentence has so far, use a callback."""

    unknown_symbols: UnknownPolicy | None = None
    """What becomes of symbols of a source text that the vocabulary lacks. "error": they are one. "unk": the unknown
    symbol stands for them. "skip": they are left out. None = "unk" where the vocabulary has an unknown symbol, else
    "error". Results list them as `unknown_symbols`."""

    engine: Engine = "auto"
    """"graph": the bundle's graphs of greedy and beam search write many tokens in one run; "steps": each token is one
    run of the step graph. The tokens are the same. "auto": the graphs, which are faster, wherever they can do what the
    other options ask for; `s2s_runtime.search.engines` says what they can't."""

    max_batch_size: int = 64
    """Most sentences (or tokens, see batch_by) in a batch; longer lists are sorted by length and cut. Several batches
    may be decoded at the same time: see `workers` of `s2s_runtime.load`."""

    batch_by: Literal["sentences", "tokens"] = "sentences"
    """What max_batch_size counts: "sentences", or "tokens" = sentences times the longest source among them."""

    batching: Batching = "static"
    """"static": batches are decoded each by itself; of each, what has ended is dropped. "continuous": sentences
    that wait take the places of those that have ended; needs what engine "graph" needs, and states in host memory. The
    tokens are the same. It is faster where targets differ widely in length and their sources don't tell."""

    def __post_init__(self) -> None:
        problems = option_problems(self)
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
