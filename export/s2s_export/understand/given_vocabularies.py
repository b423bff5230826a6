"""One side's symbols as a person has them: a `Tokenizer`, a text layer, a dictionary, a list, or a file of these."""

from __future__ import annotations

import importlib
import json
import operator
import os
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeGuard

from s2s_export.errors import ExportError
from s2s_export.understand.tokenizers import is_tokenizer, read_tokenizer
from s2s_export.understand.unnamed_ids import free_name, with_names
from s2s_export.understand.vocabularies import unescape
from s2s_runtime.declared_options.checks import has_items
from s2s_runtime.errors import VocabularyError
from s2s_runtime.files.text_source import read_text
from s2s_runtime.spelling import option, shown
from s2s_runtime.vocabulary.vocabulary_file import FORMAT, Unit, Vocabulary, VocabularyFile

SideName = Literal["source", "target"]

_PADDING: Final = ("<pad>", "[PAD]", "<PAD>")
_UNKNOWN: Final = ("<unk>", "[UNK]", "<UNK>", "<oov>", "<OOV>")
_PAIRED: Final = (  # how scripts call what begins and ends a target
    ("\t", "\n"),
    ("<start>", "<end>"),
    ("[start]", "[end]"),
    ("[START]", "[END]"),
    ("<s>", "</s>"),
    ("<sos>", "<eos>"),
    ("<bos>", "<eos>"),
    ("<go>", "<eos>"),
    ("<GO>", "<EOS>"),
    ("<SOS>", "<EOS>"),
    ("startseq", "endseq"),
    ("sostok", "eostok"),
    ("start", "end"),
)
_SPECIAL: Final = re.compile(r"[<\[{_].+[>\]}_]", re.DOTALL)
_FORMS: Final = (
    "a Keras Tokenizer (or its to_json()), a TextVectorization or StringLookup layer, a dictionary of symbols to ids "
    "or of ids to symbols, a list of symbols in the order of their ids, or a file of these (JSON, or a symbol a line)"
)
_UNPICKLE: Final = (
    "python -c \"import json, pickle; t = pickle.load(open('{name}', 'rb')); "
    "open('{stem}.json', 'w').write(t.to_json() if hasattr(t, 'to_json') else json.dumps(t))\""
)


@dataclass(frozen=True)
class GivenSide:
    """One side as it was given.

    Attributes:
        vocabulary: its symbols, and how text is read; None = it is ids.
        notes: what a person should know, a sentence each.
    """

    vocabulary: Vocabulary | None
    notes: tuple[str, ...] = ()


def read_side(given: object, side: SideName, unit: Unit | None = None, encoding: str | None = None) -> GivenSide:
    """Read the symbols of one side.

    Args:
        given: a `Vocabulary`, a Keras `Tokenizer`, a text layer, a mapping in either direction, a sequence of symbols,
            or the path of a file that holds one of these.
        side: which side they are of.
        unit: how text is cut; None = characters where all symbols are single characters, else at white space. What
            tells it by itself (a `Tokenizer`, a layer) is not asked.
        encoding: of a file; None = UTF-8.

    Raises:
        ExportError: it is none of these, or contradicts itself; the message names the argument.
        FileNotFoundError: there is no such file.
    """
    try:
        if isinstance(given, str | os.PathLike):
            return _read_file(Path(given), side, unit, encoding)
        return _read(given, side, unit)
    except VocabularyError as error:
        raise ExportError(f"{_named(given, side)}: {error}") from error


def _named(given: object, side: SideName) -> str:
    return str(given) if isinstance(given, str | os.PathLike) else option(f"{side}_vocab")


def _read(given: object, side: SideName, unit: Unit | None) -> GivenSide:
    if isinstance(given, Vocabulary):
        return GivenSide(given)
    if is_tokenizer(given):
        return GivenSide(read_tokenizer(given, padded=side == "source"))
    if hasattr(given, "get_vocabulary"):
        return _read_layer(given, side, unit)
    return GivenSide(_of_symbols(_in_order(given, side), side, unit))


def _read_layer(layer: Any, side: SideName, unit: Unit | None) -> GivenSide:
    """Read the vocabulary of a text layer.

    The layer itself tells how it cuts and changes text, except a look-up, which reads symbols that somebody else cut.
    """
    reading = importlib.import_module(
        "s2s_export.understand.text_reading"
    )  # imports TensorFlow, which files don't need
    if not hasattr(layer, "_lookup_layer"):
        return GivenSide(_of_symbols([str(symbol) for symbol in layer.get_vocabulary()], side, unit))
    reading.refuse_other_than_ids(layer)
    vocabulary = reading.vocabulary_of(layer)
    return GivenSide(_for_side(vocabulary, side), tuple(reading.compared(layer, vocabulary, ())))


def _for_side(vocabulary: Vocabulary, side: SideName) -> Vocabulary:
    """Return the vocabulary as the side needs it.

    What pads targets is an output like others: a model may give it, and its author's loop shows it then.
    """
    return vocabulary if side == "source" else replace(vocabulary, padding=None)


def _read_file(path: Path, side: SideName, unit: Unit | None, encoding: str | None) -> GivenSide:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a vocabulary: {_FORMS}")
    with path.open("rb") as file:
        head = file.read(8)
    if head[:1] == b"\x80" or head.startswith((b"ccopy", b"(dp", b"(lp")):
        raise ExportError(
            f"{path}: a pickle, which runs code when it is read; turn it into JSON once, where you trust it: "
            + _UNPICKLE.format(name=path, stem=path.with_suffix(""))
        )
    text = read_text(path, encoding)
    try:
        data = json.loads(text)
        if isinstance(data, str):  # json.dump(tokenizer.to_json(), file)
            data = json.loads(data)
    except json.JSONDecodeError as error:
        if path.suffix == ".json":
            raise ExportError(f"{path}: not JSON: {error}") from error
        return GivenSide(_of_symbols(_lines(text), side, unit))
    if not isinstance(data, dict | list):
        return GivenSide(_of_symbols(_lines(text), side, unit))
    if isinstance(data, dict) and data.get("format") == FORMAT:
        known = getattr(VocabularyFile.read(path), side)
        if known is None:
            raise ExportError(f"{path}: expected symbols of the {side}, its {side} is null")
        return GivenSide(known)
    return _read(data, side, unit)


def _lines(text: str) -> list[str]:
    """Return the symbols of a file that has one in each line.

    The first line may be empty, as the vocabulary of a text layer begins with what pads.
    """
    return [unescape(line.removesuffix("\r")) or "" for line in text.removesuffix("\n").split("\n")]


def _in_order(given: object, side: SideName) -> list[str]:
    """Return the symbol of each id from 0; ids that have none get a name of their own."""
    where = option(f"{side}_vocab")
    if isinstance(given, Mapping):
        return list(with_names(_by_id(given, where)))
    if isinstance(given, Set):
        raise ExportError(f"{where}: a set has no order, so it tells no ids; expected {_FORMS}")
    if isinstance(given, bytes) or not has_items(given):
        raise ExportError(f"{where}: got {type(given).__name__}; expected {_FORMS}")
    symbols = list(given)
    wrong = next((i for i, symbol in enumerate(symbols) if not isinstance(symbol, str)), None)
    if wrong is not None:
        raise ExportError(
            f"{where}[{wrong}]: expected a symbol (a string), got {shown(symbols[wrong])}; expected {_FORMS}"
        )
    return symbols


def _by_id(given: Mapping[Any, Any], where: str) -> dict[int, str]:
    """Return a dictionary of either direction as one from ids to symbols."""
    if given and all(isinstance(symbol, str) and _is_id(token) for symbol, token in given.items()):
        pairs = [(operator.index(token), symbol) for symbol, token in given.items()]
    elif given and all(isinstance(symbol, str) and _id_of(token) is not None for token, symbol in given.items()):
        pairs = [(int(token), symbol) for token, symbol in given.items()]
    else:
        held = ", ".join(repr(key) for key in list(given)[:4])
        raise ExportError(
            f"{where}: expected a dictionary of symbols to ids or of ids to symbols, got one with the keys {held}"
            + (
                "; give the dictionary of each side by itself"
                if any(isinstance(v, Mapping) for v in given.values())
                else ""
            )
        )
    symbols: dict[int, str] = {}
    for token, symbol in pairs:
        if token in symbols:
            raise ExportError(f"{where}: {symbols[token]!r} and {symbol!r} have the same id, {token}")
        if token < 0:
            raise ExportError(f"{where}: expected ids from 0, {symbol!r} has {token}")
        symbols[token] = symbol
    return symbols


def _is_id(value: object) -> TypeGuard[Any]:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _id_of(key: object) -> int | None:
    """Return the id that a key of a dictionary stands for, as JSON has strings for keys; None where it is no id."""
    if isinstance(key, str):
        return int(key) if key.isdecimal() and key.isascii() else None
    return operator.index(key) if _is_id(key) else None


def _of_symbols(symbols: list[str], side: SideName, unit: Unit | None) -> Vocabulary:
    """Return a vocabulary of bare symbols; symbols for padding and unknown are known by their usual names."""
    if symbols and symbols[0] == "":  # what pads, in the vocabulary of a text layer
        symbols = [free_name("<pad>", set(symbols)), *symbols[1:]]
        padding: str | None = symbols[0]
    else:
        padding = usual_padding(symbols)
    unknown = next((name for name in _UNKNOWN if name in symbols), None)
    vocabulary = Vocabulary(unit or _unit(symbols), tuple(symbols), padding=padding, unknown=unknown)
    return _for_side(vocabulary, side)


def usual_padding(symbols: Sequence[str]) -> str | None:
    """Return the symbol that pads, where one has a name that such symbols usually have."""
    return next((name for name in _PADDING if name in symbols), None)


def _unit(symbols: Iterable[str]) -> Unit:
    ordinary = [symbol for symbol in symbols if not _SPECIAL.fullmatch(symbol)]
    return "char" if all(len(symbol) == 1 for symbol in ordinary) else "symbol"


def likely_ends(vocabulary: Vocabulary) -> tuple[str, str] | None:
    """Return the symbols of a target that scripts usually begin and end it with; None where they aren't there."""
    return next((pair for pair in _PAIRED if set(pair) <= set(vocabulary.symbols)), None)
