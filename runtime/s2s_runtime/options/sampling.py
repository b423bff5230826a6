"""Decoding options: what is drawn from at random."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from s2s_runtime.declared_options import Option
from s2s_runtime.options.terms import GREEDY_OR_STOCHASTIC, NOT_BEAM_GRAPH, ONLY_STEPS, SAMPLES, SAMPLING, named

_drawn = partial(
    Option, panel=SAMPLING, group=SAMPLING, needs=[GREEDY_OR_STOCHASTIC], engines=ONLY_STEPS, obstacle="sampling"
)  # an option that turns sampling on


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class SamplingOptions:
    """The options that say what is drawn from at random."""

    sampling_temperature: Annotated[
        float | None,
        _drawn(
            above=0,
            engines=NOT_BEAM_GRAPH,
            help="Draw tokens from the softmax of logits / temperature.",
            elsewhere=named("sampling_temperature", "--temperature", "temperature"),
        ),
    ] = None
    """Draw tokens at random from the softmax of logits / temperature. Sampling is on where any of the options that
    choose what is drawn from is given."""

    sampling_top_k: Annotated[
        int | None,
        _drawn(
            engines=NOT_BEAM_GRAPH,
            at_least=1,
            elsewhere=named("sampling_topk", "--sampling-topk", "top_k"),
        ),
    ] = None
    """Draw among the k likeliest tokens."""

    sampling_top_p: Annotated[
        float | None,
        _drawn(
            engines=NOT_BEAM_GRAPH,
            above=0,
            at_most=1,
            elsewhere=named("sampling_topp", "--sampling-topp", "top_p"),
        ),
    ] = None
    """Draw among the likeliest tokens that together reach probability p (Holtzman et al. 2020)."""

    sampling_min_p: Annotated[
        float | None,
        _drawn(
            above=0,
            at_most=1,
            elsewhere=named(hugging_face="min_p"),
        ),
    ] = None
    """Draw among the tokens that are at least p times as likely as the likeliest (Nguyen et al. 2024). Temperature
    comes first, then `sampling_top_k`, `sampling_top_p` of what that left, and then this."""

    sampling_typical_p: Annotated[
        float | None,
        _drawn(
            above=0,
            at_most=1,
            elsewhere=named(hugging_face="typical_p"),
        ),
    ] = None
    """Draw among the tokens whose information, -log(probability), is nearest to the entropy, until they together reach
    probability p (Meister et al. 2023). It comes after those before it, by the probabilities among what they left."""

    sampling_epsilon: Annotated[
        float | None,
        _drawn(
            above=0,
            below=1,
            elsewhere=named(hugging_face="epsilon_cutoff"),
        ),
    ] = None
    """Draw among the tokens of at least this probability, after all others that choose what is drawn from; the
    likeliest where none has it (Hewitt et al. 2022)."""

    stochastic_beams: Annotated[
        bool,
        Option(
            help="Draw beam size sequences that all differ, instead of searching for the likeliest.",
            panel=SAMPLING,
            not_for=("stream",),
            engines=ONLY_STEPS,
            obstacle="sampling",
        ),
    ] = False
    """Draw beam_size sequences without replacement (Kool et al. 2019), instead of searching for the likeliest: all
    differ, and one that is twice as likely is twice as likely to be drawn next. What is drawn from is what the other
    sampling options say. The first num_hypotheses drawn are returned, in the order of their scores."""

    seed: Annotated[
        int | None,
        Option(
            at_least=0, panel=SAMPLING, needs=[SAMPLES], elsewhere=named("set_random_seed()", "--seed", "set_seed()")
        ),
    ] = None
    """Seed of sampling; the same one draws the same samples. Every sentence has a generator of its own: whatever else
    is decoded. None = different each time."""
