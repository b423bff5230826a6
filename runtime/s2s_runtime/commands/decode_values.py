"""Reading what was typed on s2s-decode's command line as decoding options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options import declared, differs, taken_by
from s2s_runtime.errors import OptionError
from s2s_runtime.files.pair_rows import LeftOut, read_pairs
from s2s_runtime.files.text_source import open_text
from s2s_runtime.lexicon.lexicon import Lexicon
from s2s_runtime.lexicon.lexicon_files import read_lexicon
from s2s_runtime.options import DecodingOptions, OptionValues, ScoreValues, Token


def decoding_options(typed: Mapping[str, Any], manifest: Manifest, *, scores: bool) -> OptionValues:
    """Return the decoding options on a command line.

    Args:
        typed: decoding options by name, as they were typed or their defaults; what is typed for some isn't what
            Python takes, and is read as their declaration says.
        manifest: manifest of the bundle, which says whether tokens are symbols or numbers.
        scores: whether scores are computed because something shows them.

    Raises:
        OptionError: a value can't be read as what it should be.
        InputError: the phrase table can't be read.
    """
    values = _read({name: value for name, value in typed.items() if name != "prefix"}, manifest)  # it comes with texts
    values["return_scores"] = typed.get("return_scores", False) or scores
    return cast("OptionValues", values)


def scoring_options(typed: Mapping[str, Any], manifest: Manifest) -> ScoreValues:
    """Return the options on a command line that apply to scoring; see `decoding_options`."""
    own = {name: typed[name] for name in taken_by(DecodingOptions, "score") if name in typed}
    return cast("ScoreValues", _read(own, manifest))


def _read(typed: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Return the options that differ from their defaults, what was typed for them read."""
    known = declared(DecodingOptions)
    return {
        name: _READERS[known[name].option.reads](name, value, manifest) if known[name].option.reads else value
        for name, value in typed.items()
        if differs(value, known[name].default)
    }


def _tokens(name: str, texts: Sequence[str], manifest: Manifest) -> list[Token]:
    if manifest.target_vocabulary is not None:
        return list(texts)
    return [_number(name, text) for text in texts]


def _sequences(name: str, texts: Sequence[str], manifest: Manifest) -> list[list[int]]:
    if manifest.target_vocabulary is not None:
        return [manifest.target_vocabulary.encode(text, "error") for text in texts]
    return [[_number(name, part) for part in text.split()] for text in texts]


def _phrases(name: str, path: Path, manifest: Manifest) -> list[str] | list[list[int]]:
    """Read a file of texts, one a line; of ids between spaces where there is no vocabulary."""
    with open_text(path) as source:
        lines = [line for _, line in source.lines()]
    return lines if manifest.target_vocabulary is not None else _sequences(name, lines, manifest)


def _weights(name: str, texts: Sequence[str], manifest: Manifest) -> dict[str | tuple[Token, ...], float]:
    """Read phrases with their weights, TEXT=WEIGHT each; the last equals sign counts."""
    weights: dict[str | tuple[Token, ...], float] = {}
    for text in texts:
        phrase, _, weight = text.rpartition("=")
        try:
            number = float(weight)
        except ValueError as error:
            raise OptionError(f"{name}: expected TEXT=WEIGHT such as 'Hello=2', got {text!r}") from error
        key = phrase if manifest.target_vocabulary is not None else tuple(_sequences(name, [phrase], manifest)[0])
        weights[key] = number
    return weights


def _lexicon(_name: str, path: Path, _: Manifest) -> Lexicon:
    return read_lexicon(path)


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise OptionError(f"{name}: expected ids, as this bundle has no target vocabulary; got {text!r}") from error


def _ratio(name: str, text: str, _: Manifest) -> float | tuple[float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise OptionError(f"{name}: expected A or A,B such as 1.5 or 2,10; got {text!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _phrase_table(_name: str, path: Path, _: Manifest) -> dict[str, str]:
    """Read the phrase table: lines of source token, tab, target token."""
    with open_text(path) as source:
        pairs = read_pairs(source, LeftOut(), keep_empty=True)
        return {token: written for _, token, [written] in pairs}


_READERS: Final[Mapping[str, Callable[[str, Any, Manifest], Any]]] = {
    "tokens": _tokens,
    "sequences": _sequences,
    "lexicon": _lexicon,
    "phrases": _phrases,
    "ratio": _ratio,
    "phrase_table": _phrase_table,
    "weights": _weights,
}
