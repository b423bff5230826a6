"""Making a plan of options: symbols become ids, and what the bundle can't do is refused before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.constraints.given_tokens import token_ids
from s2s_runtime.constraints.token_rules import TokenRules
from s2s_runtime.errors import OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import DecodingOptions, Prefix
from s2s_runtime.options.terms import BEAM_GRAPH, GREEDY_GRAPH
from s2s_runtime.search.scoring import LengthPenalty, coverage_score
from s2s_runtime.search.step_model import Choice, StatesT, StepModel

if TYPE_CHECKING:
    from s2s_runtime.constraints import make_automata
    from s2s_runtime.search import sampling
else:
    make_automata, sampling = LazyModule("constraints.make_automata"), LazyModule("search.sampling")

DROP_SHARE: Final = 8  # ended rows are dropped once they are an eighth (measured): dropping copies, keeping computes

Notify = Callable[[int, int, int, float | None, bool], bool]
Guide = Callable[[StepModel[Any]], StepModel[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class SearchPlan:
    """Options made ready for a bundle: ids resolved, everything checked.

    Args:
        beam_size: sequences kept per sentence.
        num_hypotheses: hypotheses (or samples) returned per sentence.
        pool: ended hypotheses that have to be there before a beam may stop.
        start_id: token fed at the first step (0 where none is fed).
        is_end: bool (vocabulary,), True at tokens that end a sequence.
        ends: how many such tokens there are.
        rules: which tokens may follow.
        length_penalty: from log-probability to score.
        coverage_penalty: weight of the coverage score; 0 = none.
        scores: whether log-probabilities are computed.
        token_scores: whether those of each token are kept.
        attention: whether the attention of each token is kept.
        alignments: whether the frames of each symbol are found, of a model trained with CTC.
        sampler: draws tokens; None = the likeliest is taken.
        goes_on: float32 (vocabulary,), 0 at tokens that end a sequence, 1 at the others.
        ending: float32 (vocabulary,), -inf at tokens that end a sequence, 0 at the others.
        beam_groups: groups that the beam is cut into, which keep away from one another.
        diversity_penalty: what each of them counts less for a token that earlier groups took at the same step.
        stochastic: whether the beam draws sequences, without replacement.
        guide: returns a model around the one that searches, whose steps say too what others add to log-probabilities.
        notify: called with (sentence in the caller's inputs, step, token, log-probability, is last) for each token;
            True stops the sentence.
        beyond_graph: the options asked for that the graph for it can't serve.
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
    alignments: bool = False
    sampler: sampling.Sampler | None = None
    beam_groups: int = 1
    diversity_penalty: float = 0.0
    stochastic: bool = False
    guide: Guide | None = None
    notify: Notify | None = None
    beyond_graph: tuple[str, ...] = ()
    goes_on: Floats = field(init=False, repr=False)
    ending: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "goes_on", np.where(self.is_end, np.float32(0), np.float32(1)))
        object.__setattr__(self, "ending", np.where(self.is_end, np.float32(-np.inf), np.float32(0)))

    def guided(self, model: StepModel[StatesT]) -> StepModel[StatesT]:
        """Return the model as search is to see it; its states are its own matter."""
        return model if self.guide is None else self.guide(model)

    @property
    def choice(self) -> Choice:
        """How a graph has to choose tokens, where it writes them; beams choose by themselves."""
        if self.beam_size > 1:
            return "greedy"
        if self.sampler is not None:
            return "sample" if self.sampler.is_open else "sample_top"
        return "greedy_scores" if self.scores else "greedy"

    @property
    def varied(self) -> bool:
        """Whether one of the searches of `s2s_runtime.varied_beams` is asked for."""
        return self.beam_groups > 1 or self.stochastic

    @property
    def looks(self) -> bool:
        """Whether the model has to give its attention weights."""
        return self.attention or self.coverage_penalty > 0

    def score(self, log_probability: float, length: int, attended: Floats | None) -> float:
        """Return the score of an ended sequence; `attended` is what each source position received, without padding."""
        score = self.length_penalty.score(log_probability, length)
        if attended is not None and self.coverage_penalty > 0:
            score += self.coverage_penalty * coverage_score(attended)
        return score


def make_plan(options: DecodingOptions, manifest: Manifest) -> SearchPlan:
    """Make options ready for a bundle.

    Raises:
        OptionError: lists every option that needs something the bundle lacks, or names an unknown token.
    """
    target = manifest.target
    ends = target.end_ids if options.end_tokens is None else token_ids("end_tokens", options.end_tokens, manifest)
    problems = _lacking(options, manifest, has_ends=len(ends) > 0)
    if problems:
        raise OptionError("; ".join(problems))
    is_end = np.zeros(target.size, np.bool_)
    is_end[list(ends)] = True
    return SearchPlan(
        beam_size=options.beam_size,
        num_hypotheses=options.num_hypotheses,
        pool=options.pool,
        start_id=target.start_id or 0,
        is_end=is_end,
        ends=int(is_end.sum()),
        rules=_rules(options, manifest, ends),
        length_penalty=LengthPenalty(options.length_penalty, options.length_penalty_kind),
        coverage_penalty=options.coverage_penalty,
        scores=options.scored,
        token_scores=options.return_token_scores,
        attention=options.return_attention or options.replace_unknown,
        sampler=_sampler(options),
        alignments=options.return_alignments,
        beam_groups=options.beam_groups,
        diversity_penalty=options.diversity_penalty,
        stochastic=options.stochastic_beams,
        beyond_graph=_beyond_graph(options),
    )


def _beyond_graph(options: DecodingOptions) -> tuple[str, ...]:
    by_steps = ["engine 'steps'"] if options.engine == "steps" else []
    return (*by_steps, *options.obstacles(GREEDY_GRAPH if options.beam_size == 1 else BEAM_GRAPH))


def _lacking(options: DecodingOptions, manifest: Manifest, *, has_ends: bool) -> list[str]:
    """Return what options need and the bundle lacks, one line for each problem."""
    problems = []
    for name in ("return_attention", "coverage_penalty", "replace_unknown"):
        if getattr(options, name) and not manifest.attention:
            problems.append(f"{name}: needs attention, which this bundle's model doesn't have")
    for name in ("min_length", "return_end_token"):
        if getattr(options, name) and not has_ends:
            problems.append(f"{name}: needs an end token, which this bundle doesn't have; give end_tokens")
    if options.replace_unknown:
        if manifest.source_vocabulary is None or manifest.target_vocabulary is None:
            problems.append("replace_unknown: needs a source and a target vocabulary, which this bundle doesn't have")
        if manifest.target.unknown_id is None:
            problems.append("replace_unknown: needs an unknown token, which this bundle doesn't have")
    problems += _lacking_in_source(options, manifest)
    for name in ("return_confidence", "return_top_tokens"):
        if getattr(options, name) and manifest.kind == "ctc":
            problems.append(f"{name}: needs a model that writes token by token, which this bundle's doesn't")
    unknown = options.max_length is options.max_length_ratio is manifest.target.max_length is None
    if unknown and not manifest.one_graph:
        problems.append("max_length: this bundle doesn't say how long targets get; give max_length or max_length_ratio")
    most = manifest.target.max_length
    if options.max_length is options.max_length_ratio is None is not most and options.min_length > most:
        problems.append(
            f"min_length: expected at most {most}, the longest target this bundle's model was made for, got "
            f"{options.min_length}; give max_length too to go beyond"
        )
    return problems


def _lacking_in_source(options: DecodingOptions, manifest: Manifest) -> list[str]:
    """Return what options about sources need and the bundle lacks, one line for each problem."""
    problems = []
    vocabulary, side = manifest.input_vocabulary, "target" if manifest.kind == "decoder-only" else "source"
    if options.unknown_symbols is not None and vocabulary is None:
        problems.append(f"unknown_symbols: needs a {side} vocabulary, which this bundle doesn't have")
    elif options.unknown_symbols == "unk" and vocabulary is not None and vocabulary.unknown is None:
        problems.append(f"unknown_symbols: 'unk' needs an unknown symbol in the {side} vocabulary, which has none")
    if options.on_long != "error" and options.max_source_length is manifest.padding.length is None:
        problems.append("on_long: has no effect without max_source_length, as this bundle's model reads any length")
    if options.return_alignments and manifest.kind != "ctc":
        problems.append("return_alignments: needs a model trained with CTC, which this bundle's isn't")
    if manifest.kind == "decoder-only":
        problems += [
            f"{name}: has no meaning here, as this bundle's model reads no source; leave it out"
            for name, asked in (
                ("max_length_ratio", options.max_length_ratio is not None),
                ("on_long", options.on_long != "error"),
            )
            if asked
        ]
    if options.on_long == "split" and len(manifest.given_names) > 1:
        problems.append("on_long: 'split' needs a model of one source; give 'truncate'")
    return problems


def _rules(options: DecodingOptions, manifest: Manifest, ends: Sequence[int]) -> TokenRules:
    target = manifest.target
    never = [target.start_id, target.padding_id]
    if not (options.allow_unknown or options.replace_unknown):
        never.append(target.unknown_id)
    banned = {token for token in never if token is not None} - set(ends)
    banned |= set(token_ids("suppress_tokens", options.suppress_tokens, manifest))
    if len(banned) >= target.size:
        raise OptionError(f"suppress_tokens: nothing is left to generate of the {target.size} tokens; suppress fewer")
    sequences = [token_ids("suppress_sequences", sequence, manifest) for sequence in options.suppress_sequences]
    if [] in sequences:
        raise OptionError("suppress_sequences: expected sequences of at least one token, got an empty one")
    rules = TokenRules(
        size=target.size,
        banned=_array(sorted(banned)),
        end_ids=_array(ends),
        min_length=options.min_length,
        repetition_penalty=options.repetition_penalty,
        ngram_size=options.no_repeat_ngram_size,
        ngram_exclude=_array(token_ids("no_repeat_ngram_exclude", options.no_repeat_ngram_exclude, manifest)),
        sequences=[_array(sequence) for sequence in sequences],
        allowed_next=options.allowed_next,
        processor=options.logits_processor,
    )
    if not (options.bias or len(options.required_phrases)) and options.allowed_sequences is None:
        return rules
    return replace(rules, automata=make_automata.make_automata(options, manifest, rules))


def _sampler(options: DecodingOptions) -> sampling.Sampler | None:
    if not options.sampling:
        return None
    temperature, top_p = options.sampling_temperature, options.sampling_top_p
    return sampling.Sampler(
        temperature=1.0 if temperature is None else temperature,
        top_k=options.sampling_top_k,
        top_p=1.0 if top_p is None else top_p,
        min_p=options.sampling_min_p or 0.0,
        typical_p=1.0 if options.sampling_typical_p is None else options.sampling_typical_p,
        epsilon=options.sampling_epsilon or 0.0,
        seed=options.seed,
    )


def _array(ids: Iterable[int]) -> Ints:
    return np.array(list(ids), np.int64)


def check_targets(plan: SearchPlan, batch: Batch) -> None:
    """Refuse sources for which no target meets what is asked of whole targets.

    Args:
        plan: how to search.
        batch: the sources with the first tokens of their targets, and how long these may get.

    Raises:
        OptionError: says why there is none.
    """
    if not plan.rules.automata:
        return
    prefixes = [()] * len(batch) if batch.prefix is None else [tuple(row[row >= 0].tolist()) for row in batch.prefix]
    for prefix, limit in set(zip(prefixes, batch.limits.tolist(), strict=True)):
        problem = next(filter(None, (automaton.problem(prefix, limit) for automaton in plan.rules.automata)), "")
        if problem:
            raise OptionError(problem)


def prefix_ids(
    prefix: Sequence[Prefix | None] | None, count: int, manifest: Manifest, plan: SearchPlan
) -> list[list[int]]:
    """Return the ids of each sentence's prefix; empty where it has none.

    Raises:
        OptionError: not one prefix (or None) per sentence, an id outside the vocabulary, an end token.
        UnknownSymbolError: a text holds a symbol that the target vocabulary doesn't.
    """
    if prefix is None:
        return [[] for _ in range(count)]
    if len(prefix) != count:
        raise OptionError(f"prefix: expected one per sentence ({count}), None for those without; got {len(prefix)}")
    ids = []
    for i, tokens in enumerate(prefix):
        if isinstance(tokens, str):
            if manifest.target_vocabulary is None:
                raise OptionError(f"prefix[{i}]: expected ids, as this bundle has no target vocabulary; got {tokens!r}")
            ids.append(manifest.target_vocabulary.encode(tokens, "error"))
        else:
            ids.append([] if tokens is None else token_ids(f"prefix[{i}]", tokens, manifest))
        if plan.is_end[ids[-1]].any():
            raise OptionError(f"prefix[{i}]: holds an end token, after which nothing follows; leave it out")
    return ids
