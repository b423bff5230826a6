"""Builds the vocabularies and the padding policy of a run from its texts.

Models get named symbols for padding, unknown, start and end. The published models, which read their padding, get
exactly the characters of their texts, with a tab as start and a line feed as end symbol, and an unknown symbol where
the number of symbols is limited.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from s2s_runtime.vocabulary.factors import FactoredVocabulary
from s2s_runtime.vocabulary.padding import Side
from s2s_runtime.vocabulary.sentencepiece import PieceModel
from s2s_runtime.vocabulary.vocabulary_file import PaddingPolicy, Unit, Vocabulary, VocabularyFile
from s2s_runtime.vocabulary.words import WORD_RULES
from s2s_training.config.data import DataConfig
from s2s_training.config.model import ModelConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.data.corpus import Corpus, Example
from s2s_training.data.lengths import within_lengths
from s2s_training.data.sentencepiece_training import PieceModels, piece_models
from s2s_training.errors import DataError
from s2s_training.source_factors import counts_apart, cut_units, with_factors
from s2s_training.start_run import continued, symbols_of_start

PADDING, UNKNOWN, START, END = "<pad>", "<unk>", "<s>", "</s>"
SPACE, TAB, LINE_FEED = " ", "\t", "\n"
ZERO_ROW = -1
BLANK, BLANK_ID = "<blank>", 0  # of CTC


class SymbolCounts(NamedTuple):
    """What a vocabulary is built from: how often each symbol of a side occurs, and those of its longest text."""

    counts: Counter[str]
    longest: int

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> SymbolCounts:
        """Count the symbols of texts, which are gone through once."""
        counts: Counter[str] = Counter()
        longest = 0
        for symbols in texts:
            counts.update(symbols)
            longest = max(longest, len(symbols))
        return cls(counts, longest)


def build_vocabulary(corpus: Corpus, config: TrainingConfig, pieces: PieceModels | None = None) -> VocabularyFile:
    """Return the vocabularies of both sides, the padding policy and the length of the longest target.

    Symbols are in the order of their code points, after the named ones; so they don't depend on the order of rows.

    Args:
        corpus: symbols are those of its training part; of all parts where the model reads its padding (as published).
        config: units, normalisation, embedding or one-hot, padding.
        pieces: what `piece_models` gave; None = made here.

    Raises:
        DataError: a named symbol occurs in the texts.
    """
    pieces = pieces or piece_models(corpus.train, config.data)
    examples = corpus.train if reads_training_alone(config) else [*corpus.train, *corpus.valid, *corpus.test]
    source, target = cutters(config.data, pieces)
    return vocabulary_of(
        SymbolCounts.of(cut_units(source, example.source) for example in examples),
        SymbolCounts.of(target.split(example.targets[0]) for example in examples),
        config,
        pieces,
        some_shorter=config.model.kind == "same-length"
        and any(len(target.split(one.targets[0])) < len(source.split(one.source)) for one in examples),
    )


def reads_training_alone(config: TrainingConfig) -> bool:
    """Return whether symbols and lengths are those of the training part; else they are those of all parts."""
    return config.model.padding == "mask"


def _is_published(config: TrainingConfig) -> bool:
    """Return whether the vocabulary is that of the published models: all symbols, wrapped in a tab and a line feed.

    Those that are padded with zeros have no symbol for it, so that they read one-hot rows.
    """
    rest = config.model.embedding or "sentencepiece" in (config.data.source_unit, config.data.target_unit)
    return config.model.padding == "space" or (config.model.padding == "zeros" and not rest)


def vocabulary_of(
    sources: SymbolCounts,
    targets: SymbolCounts,
    config: TrainingConfig,
    pieces: PieceModels,
    *,
    some_shorter: bool = True,
) -> VocabularyFile:
    """Return what `build_vocabulary` does, from the symbols of both sides.

    Args:
        sources: symbols of the sources.
        targets: symbols of the first targets.
        config: see `build_vocabulary`.
        pieces: likewise.
        some_shorter: whether some target is shorter than its source, as a tagger asks.

    Raises:
        ConfigError: there is no run to start from where the configuration says.
        DataError: a named symbol occurs in the texts, or the model to start from can't do with them.
    """
    start = symbols_of_start(config.data)
    if start is not None:
        counts = (*counts_apart(sources.counts, config.data.source_factors), targets.counts)
        return continued(start, config.data, counts, (sources.longest, targets.longest))
    if _is_published(config):
        return _published(sources, targets, config)
    return _with_named_symbols(sources, targets, config, pieces, some_shorter=some_shorter)


def drop_long(corpus: Corpus, data: DataConfig, pieces: PieceModels | None = None) -> Corpus:
    """Return the corpus without the pairs that are too long; see `s2s_training.data.lengths`.

    Args:
        corpus: of texts.
        data: units and limits.
        pieces: what `piece_models` gave; None = made here.

    Raises:
        DataError: no training pair is left.
    """
    source, target = cutters(data, pieces or piece_models(corpus.train, data))

    def measure(examples: Sequence[Example]) -> tuple[list[int], list[int]]:
        return (
            [len(source.split(example.source)) for example in examples],
            [len(target.split(example.targets[0])) for example in examples],
        )

    return within_lengths(corpus, data, measure)


def _with_named_symbols(
    sources: SymbolCounts, targets: SymbolCounts, config: TrainingConfig, pieces: PieceModels, *, some_shorter: bool
) -> VocabularyFile:
    # Padding needs an id of its own where embeddings look it up; one-hot rows of it are zeros.
    data, model = config.data, config.model
    padding = [PADDING] if model.embedding else []
    cutter, target_cutter = cutters(data, pieces)
    counts, *factors = counts_apart(sources.counts, data.source_factors)
    source = dataclasses.replace(
        cutter,
        symbols=named_first((*padding, UNKNOWN), cutter, sources._replace(counts=counts), data),
        padding=PADDING if padding else None,
        reverse=data.reverse,
        **_factors(cutter, factors),
    )
    target = _named_target(target_cutter, targets, data, model, some_shorter=some_shorter)
    policy = PaddingPolicy(masked=True, id=0 if padding else ZERO_ROW)
    if model.padding != "mask":
        policy = _fixed(0 if padding else ZERO_ROW, sources, data)
    as_sources = model.kind in ("same-length", "ctc")  # targets are as long as sources let them be
    return VocabularyFile(source, target, policy, max_length=None if as_sources else targets.longest + 1)


def _factors(cutter: Vocabulary, counts: Sequence[Counter[str]]) -> dict[str, Any]:
    """Return the fields that a source's vocabulary has for its factors, given how often each symbol of these occurs.

    All of them are kept.
    """
    if not isinstance(cutter, FactoredVocabulary):
        return {}
    named, made = (PADDING, UNKNOWN), []
    for factor, own in zip(cutter.factors, counts, strict=True):
        symbols = (*named, *_all_symbols(own, named))
        made.append(dataclasses.replace(factor, symbols=symbols, padding=PADDING, unknown=UNKNOWN))
    return {"factors": tuple(made)}


def _named_target(
    cutter: Vocabulary, targets: SymbolCounts, data: DataConfig, model: ModelConfig, *, some_shorter: bool
) -> Vocabulary:
    """Return the target's vocabulary, given how it is cut, its symbols, and whether some are shorter than their source.

    A tagger has an end symbol only where some target is shorter than its source, and CTC a blank in place of padding.
    """
    if model.kind == "ctc":
        return dataclasses.replace(cutter, symbols=named_first((BLANK, UNKNOWN), cutter, targets, data))
    padding = (PADDING,) if model.embedding else ()
    start = (START,) if model.kind == "encoder-decoder" else ()  # else nothing is fed
    end = (END,) if model.kind != "same-length" or some_shorter else ()
    return dataclasses.replace(
        cutter,
        symbols=named_first((*padding, UNKNOWN, *start, *end), cutter, targets, data),
        padding=next(iter(padding), None),
        start=next(iter(start), None),
        end=next(iter(end), None),
    )


def _published(sources: SymbolCounts, targets: SymbolCounts, config: TrainingConfig) -> VocabularyFile:
    data = config.data
    source_form, target_form = data.normalizations
    fed = config.model.kind != "repeat-vector"
    wrappers = (TAB, LINE_FEED) if fed else ()
    filler = [SPACE] if config.model.padding == "space" else []
    # Where all symbols are kept none is unknown.
    unknown = [UNKNOWN] if data.min_count > 1 or data.vocabulary_size is not None else []
    kept = [*wrappers, *unknown, *filler]
    source_symbols = sorted({*_symbols(sources.counts, data, unknown), *unknown, *filler})
    target_symbols = sorted({*_symbols(targets.counts, data, [*wrappers, *unknown]), *kept})
    if not fed:  # one table for both sides, as published for addition
        source_symbols = target_symbols = sorted({*source_symbols, *target_symbols})
    source = Vocabulary(
        data.source_unit,
        tuple(source_symbols),
        unknown=next(iter(unknown), None),
        normalization=source_form,
        lowercase=data.lowercase,
        reverse=data.reverse,
        word_rule=_word_rule(data.source_unit),
    )
    target = Vocabulary(
        data.target_unit,
        tuple(target_symbols),
        padding=None if fed else SPACE,  # a fixed number of steps: what follows the answer is padding
        unknown=next(iter(unknown), None),
        start=TAB if fed else None,
        end=LINE_FEED if fed else None,
        normalization=target_form,
        lowercase=data.lowercase,
        word_rule=_word_rule(data.target_unit),
    )
    policy = _fixed(source_symbols.index(SPACE) if filler else ZERO_ROW, sources, data)
    return VocabularyFile(source, target, policy, max_length=targets.longest + len(wrappers))


def _fixed(padding: int, sources: SymbolCounts, data: DataConfig) -> PaddingPolicy:
    """Return the policy of models that read their padding, up to the longest source."""
    side: Side = "left" if data.reverse else "right"  # padded at the end, then reversed as a whole
    return PaddingPolicy(masked=False, id=padding, side=side, length=sources.longest)


def cutters(data: DataConfig, pieces: PieceModels) -> tuple[Vocabulary, Vocabulary]:
    """Return a vocabulary for each side that cuts its texts; which symbols it knows plays no part in that."""
    source, target = (
        Vocabulary(
            unit,
            (UNKNOWN,),
            unknown=UNKNOWN,
            normalization=normalization,
            lowercase=data.lowercase,
            model=model,
            word_rule=_word_rule(unit),
        )
        for unit, normalization, model in zip(
            (data.source_unit, data.target_unit), data.normalizations, pieces, strict=True
        )
    )
    return with_factors(source, data), target


def _word_rule(unit: Unit) -> int:
    """Return the rule by which new vocabularies cut words; other units have but one."""
    return WORD_RULES[-1] if unit == "word" else WORD_RULES[0]


def named_first(named: Sequence[str], cutter: Vocabulary, texts: SymbolCounts, data: DataConfig) -> tuple[str, ...]:
    """Return the named symbols, then those of the texts, or every piece into which a text can be cut.

    Args:
        named: symbols with a meaning of their own.
        cutter: how texts are cut.
        texts: the symbols of all; pieces don't depend on them.
        data: which symbols are kept.

    Raises:
        DataError: a named symbol occurs in the texts.
    """
    if cutter.model is None:
        return (*named, *_symbols(texts.counts, data, named))
    return tuple(dict.fromkeys([*named, *PieceModel(cutter.model).written()]))


def _symbols(counts: Counter[str], data: DataConfig, named: Sequence[str]) -> list[str]:
    """Return the symbols that are frequent enough, in the order of their code points."""
    symbols = _all_symbols(counts, named)
    frequent = sorted((symbol for symbol in symbols if counts[symbol] >= data.min_count), key=lambda s: (-counts[s], s))
    return sorted(frequent[: data.vocabulary_size])


def _all_symbols(counts: Counter[str], named: Sequence[str]) -> list[str]:
    """Return all symbols in the order of their code points.

    Raises:
        DataError: a named symbol is among them.
    """
    clash = [symbol for symbol in named if symbol in counts]
    if clash:
        raise DataError(f"the texts hold {clash[0]!r}, which names a special symbol; replace it in the data")
    return sorted(counts)
