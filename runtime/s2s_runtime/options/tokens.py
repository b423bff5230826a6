"""Decoding options: what a target may hold, and how long it may be."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from s2s_runtime.declared_options import Option
from s2s_runtime.declared_options.checks import is_number
from s2s_runtime.options.terms import BEAMS, JSON, ONLY_STEPS, SCORE, TOKENS, named
from s2s_runtime.options.types import AllowedNext, LogitsProcessor, Phrase, Prefix, Token


def _is_ratio(value: Any) -> bool:
    pair = value if isinstance(value, tuple) and len(value) == 2 else (value, 0.0)
    numbers = all(isinstance(number, int | float) and not isinstance(number, bool) for number in pair)
    return numbers and all(map(math.isfinite, pair)) and pair[0] >= 0


def _is_phrase_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(token, str) for pair in value.items() for token in pair)


def _is_bias(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(phrase, str | tuple) and is_number(weight) for phrase, weight in value.items()
    )


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class TokenOptions:
    """The options that say what a target may hold, and how long it may be."""

    max_length: Annotated[
        int | None,
        Option(
            at_least=1,
            at_most=2**31 - 1,
            help="Longest output in tokens, the end token counted; default: the bundle's.",
            panel=TOKENS,
            elsewhere=named("max_decoding_length", "--max-len-b", "max_length, max_new_tokens"),
        ),
    ] = None
    """Longest target in tokens, the end token counted; None = the bundle's. A sequence that reaches it is returned as
    it is, without an end token."""

    max_length_ratio: Annotated[
        float | tuple[float, float] | None,
        Option(
            expected="a number of at least 0, or a pair (a, b)",
            allowed=_is_ratio,
            panel=TOKENS,
            typed=str,
            reads="ratio",
            metavar="A[,B]",
            help="Longest output as A * source length, or A,B for A * length + B.",
            elsewhere=named("", "--max-len-a, --max-len-b"),
        ),
    ] = None
    """a, or (a, b): the target is at most a * source length + b tokens long (at least 1), and no longer than
    max_length either."""

    min_length: Annotated[
        int,
        Option(
            at_least=0,
            help="Tokens before an end token.",
            panel=TOKENS,
            elsewhere=named("min_decoding_length", "--min-len", "min_length, min_new_tokens"),
        ),
    ] = 0
    """Tokens that come before an end token at least; at most as many as the target may have."""

    prefix: Annotated[
        Sequence[Prefix | None] | None,
        Option(
            panel=TOKENS,
            typed=str,
            reads="prefix",
            help="Every output begins with this.",
            engines=ONLY_STEPS,
            elsewhere=named("target_prefix", "--prefix-size", "decoder_input_ids"),
        ),
    ] = None
    """Forced first tokens of each target, as text or ids; None for a sentence without. Part of the results."""

    repetition_penalty: Annotated[
        float,
        Option(
            above=0,
            panel=TOKENS,
            verbs=SCORE,
            engines=ONLY_STEPS,
            help="Above 1 discourages tokens that occurred before.",
            elsewhere=named("repetition_penalty", "", "repetition_penalty"),
        ),
    ] = 1.0
    """Logits of tokens that occurred before in the sequence are divided by it where positive and multiplied where
    negative (Keskar et al. 2019), before the softmax, so that scores count it. Above 1 discourages repetition."""

    no_repeat_ngram_size: Annotated[
        int,
        Option(
            at_least=0,
            panel=TOKENS,
            engines=ONLY_STEPS,
            elsewhere=named("no_repeat_ngram_size", "--no-repeat-ngram-size", "no_repeat_ngram_size"),
        ),
    ] = 0
    """No sequence of so many tokens occurs twice; 0 = off."""

    no_repeat_ngram_exclude: Annotated[
        Sequence[Token],
        Option(
            panel=TOKENS,
            typed=list[str],
            reads="tokens",
            metavar="TOKEN",
            needs=["no_repeat_ngram_size"],
            help="Sequences with this token may repeat. Repeatable.",
        ),
    ] = ()
    """Sequences that hold one of these tokens may repeat all the same."""

    suppress_tokens: Annotated[
        Sequence[Token],
        Option(
            panel=TOKENS,
            flags=["--suppress-token"],
            typed=list[str],
            reads="tokens",
            metavar="TOKEN",
            help="A token never written. Repeatable.",
            elsewhere=named("", "", "suppress_tokens"),
        ),
    ] = ()
    """Tokens never generated."""

    suppress_sequences: Annotated[
        Sequence[Sequence[Token]],
        Option(
            panel=TOKENS,
            flags=["--suppress-sequence"],
            typed=list[str],
            reads="sequences",
            metavar="TEXT",
            help="A text never written. Repeatable.",
            engines=ONLY_STEPS,
            elsewhere=named("suppress_sequences", "", "bad_words_ids"),
        ),
    ] = ()
    """Sequences of tokens never generated."""

    allowed_sequences: Annotated[
        Sequence[Phrase] | None,
        Option(
            panel=TOKENS,
            typed=Path,
            reads="phrases",
            metavar="FILE",
            help="File of all outputs that there may be, one a line.",
            engines=ONLY_STEPS,
        ),
    ] = None
    """The targets that there may be, as texts or lists of tokens: each output is one of these, however large the beam
    is, or the samples. Those that other options rule out, or that are too long, are left out. An empty source has its
    empty output all the same. With many, `prepare` once."""

    required_phrases: Annotated[
        Sequence[Phrase],
        Option(
            panel=TOKENS,
            flags=["--required-phrase"],
            typed=list[str],
            reads="sequences",
            metavar="TEXT",
            help="A text that each output must hold. Repeatable.",
            needs=[BEAMS],
            engines=ONLY_STEPS,
            elsewhere=named("", "--constraints", "force_words_ids"),
        ),
    ] = ()
    """Texts or lists of tokens that must each occur in every output, anywhere and in any order, at most 10. The beam is
    shared out among sequences that hold more and fewer of their tokens (Post and Vilar 2018): give it a beam_size of at
    least as many. An empty source has its empty output all the same."""

    bias: Annotated[
        Mapping[str | tuple[Token, ...], float] | None,
        Option(
            expected="a mapping of texts, or tuples of tokens, to finite numbers",
            allowed=_is_bias,
            panel=TOKENS,
            typed=list[str],
            reads="weights",
            metavar="TEXT=WEIGHT",
            help="What each occurrence of a text adds to the log-probability. Repeatable.",
            verbs=SCORE,
            engines=ONLY_STEPS,
            elsewhere=named("", "", "sequence_bias"),
        ),
    ] = None
    """What each occurrence of a phrase, a text or a tuple of tokens, adds to the log-probability of a sequence: above 0
    to have it rather, below 0 to have it seldom. Scores count it. In a beam a phrase of positive weight that was begun
    counts in part until it ends."""

    allow_unknown: Annotated[
        bool, Option(panel=TOKENS, elsewhere=named("disable_unk (the opposite)", "--unkpen (a weight)"))
    ] = False
    """The unknown token may be generated."""

    replace_unknown: Annotated[
        bool,
        Option(
            not_for=("stream",),
            panel=TOKENS,
            engines=ONLY_STEPS,
            obstacle="attention",
            help="Write the source token it attends to instead of the unknown token.",
            elsewhere=named("replace_unknowns", "--replace-unk"),
        ),
    ] = False
    """Each unknown target token becomes the source token it attended to most, in `text` and `tokens` (ids stay), one
    that the source vocabulary lacks as the text spells it. Implies allow_unknown. Needs a bundle with attention and
    both vocabularies."""

    phrase_table: Annotated[
        Mapping[str, str] | None,
        Option(
            expected="a mapping of tokens to tokens",
            allowed=_is_phrase_table,
            panel=TOKENS,
            typed=Path,
            reads="phrase_table",
            needs=["replace_unknown"],
            help="With --replace-unknown: file of what to write instead, source TAB target.",
            elsewhere=named("", "--replace-unk FILE"),
        ),
    ] = None
    """What source tokens become where replace_unknown would copy them; others are copied."""

    end_tokens: Annotated[
        Sequence[Token] | None,
        Option(
            panel=TOKENS,
            flags=["--end-token"],
            typed=list[str],
            reads="tokens",
            metavar="TOKEN",
            help="A token that ends the output. Repeatable.",
            elsewhere=named("end_token", "", "eos_token_id"),
        ),
    ] = None
    """Tokens that end a sequence; None = the bundle's."""

    return_end_token: Annotated[
        bool,
        Option(
            group=JSON,
            panel=TOKENS,
            help="With --json: tokens include the end token.",
            elsewhere=named("return_end_token"),
        ),
    ] = False
    """Results include the end token in ids, tokens, token scores and attention."""

    allowed_next: Annotated[
        AllowedNext | None,
        Option(
            typed=None,
            engines=ONLY_STEPS,
            elsewhere=named("", "", "prefix_allowed_tokens_fn"),
        ),
    ] = None
    """Called with (tokens written so far, their ids) for each row and step; returns the ids that may follow, or a
    boolean mask over the vocabulary. Where it allows nothing the sequence stops (finish reason "stopped"). Grammars,
    tries, lexicons."""

    logits_processor: Annotated[
        LogitsProcessor | None,
        Option(
            typed=None,
            verbs=SCORE,
            engines=ONLY_STEPS,
            elsewhere=named("", "", "logits_processor"),
        ),
    ] = None
    """Called before the softmax of each step with the ids written so far, int64 (rows, steps), without the start token,
    and the logits, float32 (rows, vocabulary), which it may change; returns logits of that shape, -inf where a token
    may not follow. A row is a sequence that is being written, or one that has ended and isn't looked at any more:
    decide by a row's values alone, as rows come in no order to rely on. Scores count it."""
