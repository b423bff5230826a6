"""Decoding options: which sequences are searched for, and what makes one better than another."""

from dataclasses import dataclass
from typing import Annotated

from s2s_runtime.declared_options import Need, Option
from s2s_runtime.options.terms import BEAMS, ONLY_STEPS, SCORE, SEARCH, named
from s2s_runtime.options.types import LengthPenaltyKind, Utility


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class SearchOptions:
    """The options that say which sequences are searched for, and what makes one better than another."""

    beam_size: Annotated[
        int,
        Option(
            at_least=1,
            at_most=2**16,  # each takes memory at once
            verbs=("evaluate",),
            not_for=("stream",),
            panel=SEARCH,
            elsewhere=named("beam_size", "--beam", "num_beams"),
        ),
    ] = 1
    """Sequences kept alive per sentence; 1 = greedy search, or sampling. May exceed the size of the vocabulary."""

    num_hypotheses: Annotated[
        int,
        Option(
            at_least=1,
            at_most=2**16,  # each takes memory at once
            not_for=("stream",),
            help="Hypotheses per text.",
            panel=SEARCH,
            flags=("--num-hypotheses", "-n"),
            elsewhere=named("num_hypotheses", "--nbest", "num_return_sequences"),
        ),
    ] = 1
    """How many hypotheses to return, best first; fewer where fewer exist. At most beam_size times patience, unless
    sampling, where it is the number of samples, or return_alternatives is set, where it is that of alternatives."""

    patience: Annotated[
        float,
        Option(
            above=0,
            help="Stop once beam size times this many hypotheses have ended.",
            panel=SEARCH,
            needs=[
                Need(
                    words="beam_size above 1",
                    present=lambda given: given.beam_size > 1,
                    got=lambda given: f"patience {given.patience:g} with beam_size 1",
                )
            ],
            elsewhere=named("patience"),
        ),
    ] = 1.0
    """A sentence stops once round(beam_size * patience) hypotheses have ended and none alive can beat the best of
    them (Kasai et al. 2022). Larger values make the lower ranks of an n-best list better."""

    beam_groups: Annotated[
        int,
        Option(
            at_least=1,
            at_most=2**16,
            help="Groups of beams that keep away from one another (diverse beam search).",
            panel=SEARCH,
            needs=[BEAMS],
            engines=ONLY_STEPS,
            elsewhere=named(fairseq="--diverse-beam-groups", hugging_face="num_beam_groups"),
        ),
    ] = 1
    """Groups that the beam is cut into, each a beam of beam_size / beam_groups that stays away from what the groups
    before it take (Vijayakumar et al. 2016), so that hypotheses differ. As many as beam_size make them differ most."""

    diversity_penalty: Annotated[
        float,
        Option(
            at_least=0,
            help="What a token counts less for each beam of an earlier group that took it at the same step.",
            panel=SEARCH,
            needs=[Need(words="beam_groups above 1", present=lambda given: given.beam_groups > 1)],
            elsewhere=named(fairseq="--diverse-beam-strength", hugging_face="diversity_penalty"),
        ),
    ] = 0.5
    """What a token counts less, in log-probability, for each beam of an earlier group of beam_groups that took it at
    the same step. It decides which hypotheses are found and returned; their scores and order are the model's."""

    length_penalty: Annotated[
        float,
        Option(
            at_least=0,
            help="Scores are divided by length to this power.",
            panel=SEARCH,
            verbs=(*SCORE, "evaluate"),
            elsewhere=named("length_penalty", "--lenpen", "length_penalty"),
        ),
    ] = 1.0
    """Exponent a of the length penalty; 0 = scores are log-probabilities. Not negative."""

    length_penalty_kind: Annotated[
        LengthPenaltyKind, Option(help="Length itself, or (5 + length) / 6.", panel=SEARCH, verbs=SCORE)
    ] = "average"
    """"average": log-probability / length^a; "gnmt": log-probability / ((5 + length) / 6)^a (Wu et al. 2016)."""

    coverage_penalty: Annotated[
        float,
        Option(
            at_least=0,
            help="Weight of what the attention left out.",
            panel=SEARCH,
            verbs=SCORE,
            needs=[BEAMS],
            engines=ONLY_STEPS,
            obstacle="attention",
            elsewhere=named("coverage_penalty"),
        ),
    ] = 0.0
    """Weight b of b * sum over the source of log(min(attention received, 1)), added to the scores of ended hypotheses
    (Wu et al. 2016). Needs beam search and a bundle with attention."""

    return_alternatives: Annotated[
        bool,
        Option(
            help="The -n likeliest next tokens (after --prefix), each continued.",
            not_for=("stream", "generate_from", "Decoder"),
            panel=SEARCH,
            flags=["--alternatives"],
            engines=ONLY_STEPS,
            elsewhere=named("return_alternatives"),
        ),
    ] = False
    """The num_hypotheses likeliest first tokens (after the prefix), each continued to its best end. Hypotheses come
    in the order of those tokens' probabilities, not of their scores."""

    min_alternative_probability: Annotated[
        float,
        Option(
            at_least=0,
            at_most=1,
            help="Leave out less likely alternatives.",
            panel=SEARCH,
            needs=["return_alternatives"],
            elsewhere=named("min_alternative_expansion_prob"),
        ),
    ] = 0.0
    """Alternatives less likely than this, as the next token, are left out; where none is left, the one hypothesis is
    the prefix, without a score, "stopped"."""

    min_bayes_risk: Annotated[
        Utility | None,
        Option(
            help="Put first the hypothesis that is most like all of them.",
            panel=SEARCH,
            needs=[
                Need(
                    words="num_hypotheses above 1",
                    present=lambda given: given.num_hypotheses > 1,
                    got=lambda given: f"num_hypotheses {given.num_hypotheses}",
                )
            ],
        ),
    ] = None
    """Hypotheses, of a beam or samples, come in the order of their expected utility, not of their scores: of the mean
    of how like they are to each of all, weighted by the probabilities that the model gives these (Kumar and Byrne
    2004). "bleu" and "edit_distance" compare tokens, "chrf" the characters of texts."""
