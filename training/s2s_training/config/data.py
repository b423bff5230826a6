"""The data section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from s2s_runtime.declared_options import Option, declares_options, option_problems
from s2s_runtime.errors import OptionError
from s2s_runtime.files.text_encoding import find_encoding

Unit = Literal["char", "word", "symbol", "phone", "sentencepiece"]
Split = Literal["hash", "last"]
Carry = Literal["line", "text"]
Normalization = Literal["NFC", "NFKC", "NFD", "NFKD"]
MOST_DIGITS = 18  # of a number in 64 bits
PANEL = "Data"


@declares_options
@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which pairs are read, how they are split, and how text becomes symbols."""

    data: Annotated[str, Option(positional=True, metavar="DATA")]
    """File or folder of pairs, or: addition, cmudict, sine-cosine, damped, powers. Files are TSV, CSV with a header,
    JSON lines or Parquet, as their names say; a folder or a pattern such as "part-*.tsv.gz" may hold many. With
    `target_file` it is the file of sources; for a language model a text, whose options are those of targets. Paths are
    relative to the working folder."""

    target_file: Annotated[str | None, Option(panel=PANEL, metavar="FILE")] = None
    """Targets, a line for each line of DATA. None = `data` holds both."""

    source_column: Annotated[str | None, Option(panel=PANEL, metavar="NAME")] = None
    """Sources, by the header of a CSV or TSV file. CSV where its name ends in .csv, else separated by tabs; None = a
    TSV file without header, sources first. Of JSON lines and Parquet too, where None = "source"."""

    target_column: Annotated[str | None, Option(panel=PANEL, metavar="NAME")] = None
    """The same for targets, or "target"."""

    valid_data: Annotated[str | None, Option(panel=PANEL, metavar="FILE")] = None
    """File of pairs for validation, in place of a share. It may be all that `data` may be (TSV where there is a target
    file); where it is given, no share of `data` is held out."""

    test_data: Annotated[str | None, Option(panel=PANEL, metavar="FILE")] = None
    """File of pairs for scoring, beside --valid-data. None with `valid_data` = no test part."""

    encoding: Annotated[str | None, Option(panel=PANEL, metavar="NAME")] = None
    """Encoding of the files, such as utf-16 or latin-1; else UTF-8. A byte order mark, packing by gzip, bzip2 or xz,
    and line ends of any system are told from their content."""

    strict: Annotated[bool, Option(panel=PANEL)] = False
    """Refuse rows without source or target; else they are left out and counted."""

    rows: Annotated[int | None, Option(panel=PANEL, at_least=1)] = None
    """Only the first so many rows."""

    start_from: Annotated[str | None, Option(panel=PANEL, metavar="RUN")] = None
    """A finished run whose weights and symbols this one starts from. For fine-tuning, and for transfer from much data
    to little. Its model and units hold here too, where nothing else is said; dropout may differ. Symbols that it hasn't
    seen are unknown to this run as well."""

    split: Annotated[Split, Option(panel=PANEL)] = "hash"
    """Held-out pairs: by a hash of the source, or the last rows. The hash is that of the source as the model reads it
    (normalised and lowercased as below), so that no source stands on both sides and a pair stays on its side whatever
    else the data holds; "last" = the last rows are for validation."""

    valid_fraction: Annotated[float, Option(panel=PANEL, above=0, below=1)] = 0.05
    """Share held out for validation."""

    test_fraction: Annotated[float, Option(panel=PANEL, at_least=0, below=1)] = 0.05
    """Share held out for scoring. 0 with split "last"."""

    source_unit: Annotated[Unit, Option(panel=PANEL)] = "char"
    """How source text is cut. "symbol" = by white space; "phone" = length, aspiration and other modifier letters
    apart."""

    target_unit: Annotated[Unit, Option(panel=PANEL)] = "char"
    """How target text is cut."""

    source_factors: Annotated[int, Option(panel=PANEL, at_least=0)] = 0
    """How many factors stand behind each word of a source, as in "the|DET cat|NOUN" (Sennrich and Haddow 2016): part of
    speech, case, language and the like. Words are what white space separates; each symbol of a word has its factors."""

    factor_separator: Annotated[str, Option(panel=PANEL, needs=["source_factors"])] = "|"
    """What stands between a word and its factors. That of OpenNMT is "\uffe8"."""

    source_model: Annotated[str | None, Option(panel=PANEL, metavar="FILE")] = None
    """For unit sentencepiece: its .model, if any. None = a model of `vocabulary_size` pieces is trained on the training
    sources."""

    target_model: Annotated[str | None, Option(panel=PANEL, metavar="FILE")] = None
    """The same for targets."""

    normalization: Annotated[Normalization | None, Option(panel=PANEL)] = "NFC"
    """Unicode normal form of both sides."""

    source_normalization: Annotated[Normalization | None, Option(panel=PANEL)] = None
    """That of sources: NFD takes accents and Hangul apart. None = as both sides."""

    lowercase: Annotated[bool, Option(panel=PANEL)] = False
    """Lowercase both sides."""

    reverse: Annotated[bool, Option(panel=PANEL)] = False
    """Reverse the source. Its symbols are read backwards, as Sutskever et al. (2014) do."""

    min_count: Annotated[int, Option(panel=PANEL, at_least=1)] = 1
    """Rarer symbols become the unknown symbol. They are counted in the training pairs; pieces all stay."""

    vocabulary_size: Annotated[int | None, Option(panel=PANEL, at_least=1)] = None
    """Keep so many symbols a side; pieces to train, for unit sentencepiece. The most frequent are kept, of equally
    frequent ones the first by code point, and the rest become the unknown symbol; named symbols come on top."""

    shuffle_buffer: Annotated[int | None, Option(panel=PANEL, at_least=1)] = None
    """Pairs in memory at a time; else all. Files are read once; their pairs, as numbers, then lie in RUN/pairs while
    the run trains, and each epoch deals them out to blocks of this size anew, within which they are shuffled. A buffer
    for all pairs trains the same model as none. For files only."""

    max_source_length: Annotated[int | None, Option(panel=PANEL, at_least=1)] = None
    """Leave out longer training sources; else outliers only. Outliers, which are left out of all parts, are far longer
    than the others: see `s2s_training.data.lengths`."""

    max_target_length: Annotated[int | None, Option(panel=PANEL, at_least=1)] = None
    """The same for targets."""

    carry: Annotated[Carry, Option(panel=PANEL)] = "line"
    """Language models: how far states are carried on. "line" = to the end of the line, as each line is a sentence by
    itself; "text" = to the end of the text, line ends being symbols of it, and its end being what is held out."""

    digits: Annotated[int, Option(panel=PANEL, at_least=1, at_most=MOST_DIGITS)] = 3
    """Most digits of a number (addition)."""

    @property
    def normalizations(self) -> tuple[Normalization | None, Normalization | None]:
        """The normal form of the sources, and the normal form of the targets."""
        return self.source_normalization or self.normalization, self.normalization

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line for each problem."""
        return option_problems(self) or [
            *self._share_problems(),
            *self._unit_problems(),
            *self._file_problems(),
            *self._running_problems(),
        ]

    def _share_problems(self) -> list[str]:
        problems = []
        if self.shuffle_buffer is not None and self.split == "last" and self.valid_data is None:
            problems.append("shuffle_buffer: expected split 'hash', or valid_data; got split 'last'")
        if self.valid_fraction + self.test_fraction >= 1:
            problems.append(
                f"valid_fraction, test_fraction: expected shares that sum to less than 1, got {self.valid_fraction} "
                f"and {self.test_fraction}"
            )
        if self.split == "last" and self.test_fraction:
            problems.append(f"test_fraction: split 'last' has no test part, expected 0, got {self.test_fraction}")
        return problems

    def _running_problems(self) -> list[str]:
        given = [name for name in ("max_target_length", "strict") if self.carry == "text" and getattr(self, name)]
        return [f"{name}: no meaning with carry 'text', where no line is left out; leave it out" for name in given]

    def _unit_problems(self) -> list[str]:
        problems = []
        if not self.factor_separator or self.factor_separator.split() != [self.factor_separator]:
            problems.append(f"factor_separator: expected characters, no white space, got {self.factor_separator!r}")
        for side in ("source", "target"):
            unit, model = getattr(self, f"{side}_unit"), getattr(self, f"{side}_model")
            if unit != "sentencepiece" and model is not None:
                problems.append(f"{side}_model: expected none, as {side}_unit is {unit!r}; got {model!r}")
            if unit == "sentencepiece" and model is None and self.vocabulary_size is None and self.start_from is None:
                problems.append(
                    f"{side}_model: expected the .model file of spm_train, or a vocabulary_size to train one with, as "
                    f"{side}_unit is {unit!r}; got {model!r}"
                )
        problems += [
            f"{name}: no meaning with start_from, whose symbols are settled; leave it out"
            for name in ("source_model", "target_model", "min_count", "vocabulary_size")
            if self.start_from is not None and getattr(self, name) not in (None, 1)
        ]
        if self.vocabulary_size is not None and None not in (self.source_model, self.target_model):
            problems.append(f"vocabulary_size: both models exist already, expected none; got {self.vocabulary_size}")
        return problems

    def _file_problems(self) -> list[str]:
        problems = []
        try:
            find_encoding(self.encoding)
        except OptionError as error:
            problems.append(str(error))
        if (self.source_column is None) != (self.target_column is None):
            given = (self.source_column, self.target_column)
            problems.append(f"source_column, target_column: expected both or none, got {given[0]!r} and {given[1]!r}")
        if self.target_file is not None and self.source_column is not None:
            problems.append("target_file: two parallel files have no columns; leave out target_file or the columns")
        if self.test_data is not None and self.valid_data is None:
            problems.append(f"test_data: expected valid_data beside it, got {self.test_data!r} alone")
        return problems
