"""Decoding options: what is read, and what results hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from s2s_runtime.declared_options import Need, Option
from s2s_runtime.options.terms import FILES, GREEDY, JSON, ONLY_STEPS, SCORE, named
from s2s_runtime.options.types import (
    Callback,
    CancelSignal,
    ErrorPolicy,
    LexiconOutputs,
    LexiconUse,
    LongPolicy,
    UnknownPolicy,
)


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class OutputOptions:
    """The options that say what is read, and what results hold."""

    return_scores: Annotated[
        bool,
        Option(
            panel=FILES,
            flags=["--scores"],
            help="Write the score before each hypothesis.",
            elsewhere=named("return_scores", "", "output_scores"),
        ),
    ] = False
    """Greedy search computes scores; beam search, and whatever returns several hypotheses, always does."""

    return_token_scores: Annotated[
        bool,
        Option(
            group=JSON,
            panel=FILES,
            flags=["--token-scores"],
            help="With --json: log-probability of each token.",
            elsewhere=named("", "", "output_scores"),
        ),
    ] = False
    """Results hold the log-probability of each token. Implies return_scores."""

    return_confidence: Annotated[
        bool,
        Option(
            group=JSON,
            panel=FILES,
            flags=["--confidence"],
            help="With --json: how sure the model is of each text, word and token.",
            not_for=("stream", "generate_from"),
        ),
    ] = False
    """Results say how sure the model is: of the whole, of each word and of each token, at the temperature that
    `s2s-calibrate` stored in the bundle. What was written is fed to the model once more; what is written stays the
    same."""

    return_top_tokens: Annotated[
        int,
        Option(
            at_least=0,
            group=JSON,
            panel=FILES,
            flags=["--top-tokens"],
            help="With --json: so many of the likeliest tokens at each position.",
            not_for=("stream", "generate_from"),
            elsewhere=named("", "", "output_scores"),
        ),
    ] = 0
    """How many of the likeliest tokens at each position results hold, each with its probability at the bundle's
    temperature: what could stand there instead."""

    return_attention: Annotated[
        bool,
        Option(
            group=JSON,
            panel=FILES,
            flags=["--attention"],
            help="With --json: the attention, target by source.",
            engines=ONLY_STEPS,
            obstacle="attention",
            elsewhere=named("return_attention", "--print-alignment", "output_attentions"),
        ),
    ] = False
    """Results hold the attention, (target, source). Needs a bundle with attention."""

    return_alignments: Annotated[
        bool,
        Option(
            group=JSON,
            panel=FILES,
            flags=["--alignments"],
            help="With --json, for models trained with CTC: first frame of each symbol, and the one behind its last.",
        ),
    ] = False
    """Results hold the frames of each symbol, in the likeliest alignment. Needs a model trained with CTC."""

    lexicon: Annotated[
        Mapping[str, LexiconOutputs] | None,
        Option(
            panel=FILES,
            typed=Path,
            reads="lexicon",
            metavar="FILE",
            help="File of sources and their outputs: with tabs, of CMUdict, of Moses; only what it lacks is decoded.",
            not_for=("generate_from",),
        ),
    ] = None
    """Outputs of sources: a text for each, or a list of texts or of pairs (text, weight), or what
    `s2s_runtime.read_lexicon` reads from a file. A source that it has isn't decoded: its outputs are the hypotheses,
    the highest weight first, at most num_hypotheses, without scores, their finish reason "lexicon". Sources are
    compared as texts, normalised as the vocabulary says."""

    lexicon_use: Annotated[
        LexiconUse,
        Option(
            panel=FILES,
            needs=["lexicon"],
            help="A source of the lexicon isn't decoded, or is and its outputs come before.",
            not_for=("generate_from",),
        ),
    ] = "first"
    """"first": what the lexicon has isn't decoded. "merge": it is decoded all the same, and the lexicon's outputs come
    before the other hypotheses, at most num_hypotheses in all."""

    unknown_symbols: Annotated[
        UnknownPolicy | None,
        Option(
            panel=FILES,
            flags=["--unknown"],
            verbs=SCORE,
            help="Symbols that the model doesn't know: an error, read as its unknown symbol, or left out. "
            "Default: unk where it has one. Decoding counts them on stderr.",
        ),
    ] = None
    """What becomes of symbols of a source text that the vocabulary lacks. "error": they are an error. "unk": the
    unknown symbol stands for them. "skip": they are left out. None = "unk" where the vocabulary has an unknown symbol,
    else "error". Results list them as `unknown_symbols`."""

    max_source_length: Annotated[
        int | None,
        Option(
            at_least=1,
            panel=FILES,
            not_for=("generate_from",),
            elsewhere=named("max_input_length", "--max-source-positions"),
        ),
    ] = None
    """Most tokens that a source may have, as the model reads it (start and end symbols too); what becomes of a longer
    one says on_long. None = no limit but the bundle's."""

    on_long: Annotated[
        LongPolicy,
        Option(
            panel=FILES,
            help="A text longer than --max-source-length or the bundle's length is an error, truncated, or decoded in "
            "parts.",
            not_for=("generate_from",),
            elsewhere=named(hugging_face="truncation"),
        ),
    ] = "error"
    """What becomes of a source longer than max_source_length, or than the length that the bundle's model was made for.
    "error": it is an error. "truncate": its end is left out; the result's `left_out` says how many tokens. "split": it
    is cut where sentences end, or else words, the parts are decoded each by itself, and their outputs joined; the
    result's `parts` has them. Not with several hypotheses or a callback."""

    on_error: Annotated[
        ErrorPolicy,
        Option(
            group=JSON,
            panel=FILES,
            help="With --json: a text that can't be read is an error, or has one as its result.",
            not_for=("stream", "generate_from", "Decoder"),
        ),
    ] = "raise"
    """What becomes of a source that can't be read (too long, an unknown symbol, a wrong type, numbers that aren't
    finite), or with which the model fails. "raise": the call raises its error and decodes nothing. "return": its result
    has the error as `error`, and the others are decoded."""

    callback: Annotated[
        Callback | None,
        Option(
            typed=None,
            needs=[
                GREEDY,
                Need(
                    words="num_hypotheses 1",
                    present=lambda given: given.num_hypotheses == 1,
                    got=lambda given: f"num_hypotheses {given.num_hypotheses}",
                ),
            ],
            engines=ONLY_STEPS,
            elsewhere=named("callback", "", "streamer"),
        ),
    ] = None
    """Called with a `TokenEvent` for each token as it is chosen; where it returns True that sentence stops (finish
    reason "stopped")."""

    cancel: Annotated[
        CancelSignal | None,
        Option(
            expected="a threading.Event or the like, with is_set()",
            allowed=lambda value: isinstance(value, CancelSignal),
            typed=None,
            verbs=SCORE,
            elsewhere=named("", "", "stopping_criteria"),
        ),
    ] = None
    """A `threading.Event`, or anything else with `is_set()`. Looked at before steps; once set, the call raises
    `CancelledError` and returns nothing. To keep what a sentence has so far, use a callback."""
