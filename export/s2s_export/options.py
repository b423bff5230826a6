"""What the caller says about a model that its graph can't tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from s2s_export.errors import ExportError
from s2s_export.pass_names import named
from s2s_runtime.spelling import did_you_mean, option
from s2s_runtime.vocabulary.padding import Side
from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of one export.

    Args:
        vocabulary: both sides' symbols and the padding policy; None for models that only know numbers.
        start_id: token fed at the first step; overrides the vocabulary's.
        start_zeros: the first step of a model that feeds its probabilities back reads a row of zeros, no token.
        end_ids: tokens that end a sequence; override the vocabulary's.
        source_length: length every source is padded to, for models that read their padding.
        max_length: most tokens to generate unless a caller says otherwise, the end token counted.
        padding: what fills short source rows: "zeros" (rows of zeros of a one-hot model), a source symbol, or an id.
        padding_side: where padding goes.
        source_kind: whether a source of vectors is one-hot rows ("one-hot") or measurements ("values"); "auto" takes
            one-hot where a source vocabulary of that size is given or the decoder's own input is one-hot.
        decoder_input: name of the training model's input that gets the target.
        decoder_output: name of the training model's output that is decoded (of the layer that makes it), where there
            are several; by default the only one that is as wide as what the decoder reads.
        source_input: name of the input that the source's text goes to, where the encoder has several; by default the
            first that holds ids.
        one_hot_inputs: names of source inputs beside the first whose vectors are one-hot rows, read as ids then.
        opset: ONNX operator set.
        atol: largest difference from Keras allowed in any tensor.
        force: replace an existing bundle.
        longest_source: longest source in training, where known: what a model that reads its padding is padded to
            unless `source_length` says otherwise.
        start_symbol, end_symbol: the target vocabulary's start and end, where it doesn't say them itself.
        unnamed_ids: whether the model may have more ids than the vocabulary has symbols; those are named `<id>`.
        notes: what a person should know of the vocabulary, a sentence each; the report shows them.
        pairs: the pairs that the model was trained on: a TSV file, or (source, target) texts. They tell the
            vocabularies where none is given, and what filled short sources, on which side and to what length.
        rows: how many rows of `pairs`, from the top, the model was trained on; None = those that give its sizes.
        expect: outputs of the user's own loop, which prove the set-up: a file, or its text, of lines
            source, tab, output, or as the tutorial's script prints them; or (source, output) texts.
        verify_with: texts to verify with; otherwise inputs are generated.
        references: the right target of each text in `verify_with`, for error rates with int8 or float16.
        quantize: "int8" for weights of 8 bits; None keeps float32.
        dtype: what the graphs compute in; "float16" is for CUDA.
        optimize: "default" applies all passes of `s2s_export.pass_names`, "none" leaves the graphs as converted;
            or names of passes.

    Raises:
        ExportError: names the option that is out of range, what it got and what is allowed.
    """

    vocabulary: VocabularyFile | None = None
    start_id: int | None = None
    start_zeros: bool = False
    end_ids: tuple[int, ...] = ()
    source_length: int | None = None
    max_length: int | None = None
    padding: str | int | None = None
    padding_side: Side | None = None
    source_kind: Literal["auto", "one-hot", "values"] = "auto"
    decoder_input: str | None = None
    decoder_output: str | None = None
    source_input: str | None = None
    one_hot_inputs: tuple[str, ...] = ()
    opset: int = 18
    atol: float = 1e-4
    force: bool = False
    longest_source: int | None = None
    start_symbol: str | None = None
    end_symbol: str | None = None
    unnamed_ids: bool = False
    notes: tuple[str, ...] = ()
    pairs: str | os.PathLike[str] | Sequence[tuple[str, str]] | None = None
    rows: int | None = None
    expect: str | os.PathLike[str] | Sequence[tuple[str, str]] | None = None
    verify_with: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    quantize: Literal["int8"] | None = None
    dtype: Literal["float32", "float16"] = "float32"
    optimize: Literal["none", "default"] | tuple[str, ...] = "default"

    def __post_init__(self) -> None:
        for name in ("source_length", "max_length", "rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ExportError(f"{name}: expected at least 1, got {value}")
        if not 15 <= self.opset <= 18:
            raise ExportError(
                f"opset: expected 15 to 18 (what tf2onnx writes and ONNX's LSTM and GRU need), got {self.opset}"
            )
        if not 0 < self.atol <= 0.1:
            raise ExportError(f"atol: expected more than 0 and at most 0.1, got {self.atol}")
        if self.padding_side not in (None, "right", "left"):
            raise ExportError(f"padding_side: expected 'right' or 'left', got {self.padding_side!r}")
        if self.source_kind not in ("auto", "one-hot", "values"):
            raise ExportError(f"source_kind: expected 'auto', 'one-hot' or 'values', got {self.source_kind!r}")
        if self.start_zeros and self.start_id is not None:
            raise ExportError(f"start_zeros: expected no start_id beside it, got {self.start_id}")
        if self.references and len(self.references) != len(self.verify_with):
            raise ExportError(
                f"references: expected one for each text of verify_with ({len(self.verify_with)}), "
                f"got {len(self.references)}"
            )
        self._check_bits()
        named(self.optimize)
        for token in [*self.end_ids, *([] if self.start_id is None else [self.start_id])]:
            if token < 0:
                raise ExportError(f"start_id and end_ids: expected ids from 0, got {token}")

    def _check_bits(self) -> None:
        if self.quantize not in (None, "int8"):
            raise ExportError(f"quantize: expected 'int8' or None, got {self.quantize!r}")
        if self.dtype not in ("float32", "float16"):
            raise ExportError(f"dtype: expected 'float32' or 'float16', got {self.dtype!r}")
        if self.quantize and self.dtype != "float32":
            raise ExportError(f"dtype: expected 'float32' with quantize {self.quantize!r}, got {self.dtype!r}")

    def with_vocabulary(self, vocabulary: VocabularyFile | None) -> ExportOptions:
        """These options with another vocabulary, whose target side gets the start and end symbols given.

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
    def precision(self) -> str:
        """What the bundle's manifest calls its numbers: "float32", "int8" or "float16"."""
        return self.quantize or self.dtype

    @property
    def first_token(self) -> int | None:
        """The token fed first: as given, or the vocabulary's; None where neither says."""
        target = self.vocabulary.target if self.vocabulary is not None else None
        if self.start_zeros:
            return None
        return self.start_id if self.start_id is not None or target is None else target.start_id
