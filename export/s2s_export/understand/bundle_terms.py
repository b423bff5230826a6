"""What a split model is, in the bundle's terms: what its source holds, what is fed back, how it pads, when it stops.

The graph tells shapes and dtypes, a vocabulary tells symbols; what neither tells is asked for, never guessed silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from s2s_export.options import ExportOptions
from s2s_export.understand.flat_steps import FlatSteps
from s2s_export.understand.padding_policy import PaddingFinder
from s2s_export.understand.source_terms import factors_of, further_sources, graph_input, source_terms
from s2s_export.understand.target_terms import feed_notes, target_terms
from s2s_export.understand.unnamed_ids import free_name, widened
from s2s_runtime.bundle.manifest_file import OtherSource, SourceSpec, TargetSpec
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.factors import FactoredVocabulary
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.splitting.attention_weights import is_distribution, run_on_noise
from s2s_training.splitting.splitter import SplitModel


@dataclass(frozen=True)
class FurtherTerms:
    """An output beside the first in the bundle's terms.

    Attributes:
        target: as the manifest holds it, with the output's name.
        vocabulary: its symbols, where known.
        probabilities: whether the training model gives probabilities there rather than logits or values.
    """

    target: TargetSpec
    vocabulary: Vocabulary | None
    probabilities: bool


@dataclass(frozen=True)
class Understanding:
    """A training model in the bundle's terms.

    Attributes:
        source, target, padding: as the manifest holds them.
        source_vocabulary, target_vocabulary: symbols, where known.
        one_hot_target: whether the decoder input takes one-hot rows for tokens.
        start_token: the token that is fed first, or all the time; None where there is none.
        probabilities: whether the training model's output is probabilities rather than logits or values.
        longest: how many steps the training model can read of each source, in their order; None where any number.
        notes: what a person should know, a sentence each.
        without_source: whether there is no source, as of a language model; one input of no meaning stands for it.
        most_read: how many steps of sources of any length the encoder takes, as trying showed: a table of places has
            an end; None where it takes all that are generated, or nobody tried.
        further: what a model of one pass gives beside, where there are several outputs.
    """

    source: SourceSpec
    target: TargetSpec
    padding: PaddingPolicy
    source_vocabulary: Vocabulary | None
    target_vocabulary: Vocabulary | None
    one_hot_target: bool
    start_token: int | None
    probabilities: bool
    longest: tuple[int | None, ...]
    notes: tuple[str, ...]
    without_source: bool = False
    most_read: int | None = None
    further: tuple[FurtherTerms, ...] = ()

    @property
    def targets(self) -> tuple[TargetSpec, ...]:
        """What each output gives, the first before those beside it."""
        return (self.target, *(each.target for each in self.further))

    @property
    def what_gives_values(self) -> str:
        """What of the model gives values, in words; empty where all that it gives is tokens."""
        named = [own.name for own in self.targets if own.feedback == "value"]
        return "" if not named else "this model" if named == [None] else f"the output {named[0]!r}"

    @property
    def without_start(self) -> bool:
        """Whether a language model has no start token: it goes on from a token at least."""
        return self.without_source and self.target.feedback == "token" and self.target.start_id is None

    def of_output(self, place: int) -> Understanding:
        """Return the same with one of several outputs, counted from 0, as if it were the only one."""
        if place == 0:
            return replace(self, target=replace(self.target, name=None), further=())
        own = self.further[place - 1]
        target = replace(own.target, name=None)
        return replace(
            self, target=target, target_vocabulary=own.vocabulary, probabilities=own.probabilities, further=()
        )

    @property
    def sources(self) -> tuple[OtherSource, ...]:
        """All source inputs, in the order of the encoder's, each described in the same way."""
        first = OtherSource(self.source.name, self.source.kind, self.source.size, aligned=True, padding=self.padding)
        return (first, *self.source.others)


def understand(flat: FlatSteps, split: SplitModel, options: ExportOptions) -> Understanding:
    """Put graph, vocabulary and options together.

    Args:
        flat: the training model, each step of it a row.
        split: that model taken apart.
        options: of the export.

    Raises:
        ExportError: they contradict each other (sizes that don't fit show both numbers), or something only the caller
            can know is missing.
    """
    notes: list[str] = []
    vocabulary = options.vocabulary
    sides = (None, None) if vocabulary is None else _sides(split, vocabulary, options, notes)
    probabilities = gives_probabilities(split)
    target, one_hot_target = target_terms(flat, split, sides[1], options, probabilities=probabilities)
    source = source_terms(split, sides[0], options, flat.inputs, one_hot_target=one_hot_target)
    others = further_sources(split, sides[0], options, flat.inputs)
    tensors = (graph_input(i, other, split.sources[i].shape[1:]) for i, other in enumerate(others, 1))
    source = replace(source, inputs=(*source.inputs, *tensors))
    finder = PaddingFinder(split, (_alone(source), *others), options, notes)
    padding = PaddingPolicy(masked=False) if split.kind == "decoder-only" else finder.policy()
    if split.kind == "one-pass":
        target = ends_of_one_pass(target, padding)
    if others:
        padded = tuple(
            other if other.known else replace(other, padding=finder.beside(i, padding))
            for i, other in enumerate(others, 1)
        )
        source = replace(source, name=split.sources[0].name, others=padded)
        given = [name for name in source.names if name not in (*source.known, *factors_of(sides[0]))]
        if isinstance(sides[0], FactoredVocabulary):
            notes.append(f"factors: each word of a text is written {sides[0].form}")
        if len(given) > 1:
            notes.append(f"several sources: decode with a mapping from {', '.join(given)} to rows")
    notes += feed_notes(split)
    if split.prefix is not None:
        target = replace(target, most=split.prefix)
        notes.append(
            f"the decoder is run on its whole prefix again at every step, as {'; '.join(split.reading.problems)}: what "
            f"it gives is exact, a step costs more the longer the target is, and it takes {split.prefix} steps at most"
        )
    if target.feedback == "value" and split.fed == "none" and not split.fed_inputs:
        taken = (
            "the output is taken for values, as nothing says that it is tokens "
            f"({option('target_vocab')}, or {option('end_id')}, would)"
        )
        states = "; what the decoder reads is among its own states, a start value given to predict is not looked at"
        notes.append(taken if split.one_graph else taken + states)
    if split.one_graph:
        notes.append("nothing is fed back: the whole model is one graph, which gives the outputs of all positions")
        if target.blank_id is not None:
            notes.append(f"trained with CTC: class {target.blank_id} is the blank")
    elif target.max_length is None:
        notes.append(unknown_length_note())
    longest = _longest(split, (padding, *(other.padding for other in source.others)))
    fed = one_hot_target, options.first_token
    without_source = split.kind == "decoder-only"
    if without_source and target.start_id is None:
        notes.append("the model has no start token: it goes on from a prompt of at least one symbol")
    return Understanding(source, target, padding, *sides, *fed, probabilities, longest, tuple(notes), without_source)


def ends_of_one_pass(target: TargetSpec, padding: PaddingPolicy) -> TargetSpec:
    """Return a target of one pass that ends at what fills short ones, where that is given behind them too."""
    if target.padding_id is None or padding.masked:
        return target
    return replace(target, end_ids=tuple(dict.fromkeys((*target.end_ids, target.padding_id))))


def unknown_length_note() -> str:
    """Return the sentence that says that nobody told how long targets get."""
    return f"the longest target is unknown: callers must give max_length ({option('max_length')} records it here)"


def _sides(
    split: SplitModel, vocabulary: VocabularyFile, options: ExportOptions, notes: list[str]
) -> tuple[Vocabulary | None, Vocabulary | None]:
    """Return both sides' symbols; ids that have none get names where ids without symbols are allowed."""
    if split.kind == "ctc" and vocabulary.target is not None:
        vocabulary = replace(
            vocabulary, target=with_blank(vocabulary.target, split.encoder.outputs[0].shape[-1], options)
        )
    if not options.unnamed_ids:
        return vocabulary.source, vocabulary.target
    read = split.encoder.inputs[0].shape
    source = widened(vocabulary.source, read[2] if len(read) == 3 else None)
    target = widened(vocabulary.target, split.decoder.outputs[0].shape[-1])
    for name, given, made in (("source", vocabulary.source, source), ("target", vocabulary.target, target)):
        if given is not None and made is not None and len(made) > len(given):
            notes.append(
                f"the model has {len(made)} {name} ids, {len(given)} of them have symbols: the others are called "
                f"{made.symbols[len(given)]} to {made.symbols[-1]}"
            )
    return source, target


def with_blank(target: Vocabulary, size: int | None, options: ExportOptions) -> Vocabulary:
    """Return the symbols of a model trained with CTC with a name for its blank, where they lack just that one."""
    if size is None or len(target) != size - 1:
        return target
    blank, symbols = options.blank_of(size), list(target.symbols)
    symbols.insert(blank, free_name("<blank>", set(symbols)))
    return replace(target, symbols=tuple(symbols))


def _longest(split: SplitModel, policies: Sequence[PaddingPolicy]) -> tuple[int | None, ...]:
    """Return the padded length of each source, or the training model's own length.

    The encoder's graph may be free of that. Sources that have as many steps as the first share the smallest length.
    """
    fixed = [
        None if split.vectors[i] else policy.length or split.sources[i].shape[1] for i, policy in enumerate(policies)
    ]
    together = min((fixed[i] or 0 for i, aligned in enumerate(split.aligned) if aligned and fixed[i]), default=None)
    return tuple(together if split.aligned[i] else length for i, length in enumerate(fixed))


def gives_probabilities(split: SplitModel) -> bool:
    """Return whether the output of one step is a distribution, as a run on noise shows."""
    made, *_ = run_on_noise(split.models[-1])
    return made.shape[-1] > 1 and is_distribution(made)


def _alone(source: SourceSpec) -> OtherSource:
    return OtherSource(source.name, source.kind, source.size, aligned=True, padding=PaddingPolicy(masked=False))
