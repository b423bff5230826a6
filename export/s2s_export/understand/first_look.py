"""What a model shows of itself before anything is said about it, what it can't show, and the command to type next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import keras

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.bundle_terms import Understanding
from s2s_export.understand.given_vocabularies import SideName, likely_ends, read_side
from s2s_runtime.errors import S2SError
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.vocabulary import Vocabulary
from s2s_training.splitting.splitter import SplitModel

TakenApart = tuple[keras.Model, SplitModel, Understanding]

_LENGTH: Final = 100  # a padded length to go on with, where only the length of training is missing
_LARGEST: Final = 500_000_000  # bytes; a larger file beside a model is none of its vocabularies
_ESCAPES: Final = {"\t": r"\t", "\n": r"\n", " ": r"\s"}
_NAMED_SOURCE: Final = re.compile(r"source|src|input|enc", re.IGNORECASE)
_NAMED_TARGET: Final = re.compile(r"target|tgt|trg|output|dec", re.IGNORECASE)


@dataclass(frozen=True)
class FirstLook:
    """What was seen of a model that is not understood in full yet.

    Attributes:
        parts: the model taken apart; what is missing is filled in with anything.
        missing: the options that it can't be exported without: "start_id", "source_length".
    """

    parts: TakenApart
    missing: tuple[str, ...]

    @classmethod
    def at(cls, take_apart: Callable[[ExportOptions], TakenApart], options: ExportOptions) -> FirstLook:
        """Take a model apart, whether or not all that only its author knows is given.

        Args:
            take_apart: does so, as `exporter.take_apart` does.
            options: what is given.

        Raises:
            ExportError, SplitError: it can't be exported for another reason than that something is missing.
        """
        filled: dict[str, int] = {}
        if options.first_token is None and not options.start_zeros:
            filled["start_id"] = 0
        if options.source_length is None:
            filled["source_length"] = _LENGTH
        try:
            return cls(take_apart(options), ())
        except ExportError as error:
            for missing in (("start_id",), ("source_length",), ("start_id", "source_length")):
                if set(missing) <= set(filled):
                    try:
                        tried = replace(options, **{name: filled[name] for name in missing})
                        return cls(_without_filled(take_apart(tried)), missing)
                    except ExportError:
                        continue
            raise error

    @property
    def facts(self) -> Understanding:
        """How the model was understood."""
        return self.parts[2]

    def shown(self) -> list[tuple[str, str]]:
        """Return what the model shows: its kind, inputs, sizes, states."""
        model, split, facts = self.parts
        inputs = [f"{value.name!r} {_shape(value.shape)}" for value in split.sources]
        kind = "one pass, trained with CTC" if split.kind == "ctc" else _kind(split)
        rows = [("kind", "a language model, without a source" if facts.without_source else kind)]
        for name, source in [] if facts.without_source else zip(inputs, facts.sources, strict=True):
            rows.append(("source", f"input {name}: {_SOURCES[source.kind].format(size=source.size)}"))
        fed = "what it gave is among its own states"
        if split.target_index is not None:
            value = model.inputs[split.target_index]
            fed = f"input {value.name!r} {_shape(value.shape)}: {_FEEDBACK[facts.target.feedback]}"
        if split.kind == "ctc":
            rows.append(("target", f"{facts.target.size} classes a frame, {facts.target.blank_id} the blank"))
            return rows
        rows.append(("target", f"{fed}; {facts.target.size} outputs a step"))
        names = [f"{_shape(tensor.shape)}" for tensor in split.encoder.outputs]
        rows.append(("states", ", ".join(names[: split.state_count]) or "none"))
        rows.append(("memory", ", ".join(names[split.state_count :]) or "none"))
        masked = facts.padding.masked
        if not facts.without_source:
            rows.append(("padding", "masked: changes no result" if masked else "read by the model, as it has no mask"))
        return rows

    def unknown(self, options: ExportOptions) -> list[tuple[str, str]]:
        """Return what the model can't show, and which options say it."""
        target, rows = self.facts.target, []
        symbols = [
            option(f"{side}_vocab", "FILE")
            for side, known in (("source", self.facts.source_vocabulary), ("target", self.facts.target_vocabulary))
            if known is None and self._holds_symbols(side)
        ]
        if symbols:
            rows.append(("symbols", f"{' and '.join(symbols)}; without them the bundle takes and gives ids"))
        if "start_id" in self.missing:
            rows.append(("the token fed first", f"{option('start', 'SYMBOL')} or {option('start_id', 'N')}"))
        if self._ends and not target.end_ids:
            rows.append(("the token that ends", f"{option('end', 'SYMBOL')} or {option('end_id', 'N')}"))
        if "source_length" in self.missing:
            rows.append(("the padded length of training", option("source_length", "N")))
        if not self.facts.padding.masked and options.padding is None and self._holds_symbols("source"):
            rows.append(("what fills short sources", f"{option('padding', 'zeros')}, a symbol, or an id"))
        if target.max_length is None and self.parts[1].kind != "ctc":
            rows.append(("the longest target", option("max_length", "N")))
        return rows

    @property
    def _ends(self) -> bool:
        """Whether a token may end what is written."""
        return self._holds_symbols("target") and self.parts[1].kind != "ctc"

    def _holds_symbols(self, side: str) -> bool:
        if side == "source":
            return not self.facts.without_source and self.facts.source.kind in ("ids", "one-hot")
        return self.facts.target.feedback != "value"

    def next_command(self, typed: Sequence[str], options: ExportOptions, folder: Path) -> str:
        """Return the command line to type next.

        Args:
            typed: the arguments of this one, but for --dry-run.
            options: what they say.
            folder: where the model lies: files beside it that fit are named.
        """
        flags = [self._flags_of(folder, options)] if self.unknown(options) else []
        return " ".join(["s2s-export", shlex.join(typed), *filter(None, flags)])

    def _flags_of(self, folder: Path, options: ExportOptions) -> str:
        """Return the options to add, with the files that lie beside the model."""
        needs_symbols = self.facts.target_vocabulary is None and self._holds_symbols("target")
        pairs = next(_pairs_in(folder), None) if needs_symbols else None
        if pairs is not None:
            return f"--pairs {shlex.quote(str(pairs))}"
        files = self._vocabularies_in(folder) if needs_symbols else {}
        flags = [f"--{side}-vocab {shlex.quote(str(path))}" for side, (path, _) in files.items()]
        target = files["target"][1] if "target" in files else self.facts.target_vocabulary
        return " ".join([*flags, *self._rest(options, target)])

    def _rest(self, options: ExportOptions, target: Vocabulary | None) -> Iterator[str]:
        """Yield the options that no file tells, with capitals for what only the author knows."""
        ends = None if target is None else likely_ends(target)
        symbol = "SYMBOL" if target is not None else None
        if "start_id" in self.missing:
            yield f"--start {_typed(ends[0])}" if ends else f"--start {symbol}" if symbol else "--start-id N"
        if self._ends and not self.facts.target.end_ids:
            yield f"--end {_typed(ends[1])}" if ends else f"--end {symbol}" if symbol else "--end-id N"
        if "source_length" in self.missing:
            yield "--source-length N"
            if options.padding is None and self._holds_symbols("source"):
                yield "--padding FILLER"
        if self.facts.target.max_length is None and self.parts[1].kind != "ctc":
            yield "--max-length N"

    def _vocabularies_in(self, folder: Path) -> dict[SideName, tuple[Path, Vocabulary]]:
        """Return, by side, the file beside the model that has as many symbols as that side."""
        files: dict[SideName, tuple[Path, Vocabulary]] = {}
        sizes: dict[SideName, int] = {"source": self.facts.source.size, "target": self.facts.target.size}
        for side, size in sizes.items():
            fitting = [(path, made) for path, made in _readable_in(folder, side) if len(made) == size]
            other = _NAMED_TARGET if side == "source" else _NAMED_SOURCE
            own = _NAMED_SOURCE if side == "source" else _NAMED_TARGET
            fitting.sort(key=lambda file: (other.search(file[0].stem) is not None, own.search(file[0].stem) is None))
            if fitting and self._holds_symbols(side):
                files[side] = fitting[0]
        return files


def _without_filled(parts: TakenApart) -> TakenApart:
    """Return the parts without the notes on a length that nobody gave."""
    model, split, facts = parts
    return model, split, replace(facts, notes=tuple(note for note in facts.notes if f" to {_LENGTH} " not in note))


_SOURCES: Final = {
    "ids": "ids of {size} symbols",
    "one-hot": "one-hot rows of {size} symbols",
    "values": "{size} values a step",
    "vector": "an array of {size} values, without a time axis",
}
_FEEDBACK: Final = {
    "token": "the decoder's, which reads the token it gave before",
    "probabilities": "the decoder's, which reads the probabilities it gave before",
    "value": "the decoder's, which reads the values it gave before",
    "none": "the decoder's",
}


def _kind(split: SplitModel) -> str:
    sides = [[call.operation for call in calls] for calls in (split.reading.encoder_calls, split.reading.decoder_calls)]
    named = [", ".join(dict.fromkeys(_cells(operations))) or "no recurrent layer" for operations in sides]
    attention = "with attention" if split.attention else "without attention"
    return f"encoder: {named[0]}; decoder: {named[1]}, {attention}"


def _cells(operations: Sequence[object]) -> Iterator[str]:
    for operation in operations:
        if isinstance(operation, keras.layers.Bidirectional):
            yield f"bidirectional {type(operation.forward_layer).__name__}"
        elif isinstance(operation, keras.layers.RNN):
            yield type(operation).__name__


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("-" if size is None else str(size) for size in shape) + ")"


def _typed(symbol: str) -> str:
    """Return a symbol as a shell takes it."""
    return shlex.quote(_ESCAPES.get(symbol, symbol))


def _files_in(folder: Path, *suffixes: str) -> list[Path]:
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes and path.is_file()]
    return [path for path in files if 0 < path.stat().st_size <= _LARGEST]


def _pairs_in(folder: Path) -> Iterator[Path]:
    """Yield files of pairs: text whose first lines have a tab each."""
    for path in _files_in(folder, ".tsv", ".txt"):
        try:
            with path.open(encoding="utf-8-sig") as file:
                lines = [line for line, _ in zip(file, range(5), strict=False) if line.strip("\n")]
        except UnicodeDecodeError:
            continue
        if len(lines) > 1 and all(0 < line.find("\t") < len(line.rstrip("\n")) - 1 for line in lines):
            yield path


def _readable_in(folder: Path, side: SideName) -> Iterator[tuple[Path, Vocabulary]]:
    """Yield the files that hold a vocabulary, each with the vocabulary."""
    for path in _files_in(folder, ".json", ".txt"):
        try:
            vocabulary = read_side(path, side).vocabulary
        except S2SError:  # it holds something else
            continue
        if vocabulary is not None:
            yield path, vocabulary
