"""Builds the vocabularies and the padding policy of a run from its texts.

Models that mask their padding get named symbols for padding, unknown, start and end. The published models that read
their padding get exactly the characters of their texts, with a tab as start and a line feed as end symbol.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

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

PADDING, UNKNOWN, START, END = "<pad>", "<unk>", "<s>", "</s>"
SPACE, TAB, LINE_FEED = " ", "\t", "\n"
ZERO_ROW = -1
BLANK, BLANK_ID = "<blank>", 0  # of CTC


def build_vocabulary(corpus: Corpus, config: TrainingConfig, pieces: PieceModels | None = None) -> VocabularyFile:
    """Return the vocabularies of both sides, the padding policy and the length of the longest target.

    Symbols are in the order of their code points, after the named ones; so they don't depend on the order of rows.

    Args:
        corpus: symbols are those of its training part; of all parts where the model reads its padding (as published:
            such a model has no unknown symbol).
        config: units, normalisation, embedding or one-hot, padding.
        pieces: what `piece_models` gave; None = made here.

    Raises:
        DataError: a named symbol occurs in the texts.
    """
    if config.model.padding == "mask":
        return _masked(corpus.train, config.data, config.model, pieces or piece_models(corpus.train, config.data))
    return _published([*corpus.train, *corpus.valid, *corpus.test], config)


def drop_long(corpus: Corpus, data: DataConfig, pieces: PieceModels | None = None) -> Corpus:
    """Return the corpus without the pairs that are too long; see `s2s_training.data.lengths`.

    Args:
        corpus: of texts.
        data: units and limits.
        pieces: what `piece_models` gave; None = made here.

    Raises:
        DataError: no training pair is left.
    """
    models = pieces or piece_models(corpus.train, data)

    def measure(examples: Sequence[Example]) -> tuple[list[int], list[int]]:
        sources, targets = _cut(examples, data, models)
        return [len(source) for source in sources], [len(target) for target in targets]

    return within_lengths(corpus, data, measure)


def _masked(examples: Sequence[Example], data: DataConfig, model: ModelConfig, pieces: PieceModels) -> VocabularyFile:
    # Padding needs an id of its own where embeddings look it up; one-hot rows of it are zeros.
    padding = [PADDING] if model.embedding else []
    sources, targets = _cut(examples, data, pieces)
    cutter, target_cutter = _cutters(data, pieces)
    source = dataclasses.replace(
        cutter,
        symbols=named_first((*padding, UNKNOWN), cutter, sources, data),
        padding=PADDING if padding else None,
        reverse=data.reverse,
    )
    target = _masked_target(target_cutter, (sources, targets), data, model)
    policy = PaddingPolicy(masked=True, id=0 if padding else ZERO_ROW)
    fed = model.kind == "encoder-decoder"  # else targets are as long as sources let them be
    return VocabularyFile(source, target, policy, max_length=max(map(len, targets)) + 1 if fed else None)


def _masked_target(
    cutter: Vocabulary, texts: tuple[list[list[str]], list[list[str]]], data: DataConfig, model: ModelConfig
) -> Vocabulary:
    """Return the target's vocabulary, given how it is cut and the symbols of all sources and targets.

    A tagger has an end symbol only where some target is shorter than its source, and CTC a blank in place of padding.
    """
    sources, targets = texts
    if model.kind == "ctc":
        return dataclasses.replace(cutter, symbols=named_first((BLANK, UNKNOWN), cutter, targets, data))
    padding = (PADDING,) if model.embedding else ()
    start: tuple[str, ...] = (START,)
    end: tuple[str, ...] = (END,)
    if model.kind == "same-length":
        start = ()
        end = end if any(map(_is_shorter, targets, sources)) else ()
    return dataclasses.replace(
        cutter,
        symbols=named_first((*padding, UNKNOWN, *start, *end), cutter, targets, data),
        padding=next(iter(padding), None),
        start=next(iter(start), None),
        end=next(iter(end), None),
    )


def _is_shorter(one: Sequence[str], other: Sequence[str]) -> bool:
    return len(one) < len(other)


def _published(examples: Sequence[Example], config: TrainingConfig) -> VocabularyFile:
    data = config.data
    source_form, target_form = data.normalizations
    fed = config.model.kind != "repeat-vector"
    sources, targets = _cut(examples, data, PieceModels())
    wrappers = (TAB, LINE_FEED) if fed else ()
    filler = [[SPACE]] if config.model.padding == "space" else []
    source_symbols = _symbols([*sources, *filler], data, ())
    target_symbols = sorted([*_symbols([*targets, *filler], data, wrappers), *wrappers])
    if not fed:  # one table for both sides, as published for addition
        source_symbols = target_symbols = sorted({*source_symbols, *target_symbols})
    source = Vocabulary(
        data.source_unit,
        tuple(source_symbols),
        normalization=source_form,
        lowercase=data.lowercase,
        reverse=data.reverse,
        word_rule=_word_rule(data.source_unit),
    )
    target = Vocabulary(
        data.target_unit,
        tuple(target_symbols),
        padding=None if fed else SPACE,  # a fixed number of steps: what follows the answer is padding
        start=TAB if fed else None,
        end=LINE_FEED if fed else None,
        normalization=target_form,
        lowercase=data.lowercase,
        word_rule=_word_rule(data.target_unit),
    )
    policy = PaddingPolicy(
        masked=False,
        id=source_symbols.index(SPACE) if filler else ZERO_ROW,
        side="left" if data.reverse else "right",  # padded at the end, then reversed as a whole
        length=max(map(len, sources)),
    )
    return VocabularyFile(source, target, policy, max_length=max(map(len, targets)) + len(wrappers))


def _cut(examples: Sequence[Example], data: DataConfig, pieces: PieceModels) -> tuple[list[list[str]], list[list[str]]]:
    """Return the symbols of every source and of every first target."""
    source, target = _cutters(data, pieces)
    return (
        [source.split(example.source) for example in examples],
        [target.split(example.targets[0]) for example in examples],
    )


def target_cutter(data: DataConfig, pieces: PieceModels) -> Vocabulary:
    """Return a vocabulary that cuts targets; which symbols it knows plays no part in that."""
    return _cutters(data, pieces)[1]


def _cutters(data: DataConfig, pieces: PieceModels) -> tuple[Vocabulary, Vocabulary]:
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
    return source, target


def _word_rule(unit: Unit) -> int:
    """Return the rule by which new vocabularies cut words; other units have but one."""
    return WORD_RULES[-1] if unit == "word" else WORD_RULES[0]


def named_first(
    named: Sequence[str], cutter: Vocabulary, texts: Iterable[Sequence[str]], data: DataConfig
) -> tuple[str, ...]:
    """Return the named symbols, then those of the texts, or every piece into which a text can be cut.

    Args:
        named: symbols with a meaning of their own.
        cutter: how texts are cut.
        texts: the symbols of each, gone through once; pieces don't depend on them.
        data: which symbols are kept.

    Raises:
        DataError: a named symbol occurs in the texts.
    """
    if cutter.model is None:
        return (*named, *_symbols(texts, data, named))
    return tuple(dict.fromkeys([*named, *PieceModel(cutter.model).written()]))


def _symbols(texts: Iterable[Sequence[str]], data: DataConfig, named: Sequence[str]) -> list[str]:
    """Return the symbols of texts that are frequent enough, in the order of their code points."""
    counts = Counter(chain.from_iterable(texts))
    clash = [symbol for symbol in named if symbol in counts]
    if clash:
        raise DataError(f"the texts hold {clash[0]!r}, which names a special symbol; replace it in the data")
    frequent = sorted(
        (symbol for symbol, count in counts.items() if count >= data.min_count), key=lambda s: (-counts[s], s)
    )
    return sorted(frequent[: data.vocabulary_size])
