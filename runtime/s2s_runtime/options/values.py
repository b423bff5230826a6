"""Decoding options as keyword arguments, for type checkers and editors.

Written by `make tables` from the declarations beside it: change those, and run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from s2s_runtime.options.types import (
    AllowedNext,
    BatchUnit,
    Callback,
    CancelSignal,
    Engine,
    ErrorPolicy,
    LanguageModel,
    LengthPenaltyKind,
    LexiconOutputs,
    LexiconUse,
    LogitsProcessor,
    LongPolicy,
    Phrase,
    Prefix,
    Token,
    UnknownPolicy,
    Utility,
)


class OptionValues(TypedDict, total=False):
    """The fields of `DecodingOptions`; all may be left out."""

    beam_size: int
    """Sequences kept alive per sentence; 1 = greedy search, or sampling. May exceed the size of the vocabulary."""

    num_hypotheses: int
    """How many hypotheses to return, best first; fewer where fewer exist. At most beam_size times patience, unless
    sampling, where it is the number of samples, or return_alternatives is set, where it is that of alternatives."""

    patience: float
    """A sentence stops once round(beam_size * patience) hypotheses have ended and none alive can beat the best of them
    (Kasai et al. 2022). Larger values make the lower ranks of an n-best list better."""

    beam_groups: int
    """Groups that the beam is cut into, each a beam of beam_size / beam_groups that stays away from what the groups
    before it take (Vijayakumar et al. 2016), so that hypotheses differ. As many as beam_size make them differ most."""

    diversity_penalty: float
    """What a token counts less, in log-probability, for each beam of an earlier group of beam_groups that took it at
    the same step. It decides which hypotheses are found and returned; their scores and order are the model's."""

    length_penalty: float
    """Exponent a of the length penalty; 0 = scores are log-probabilities. Not negative."""

    length_penalty_kind: LengthPenaltyKind
    """"average": log-probability / length^a; "gnmt": log-probability / ((5 + length) / 6)^a (Wu et al. 2016)."""

    coverage_penalty: float
    """Weight b of b * sum over the source of log(min(attention received, 1)), added to the scores of ended hypotheses
    (Wu et al. 2016). Needs beam search and a bundle with attention."""

    return_alternatives: bool
    """The num_hypotheses likeliest first tokens (after the prefix), each continued to its best end. Hypotheses come in
    the order of those tokens' probabilities, not of their scores."""

    min_alternative_probability: float
    """Alternatives less likely than this, as the next token, are left out; where none is left, the one hypothesis is
    the prefix, without a score, "stopped"."""

    min_bayes_risk: Utility | None
    """Hypotheses, of a beam or samples, come in the order of their expected utility, not of their scores: of the mean
    of how like they are to each of all, weighted by the probabilities that the model gives these (Kumar and Byrne
    2004). "bleu" and "edit_distance" compare tokens, "chrf" the characters of texts."""

    max_length: int | None
    """Longest target in tokens, the end token counted; None = the bundle's. A sequence that reaches it is returned as
    it is, without an end token."""

    max_length_ratio: float | tuple[float, float] | None
    """a, or (a, b): the target is at most a * source length + b tokens long (at least 1), and no longer than max_length
    either."""

    min_length: int
    """Tokens that come before an end token at least; at most as many as the target may have."""

    prefix: Sequence[Prefix | None] | None
    """Forced first tokens of each target, as text or ids; None for a sentence without. Part of the results."""

    repetition_penalty: float
    """Logits of tokens that occurred before in the sequence are divided by it where positive and multiplied where
    negative (Keskar et al. 2019), before the softmax, so that scores count it. Above 1 discourages repetition."""

    no_repeat_ngram_size: int
    """No sequence of so many tokens occurs twice; 0 = off."""

    no_repeat_ngram_exclude: Sequence[Token]
    """Sequences that hold one of these tokens may repeat all the same."""

    suppress_tokens: Sequence[Token]
    """Tokens never generated."""

    suppress_sequences: Sequence[Sequence[Token]]
    """Sequences of tokens never generated."""

    allowed_sequences: Sequence[Phrase] | None
    """The targets that there may be, as texts or lists of tokens: each output is one of these, however large the beam
    is, or the samples. Those that other options rule out, or that are too long, are left out. An empty source has its
    empty output all the same. With many, `prepare` once."""

    required_phrases: Sequence[Phrase]
    """Texts or lists of tokens that must each occur in every output, anywhere and in any order, at most 10. The beam is
    shared out among sequences that hold more and fewer of their tokens (Post and Vilar 2018): give it a beam_size of at
    least as many. An empty source has its empty output all the same."""

    bias: Mapping[str | tuple[Token, ...], float] | None
    """What each occurrence of a phrase, a text or a tuple of tokens, adds to the log-probability of a sequence: above 0
    to have it rather, below 0 to have it seldom. Scores count it. In a beam a phrase of positive weight that was begun
    counts in part until it ends."""

    allow_unknown: bool
    """The unknown token may be generated."""

    replace_unknown: bool
    """Each unknown target token becomes the source token it attended to most, in `text` and `tokens` (ids stay), one
    that the source vocabulary lacks as the text spells it. Implies allow_unknown. Needs a bundle with attention and
    both vocabularies."""

    phrase_table: Mapping[str, str] | None
    """What source tokens become where replace_unknown would copy them; others are copied."""

    end_tokens: Sequence[Token] | None
    """Tokens that end a sequence; None = the bundle's."""

    return_end_token: bool
    """Results include the end token in ids, tokens, token scores and attention."""

    allowed_next: AllowedNext | None
    """Called with (tokens written so far, their ids) for each row and step; returns the ids that may follow, or a
    boolean mask over the vocabulary. Where it allows nothing the sequence stops (finish reason "stopped"). Grammars,
    tries, lexicons."""

    logits_processor: LogitsProcessor | None
    """Called before the softmax of each step with the ids written so far, int64 (rows, steps), without the start token,
    and the logits, float32 (rows, vocabulary), which it may change; returns logits of that shape, -inf where a token
    may not follow. A row is a sequence that is being written, or one that has ended and isn't looked at any more:
    decide by a row's values alone, as rows come in no order to rely on. Scores count it."""

    language_model: LanguageModel | None
    """A language model of the target, a loaded bundle or its path, whose log-probabilities count too, at every step
    (shallow fusion). Tokens are matched by their texts; those that it lacks are its unknown symbol, or an error. Scores
    count it, those of `score` too."""

    language_model_weight: float
    """What the log-probabilities of language_model are multiplied by before they are added; with 0 all is as without
    it."""

    internal_language_model: LanguageModel | None
    """A language model of the targets that the model was trained on, which stands for what the model itself knows of
    them: its log-probabilities are subtracted, so that language_model takes their place (density ratio, McDermott et
    al. 2019). As they may make a sequence better as it grows, a search may stop before the best is found."""

    internal_language_model_weight: float
    """What the log-probabilities of internal_language_model are multiplied by before they are subtracted."""

    rescore: bool
    """Language models look at the hypotheses of the search alone, not at every step: these get the scores that they
    would have had, and come in their order. The search is as without language models, in the graph where it can."""

    sampling_temperature: float | None
    """Draw tokens at random from the softmax of logits / temperature. Sampling is on where any of the options that
    choose what is drawn from is given."""

    sampling_top_k: int | None
    """Draw among the k likeliest tokens."""

    sampling_top_p: float | None
    """Draw among the likeliest tokens that together reach probability p (Holtzman et al. 2020)."""

    sampling_min_p: float | None
    """Draw among the tokens that are at least p times as likely as the likeliest (Nguyen et al. 2024). Temperature
    comes first, then `sampling_top_k`, `sampling_top_p` of what that left, and then this."""

    sampling_typical_p: float | None
    """Draw among the tokens whose information, -log(probability), is nearest to the entropy, until they together reach
    probability p (Meister et al. 2023). It comes after those before it, by the probabilities among what they left."""

    sampling_epsilon: float | None
    """Draw among the tokens of at least this probability, after all others that choose what is drawn from; the
    likeliest where none has it (Hewitt et al. 2022)."""

    stochastic_beams: bool
    """Draw beam_size sequences without replacement (Kool et al. 2019), instead of searching for the likeliest: all
    differ, and one that is twice as likely is twice as likely to be drawn next. What is drawn from is what the other
    sampling options say. The first num_hypotheses drawn are returned, in the order of their scores."""

    seed: int | None
    """Seed of sampling; the same one draws the same samples. Every sentence has a generator of its own: whatever else
    is decoded. None = different each time."""

    return_scores: bool
    """Greedy search computes scores; beam search, and whatever returns several hypotheses, always does."""

    return_token_scores: bool
    """Results hold the log-probability of each token. Implies return_scores."""

    return_confidence: bool
    """Results say how sure the model is: of the whole, of each word and of each token, at the temperature that
    `s2s-calibrate` stored in the bundle. What was written is fed to the model once more; what is written stays the
    same."""

    return_top_tokens: int
    """How many of the likeliest tokens at each position results hold, each with its probability at the bundle's
    temperature: what could stand there instead."""

    return_attention: bool
    """Results hold the attention, (target, source). Needs a bundle with attention."""

    return_alignments: bool
    """Results hold the frames of each symbol, in the likeliest alignment. Needs a model trained with CTC."""

    lexicon: Mapping[str, LexiconOutputs] | None
    """Outputs of sources: a text for each, or a list of texts or of pairs (text, weight), or what
    `s2s_runtime.read_lexicon` reads from a file. A source that it has isn't decoded: its outputs are the hypotheses,
    the highest weight first, at most num_hypotheses, without scores, their finish reason "lexicon". Sources are
    compared as texts, normalised as the vocabulary says."""

    lexicon_use: LexiconUse
    """"first": what the lexicon has isn't decoded. "merge": it is decoded all the same, and the lexicon's outputs come
    before the other hypotheses, at most num_hypotheses in all."""

    unknown_symbols: UnknownPolicy | None
    """What becomes of symbols of a source text that the vocabulary lacks. "error": they are an error. "unk": the
    unknown symbol stands for them. "skip": they are left out. None = "unk" where the vocabulary has an unknown symbol,
    else "error". Results list them as `unknown_symbols`."""

    max_source_length: int | None
    """Most tokens that a source may have, as the model reads it (start and end symbols too); what becomes of a longer
    one says on_long. None = no limit but the bundle's."""

    on_long: LongPolicy
    """What becomes of a source longer than max_source_length, or than the length that the bundle's model was made for.
    "error": it is an error. "truncate": its end is left out; the result's `left_out` says how many tokens. "split": it
    is cut where sentences end, or else words, the parts are decoded each by itself, and their outputs joined; the
    result's `parts` has them. Not with several hypotheses or a callback."""

    on_error: ErrorPolicy
    """What becomes of a source that can't be read (too long, an unknown symbol, a wrong type, numbers that aren't
    finite), or with which the model fails. "raise": the call raises its error and decodes nothing. "return": its result
    has the error as `error`, and the others are decoded."""

    callback: Callback | None
    """Called with a `TokenEvent` for each token as it is chosen; where it returns True that sentence stops (finish
    reason "stopped")."""

    cancel: CancelSignal | None
    """A `threading.Event`, or anything else with `is_set()`. Looked at before steps; once set, the call raises
    `CancelledError` and returns nothing. To keep what a sentence has so far, use a callback."""

    engine: Engine
    """Search in one graph, or step by step; auto: the graph where it can. "graph": the bundle's graphs of greedy
    search, draws and beam search write many tokens in one run; "steps": each token is one run of the step graph. The
    tokens are the same. The graphs are faster; the table of options says what they can't do."""

    max_batch_size: int
    """Most sentences (or tokens, see batch_by) in a batch; longer lists are sorted by length and cut. Several batches
    may be decoded at the same time: see `workers` of `s2s_runtime.load`."""

    max_batch_tokens: int | None
    """Most tokens in a batch, sentences times the longest source among them, beside max_batch_size; a source longer
    than that is decoded by itself. None = as many as fit into about half a gigabyte, by the sizes of the bundle's
    states and memory, so that one long source doesn't take the memory of a whole batch of such."""

    batch_by: BatchUnit
    """What max_batch_size counts: "sentences", or "tokens" = sentences times the longest source among them."""


class ScoreValues(TypedDict, total=False):
    """The decoding options that apply to `Model.score`, with the meanings and defaults of `DecodingOptions`."""

    length_penalty: float
    """Exponent a of the length penalty; 0 = scores are log-probabilities. Not negative."""

    length_penalty_kind: LengthPenaltyKind
    """"average": log-probability / length^a; "gnmt": log-probability / ((5 + length) / 6)^a (Wu et al. 2016)."""

    coverage_penalty: float
    """Weight b of b * sum over the source of log(min(attention received, 1)), added to the scores of ended hypotheses
    (Wu et al. 2016). Needs beam search and a bundle with attention."""

    repetition_penalty: float
    """Logits of tokens that occurred before in the sequence are divided by it where positive and multiplied where
    negative (Keskar et al. 2019), before the softmax, so that scores count it. Above 1 discourages repetition."""

    bias: Mapping[str | tuple[Token, ...], float] | None
    """What each occurrence of a phrase, a text or a tuple of tokens, adds to the log-probability of a sequence: above 0
    to have it rather, below 0 to have it seldom. Scores count it. In a beam a phrase of positive weight that was begun
    counts in part until it ends."""

    logits_processor: LogitsProcessor | None
    """Called before the softmax of each step with the ids written so far, int64 (rows, steps), without the start token,
    and the logits, float32 (rows, vocabulary), which it may change; returns logits of that shape, -inf where a token
    may not follow. A row is a sequence that is being written, or one that has ended and isn't looked at any more:
    decide by a row's values alone, as rows come in no order to rely on. Scores count it."""

    language_model: LanguageModel | None
    """A language model of the target, a loaded bundle or its path, whose log-probabilities count too, at every step
    (shallow fusion). Tokens are matched by their texts; those that it lacks are its unknown symbol, or an error. Scores
    count it, those of `score` too."""

    language_model_weight: float
    """What the log-probabilities of language_model are multiplied by before they are added; with 0 all is as without
    it."""

    internal_language_model: LanguageModel | None
    """A language model of the targets that the model was trained on, which stands for what the model itself knows of
    them: its log-probabilities are subtracted, so that language_model takes their place (density ratio, McDermott et
    al. 2019). As they may make a sequence better as it grows, a search may stop before the best is found."""

    internal_language_model_weight: float
    """What the log-probabilities of internal_language_model are multiplied by before they are subtracted."""

    unknown_symbols: UnknownPolicy | None
    """What becomes of symbols of a source text that the vocabulary lacks. "error": they are an error. "unk": the
    unknown symbol stands for them. "skip": they are left out. None = "unk" where the vocabulary has an unknown symbol,
    else "error". Results list them as `unknown_symbols`."""

    cancel: CancelSignal | None
    """A `threading.Event`, or anything else with `is_set()`. Looked at before steps; once set, the call raises
    `CancelledError` and returns nothing. To keep what a sentence has so far, use a callback."""

    max_batch_size: int
    """Most sentences (or tokens, see batch_by) in a batch; longer lists are sorted by length and cut. Several batches
    may be decoded at the same time: see `workers` of `s2s_runtime.load`."""

    max_batch_tokens: int | None
    """Most tokens in a batch, sentences times the longest source among them, beside max_batch_size; a source longer
    than that is decoded by itself. None = as many as fit into about half a gigabyte, by the sizes of the bundle's
    states and memory, so that one long source doesn't take the memory of a whole batch of such."""
