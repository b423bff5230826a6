"""The data section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from s2s_runtime.errors import OptionError
from s2s_runtime.files.text_encoding import find_encoding
from s2s_training.config.checks import above, below, wrong_choices, wrong_types

Unit = Literal["char", "word", "symbol", "phone", "sentencepiece"]
Split = Literal["hash", "last"]
Normalization = Literal["NFC", "NFKC", "NFD", "NFKD"]
MOST_DIGITS = 18  # of a number in 64 bits


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which pairs are read, how they are split, and how text becomes symbols.

    Args:
        data: path of a file of pairs (TSV, or CSV with a header), or of the sources where `target_file` is given, or
            the name of a built-in data set. Paths are relative to the working folder.
        target_file: text file with the target of each line of `data`; None = `data` holds both.
        source_column: name of the column that holds sources, in a file with a header (CSV where it ends in .csv, else
            separated by tabs); None = a TSV file without header, sources first.
        target_column: name of the column that holds targets.
        valid_data: file of pairs, of the same form as `data` (TSV where there is a target file), for validation; None
            = a share of `data`. Where it is given, no share of `data` is held out.
        test_data: the same for scoring; None with `valid_data` = no test part.
        encoding: of all these files, as Python names it; None = UTF-8. A byte order mark, packing by gzip, bzip2 or xz,
            and line ends of any system are told from their content.
        strict: whether a row without source or target is an error; else such rows are left out and counted.
        rows: only the first so many rows of `data`; None = all.
        split: "hash" = held-out pairs are chosen by a hash of their source as the model reads it (normalised and
            lowercased as below), so that no source stands on both sides and a pair stays on its side whatever else the
            data holds; "last" = the last rows are for validation.
        valid_fraction: share of the rows held out for validation, 0 < share < 1.
        test_fraction: share of the rows held out for scoring, 0 <= share < 1; 0 with split "last".
        source_unit: how a source text is cut: "char", "word", "symbol" (by white space), "phone" (length, aspiration
            and other modifier letters apart) or "sentencepiece".
        target_unit: how a target text is cut.
        source_model: the `.model` file of `spm_train` that cuts sources, for that unit only; None = a model of
            `vocabulary_size` pieces is trained on the training sources.
        target_model: the one that cuts targets.
        normalization: Unicode normal form of both sides, or None.
        source_normalization: that of sources, where it is another one: "NFD" takes accents and the parts of Korean
            syllables apart. None = as both sides.
        lowercase: whether both sides are lowercased.
        reverse: whether the order of source symbols is reversed (Sutskever et al. 2014).
        min_count: symbols seen fewer times in the training pairs become the unknown symbol; pieces all stay.
        vocabulary_size: of either side, at most so many of the most frequent symbols are kept, of equally frequent
            ones the first by code point, and the rest become the unknown symbol; named symbols come on top. Or the
            number of pieces of a sentencepiece model trained here. None = no limit.
        max_source_length: training pairs with more source symbols are left out; None = of all parts those are, as
            outliers, that are far longer than the others, see `s2s_training.data.lengths`.
        max_target_length: the same for target symbols.
        digits: most digits of a number, 1 to 18 ("addition" only).
    """

    data: str
    target_file: str | None = None
    source_column: str | None = None
    target_column: str | None = None
    valid_data: str | None = None
    test_data: str | None = None
    encoding: str | None = None
    strict: bool = False
    rows: int | None = None
    split: Split = "hash"
    valid_fraction: float = 0.05
    test_fraction: float = 0.05
    source_unit: Unit = "char"
    target_unit: Unit = "char"
    source_model: str | None = None
    target_model: str | None = None
    normalization: Normalization | None = "NFC"
    source_normalization: Normalization | None = None
    lowercase: bool = False
    reverse: bool = False
    min_count: int = 1
    vocabulary_size: int | None = None
    max_source_length: int | None = None
    max_target_length: int | None = None
    digits: int = 3

    @property
    def normalizations(self) -> tuple[Normalization | None, Normalization | None]:
        """The normal form of sources, and that of targets."""
        return self.source_normalization or self.normalization, self.normalization

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = wrong_types(self)
        if found:
            return found
        found += wrong_choices(
            self,
            split=Split,
            source_unit=Unit,
            target_unit=Unit,
            normalization=Normalization,
            source_normalization=Normalization,
        )
        lengths = ("max_source_length", "max_target_length")
        found += below(self, 1, "rows", "min_count", "vocabulary_size", *lengths, "digits")
        found += above(self, MOST_DIGITS, "digits")
        if not 0 < self.valid_fraction < 1 or not 0 <= self.test_fraction < 1 - self.valid_fraction:
            found.append(
                f"valid_fraction, test_fraction: expected shares above 0 and at least 0 that sum to less than 1, "
                f"got {self.valid_fraction} and {self.test_fraction}"
            )
        if self.split == "last" and self.test_fraction:
            found.append(f"test_fraction: split 'last' has no test part, expected 0, got {self.test_fraction}")
        return found + self._unit_problems() + self._file_problems()

    def _unit_problems(self) -> list[str]:
        found = []
        for side in ("source", "target"):
            unit, model = getattr(self, f"{side}_unit"), getattr(self, f"{side}_model")
            if unit != "sentencepiece" and model is not None:
                found.append(f"{side}_model: expected none, as {side}_unit is {unit!r}; got {model!r}")
            if unit == "sentencepiece" and model is None and self.vocabulary_size is None:
                found.append(
                    f"{side}_model: expected the .model file of spm_train, or a vocabulary_size to train one with, as "
                    f"{side}_unit is {unit!r}; got {model!r}"
                )
        if self.vocabulary_size is not None and None not in (self.source_model, self.target_model):
            found.append(f"vocabulary_size: both models exist already, expected none; got {self.vocabulary_size}")
        return found

    def _file_problems(self) -> list[str]:
        found = []
        try:
            find_encoding(self.encoding)
        except OptionError as error:
            found.append(str(error))
        if (self.source_column is None) != (self.target_column is None):
            given = (self.source_column, self.target_column)
            found.append(f"source_column, target_column: expected both or none, got {given[0]!r} and {given[1]!r}")
        if self.target_file is not None and self.source_column is not None:
            found.append("target_file: two parallel files have no columns; leave out target_file or the columns")
        if self.test_data is not None and self.valid_data is None:
            found.append(f"test_data: expected valid_data beside it, got {self.test_data!r} alone")
        return found
