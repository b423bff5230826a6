"""What the caller says about a model that its graph can't tell."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from s2s_export.errors import ExportError
from s2s_export.pass_names import named
from s2s_runtime.bundle.manifest import Precision
from s2s_runtime.declared_options import Need, Option, declares_options, option_problems
from s2s_runtime.declared_options.checks import is_integer, is_list
from s2s_runtime.spelling import did_you_mean, option, shown
from s2s_runtime.vocabulary.padding import Side
from s2s_runtime.vocabulary.vocabulary_file import Unit, Vocabulary, VocabularyFile
from s2s_training.given import is_symbolic

GRAPH: Final = "What the graph can't tell"
TEXT: Final = "Vocabulary and padding"
FILES: Final = "Files"
DRY_RUN: Final = "--dry-run"  # as a verb: what writes and verifies nothing


def _are_texts(value: object) -> bool:
    return isinstance(value, Sequence) and is_list(value) and all(isinstance(text, str) for text in value)


def _are_ids(value: object) -> bool:
    return isinstance(value, Sequence) and is_list(value) and all(is_integer(token) and token >= 0 for token in value)


def _is_file_or_pairs(value: object) -> bool:
    if isinstance(value, str | os.PathLike):
        return True
    return is_list(value) and not is_symbolic(value) and all(_are_texts(pair) and len(pair) > 1 for pair in value)


def _are_passes(value: object) -> bool:
    return value in ("none", "default") if isinstance(value, str) else _are_texts(value)


def _is_name_or_names(value: object) -> bool:
    return isinstance(value, str) or _are_texts(value)


def _are_feeds(value: object) -> bool:
    return _are_texts([*value, *value.values()] if isinstance(value, Mapping) else value)


def _is_given(value: object) -> bool:
    return value is not None and not (is_list(value) and len(value) == 0)


_TEXTS: Final = "a list of texts"


@declares_options
@dataclass(frozen=True, kw_only=True, repr=False)
class ExportOptions:
    """What the graph of a model can't tell, and how it is exported.

    Raises:
        ExportError: names the option that is out of range, what it got and what is allowed.
    """

    vocabulary: Annotated[VocabularyFile | None, Option(typed=None)] = None
    """Both sides' symbols and the padding policy. None for models that only know numbers."""

    pairs: Annotated[
        str | os.PathLike[str] | Sequence[tuple[str, str]] | None,
        Option(
            panel=TEXT,
            typed=Path,
            flags=["--pairs", "--vocab-from"],
            expected="a file, or (source, target) texts",
            allowed=_is_file_or_pairs,
        ),
    ] = None
    """Pairs (TSV) that the model was trained on: they tell its vocabularies, padding and lengths. A file, or (source,
    target) texts."""

    rows: Annotated[int | None, Option(panel=TEXT, at_least=1)] = None
    """Rows of --pairs, from the top, that were used; default: those that give the model's sizes."""

    expect: Annotated[
        str | os.PathLike[str] | Sequence[tuple[str, str]] | None,
        Option(
            panel=TEXT,
            typed=Path,
            expected="a file, its text, or (source, output) texts",
            allowed=_is_file_or_pairs,
        ),
    ] = None
    """What your own loop gave, as proof: lines of source, tab, output, or as the tutorial's script prints them. A file,
    its text, or (source, output) texts."""

    unit: Annotated[Unit | None, Option(panel=TEXT, typed=Literal["char", "word", "symbol"])] = None
    """How text is cut; default: as the symbols show, char for --pairs."""

    encoding: Annotated[str | None, Option(panel=TEXT, metavar="NAME")] = None
    """Encoding of the texts that are given: --pairs, --expect, --source-vocab, --target-vocab and --verify-with, such
    as utf-16 or latin-1; default: UTF-8."""

    start_symbol: Annotated[str | None, Option(panel=TEXT, flags=["--start"], metavar="SYMBOL")] = None
    r"""Start symbol of the target; \t and \n are understood."""

    end_symbol: Annotated[str | None, Option(panel=TEXT, flags=["--end"], metavar="SYMBOL")] = None
    """End symbol of the target, likewise."""

    start_id: Annotated[int | None, Option(panel=TEXT, at_least=0)] = None
    """Token fed first. It overrides the vocabulary's."""

    start_zeros: Annotated[bool, Option(panel=TEXT)] = False
    """A row of zeros is fed first (models saved unrolled)."""

    end_ids: Annotated[
        Sequence[int],
        Option(
            panel=TEXT,
            flags=["--end-id"],
            expected="a list of ids from 0",
            allowed=_are_ids,
        ),
    ] = ()
    """Token that ends a sequence; may be repeated. It overrides the vocabulary's."""

    padding: Annotated[str | int | None, Option(panel=TEXT, typed=str)] = None
    """What fills short sources: zeros (rows of zeros of a one-hot model), a source symbol, or an id."""

    padding_side: Annotated[Side | None, Option(panel=TEXT, typed=str, metavar="right|left")] = None
    """Where padding goes: right or left."""

    source_length: Annotated[int | None, Option(panel=GRAPH, at_least=1)] = None
    """Padded source length of training, for models without a mask."""

    longest_source: Annotated[int | None, Option(typed=None, at_least=1)] = None
    """Longest source in training, where known. A model that reads its padding is padded to it unless `source_length`
    says otherwise."""

    max_length: Annotated[int | None, Option(panel=GRAPH, at_least=1)] = None
    """Most tokens to generate unless a caller says otherwise, the end counted."""

    source_kind: Annotated[Literal["auto", "one-hot", "values"], Option(panel=GRAPH)] = "auto"
    """What vectors in the source are: one-hot rows or measurements. By default one-hot where a source vocabulary of
    that size is given or the decoder's own input is one-hot."""

    decoder_input: Annotated[str | None, Option(panel=GRAPH, metavar="NAME")] = None
    """Name of the input that gets the target."""

    feed: Annotated[
        Mapping[str, str] | Sequence[str],
        Option(
            panel=GRAPH,
            typed=list[str],
            metavar="NAME=WHAT",
            expected="a mapping of names of inputs to texts",
            allowed=_are_feeds,
        ),
    ] = ()
    """What an input that the decoder reads at every step is fed: previous (the output before), known (in advance: give
    it as `known` when decoding), zeros, constant (the start token), or features of these joined, such as
    previous[0]+known. A mapping from names of inputs to these, or texts NAME=WHAT."""

    feedback: Annotated[Literal["none", "token"] | None, Option(panel=GRAPH)] = None
    """What is fed back while decoding, where the graph allows several readings: none, for a model of one pass (a
    tagger, a forecast in one shot), whichever inputs it has; token, for a language model, whose output is what it reads
    next."""

    ctc: Annotated[str | int | None, Option(panel=GRAPH, typed=str, metavar="last|first|N")] = None
    """The model was trained with CTC, and which class is the blank: last (as `ctc_batch_cost` has it), first, or its
    id. A layer that computes the loss, and the labels that it reads, are left out."""

    decoder_output: Annotated[
        str | Sequence[str] | None,
        Option(
            panel=GRAPH,
            typed=list[str],
            metavar="NAME",
            expected="a name, or a list of names",
            allowed=_is_name_or_names,
        ),
    ] = None
    """Name of the output that is decoded (of the layer that makes it), where there are several. By default the only one
    that is as wide as what the decoder reads. Several that are all fed back, joined by +, come out as one token. A
    model of one pass gives all of its outputs unless some are named here; may be repeated."""

    target_vocabularies: Annotated[Mapping[str, Vocabulary], Option(typed=None)] = field(default_factory=dict)
    """Symbols of outputs by their names, of a model that gives several."""

    source_input: Annotated[str | None, Option(panel=GRAPH, metavar="NAME")] = None
    """Name of the input that gets the text, where there are several. By default the first that holds ids."""

    one_hot_inputs: Annotated[
        Sequence[str],
        Option(panel=GRAPH, flags=["--one-hot-input"], metavar="NAME", expected=_TEXTS, allowed=_are_texts),
    ] = ()
    """A further source input of one-hot rows, by name; may be repeated."""

    unnamed_ids: Annotated[bool, Option(typed=None)] = False
    """Whether the model may have more ids than the vocabulary has symbols. Those are named `<id>`."""

    notes: Annotated[Sequence[str], Option(typed=None, expected=_TEXTS, allowed=_are_texts)] = ()
    """What a person should know of the vocabulary, a sentence each. The report shows them."""

    verify_with: Annotated[Sequence[str], Option(typed=None, expected=_TEXTS, allowed=_are_texts)] = ()
    """Texts to verify with. Otherwise inputs are generated."""

    verify_sources: Annotated[
        int | None,
        Option(
            panel=FILES,
            metavar="N",
            at_least=1,
            at_most=100_000,
            not_for=[DRY_RUN],
            needs=[
                Need(
                    words="generated sources",
                    present=lambda given: not given.verify_with,
                    got=lambda given: f"{len(given.verify_with)} texts to verify with",
                )
            ],
        ),
    ] = None
    """Sources to generate and verify with, where no texts are given. More are stronger evidence, fewer take less time.
    All are decoded greedily (values: predicted), the first 8 by beam search and compared tensor by tensor too. By
    default 24, of large models fewer and shorter ones: the report says how many."""

    references: Annotated[Sequence[str], Option(typed=None, expected=_TEXTS, allowed=_are_texts)] = ()
    """The right target of each text in `verify_with`, for error rates with int8 or float16."""

    quantize: Annotated[Literal["int8", "int8-weights"] | None, Option(panel=FILES)] = None
    """Products of 8 bits, smaller and faster: int8; or only their weights: int8-weights, which stays nearer to float32
    and needs onnxruntime 1.22. What it changes is measured."""

    time_batch: Annotated[int | None, Option(panel=FILES, metavar="N", at_least=1, not_for=[DRY_RUN])] = None
    """Time float32, int8 and int8-weights beside each other on batches of N sentences, on this machine, and say which
    is fastest; with --quantize."""

    dtype: Annotated[Literal["float32", "float16"], Option(panel=FILES)] = "float32"
    """What the graphs compute in; float16 is for CUDA."""

    optimize: Annotated[
        Literal["none", "default"] | tuple[str, ...],
        Option(
            panel=FILES,
            typed=Literal["none", "default"],
            expected="'none', 'default' or names of passes",
            allowed=_are_passes,
        ),
    ] = "default"
    """Passes over the graphs: all, or the plain conversion."""

    opset: Annotated[int, Option(panel=FILES, at_least=15, at_most=18)] = 18
    """ONNX operator set. tf2onnx writes none above 18, and ONNX's LSTM and GRU need 15."""

    atol: Annotated[float | None, Option(panel=FILES, not_for=[DRY_RUN], above=0, at_most=0.1)] = None
    """Largest difference from Keras allowed in any tensor; default: 0.0001, or, up to 0.001, three times as far as
    rounding its weights otherwise moves the model itself."""

    force: Annotated[bool, Option(panel=FILES, not_for=[DRY_RUN])] = False
    """Replace an existing bundle."""

    def __post_init__(self) -> None:
        problems = option_problems(self) or self._contradictions()
        if problems:
            raise ExportError("; ".join(problems))
        if not isinstance(self.optimize, str):
            named(self.optimize)

    def _contradictions(self) -> list[str]:
        """Return one line for each group of options that contradict each other, where each is sound by itself."""
        problems = []
        if self.ctc is not None and self.ctc not in ("last", "first") and not str(self.ctc).isdecimal():
            problems.append(f"{option('ctc')}: expected last, first, or the id of the blank, got {shown(self.ctc)}")
        if self.ctc is not None and self.feedback == "token":
            problems.append(
                f"{option('ctc')}: expected no {option('feedback', 'token')} beside it: nothing is fed back"
            )
        if self.feedback == "token" and (self.pairs is not None or self.expect is not None):
            name = "pairs" if self.pairs is not None else "expect"
            problems.append(
                f"{option(name)}: a language model has no source, so pairs tell nothing of it: leave it out, and give "
                f"its symbols with {option('target_vocab', 'FILE')}"
            )
        unread = ("start_symbol", "end_symbol", "start_id", "end_ids", "max_length", "pairs", "expect", "decoder_input")
        unread_names = [option(name) for name in unread if _is_given(getattr(self, name))]
        if self.ctc is not None and unread_names:
            problems.append(f"{option('ctc')}: {', '.join(unread_names)} has no meaning beside it; leave it out")
        if self.rows is not None and self.pairs is None:
            problems.append(f"{option('rows')}: expected {option('pairs')} beside it, whose rows it counts")
        if self.start_zeros and self.start_id is not None:
            problems.append(
                f"{option('start_zeros', '')}: expected no {option('start_id')} beside it, got {self.start_id}; "
                "leave it out"
            )
        if self.references and len(self.references) != len(self.verify_with):
            problems.append(
                f"references: expected one for each text of verify_with ({len(self.verify_with)}), "
                f"got {len(self.references)}"
            )
        if self.quantize and self.dtype != "float32":
            problems.append(
                f"{option('dtype', self.dtype)}: expected none beside {option('quantize', self.quantize)}; leave it out"
            )
        if self.time_batch is not None and self.quantize is None:
            problems.append(f"{option('time_batch')}: expected {option('quantize')} beside it, got none")
        unsound = next(
            (item for item in ([] if isinstance(self.feed, Mapping) else self.feed) if "=" not in item), None
        )
        if unsound is not None:
            problems.append(f"{option('feed')}: expected NAME=WHAT, such as prices=known, got {unsound!r}")
        return problems

    def with_vocabulary(self, vocabulary: VocabularyFile | None) -> ExportOptions:
        """Return these options with another vocabulary, whose target side gets the start and end symbols given.

        Raises:
            ExportError: symbols are given, but there is no target vocabulary.
        """
        named = {"start": self.start_symbol, "end": self.end_symbol}
        named = {name: symbol for name, symbol in named.items() if symbol is not None}
        if named and (vocabulary is None or vocabulary.target is None):
            raise ExportError(
                f"{' and '.join(named)}: there is no target vocabulary to find them in; give "
                f"{option('target_vocab', 'FILE')}, or {option('start_id', 'N')} and {option('end_id', 'N')}"
            )
        if named and vocabulary is not None and vocabulary.target is not None:
            for name, symbol in named.items():
                if symbol not in vocabulary.target.symbols:
                    raise ExportError(
                        f"{option(name)}: {symbol!r} is none of the target's {len(vocabulary.target)} symbols"
                        f"{did_you_mean(symbol, vocabulary.target.symbols)}"
                    )
            vocabulary = replace(vocabulary, target=replace(vocabulary.target, **named))
        return replace(self, vocabulary=vocabulary)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs that are decoded, where they were said."""
        given = self.decoder_output
        return () if given is None else (given,) if isinstance(given, str) else tuple(given)

    @property
    def one_output(self) -> str | None:
        """Name of the output that is decoded, where one was said."""
        names = self.output_names
        return names[0] if len(names) == 1 else None

    @property
    def feeds(self) -> dict[str, str]:
        """What inputs of the decoder are fed, by their names."""
        if isinstance(self.feed, Mapping):
            return dict(self.feed)
        return {name: what for name, _, what in (item.rpartition("=") for item in self.feed)}

    def blank_of(self, size: int) -> int:
        """Return which of so many classes is the blank of a model trained with CTC.

        Raises:
            ExportError: it is none of them.
        """
        blank = {"last": size - 1, "first": 0}.get(str(self.ctc), -1)
        blank = int(self.ctc or 0) if blank < 0 else blank
        if blank >= size:
            raise ExportError(
                f"{option('ctc')}: expected a class below {size}, those that the model gives, got {blank}"
            )
        return blank

    @property
    def longest_target(self) -> int | None:
        """The most steps of a target, where they were said or the vocabulary records them."""
        return self.max_length or (None if self.vocabulary is None else self.vocabulary.max_length)

    @property
    def precision(self) -> Precision:
        """What the bundle's manifest calls its numbers."""
        return self.quantize or self.dtype

    @property
    def first_token(self) -> int | None:
        """The token fed first: as given, or the vocabulary's; None where neither says."""
        target = self.vocabulary.target if self.vocabulary is not None else None
        if self.start_zeros:
            return None
        return self.start_id if self.start_id is not None or target is None else target.start_id
