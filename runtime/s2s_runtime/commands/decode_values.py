"""What was typed on s2s-decode's command line as decoding options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.decoding.score_targets import ScoreValues
from s2s_runtime.decoding.text_files import read_text
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.options import OptionValues, Token

_TOKEN_LISTS = ("suppress_tokens", "no_repeat_ngram_exclude", "end_tokens")
_FILLED_IN = {"prefix", "max_length_ratio", "suppress_sequences", "phrase_table", *_TOKEN_LISTS}


def decoding_options(given: Mapping[str, Any], manifest: Manifest) -> OptionValues:
    """The decoding options on a command line.

    Args:
        given: what typer parsed, by parameter name; decoding options have the names they have in Python.
        manifest: of the bundle: says whether tokens are symbols or numbers.

    Raises:
        OptionError: a value can't be read as what it should be.
        InputError: the phrase table can't be.
    """
    values = _named_alike(given, OptionValues)
    values["return_scores"] = given["scores"] or given["as_json"]
    values["return_token_scores"] = given["token_scores"]
    values["return_attention"] = given["attention"]
    for name in _TOKEN_LISTS:
        if given[name]:
            values[name] = _tokens(name, given[name], manifest)
    if given["suppress_sequences"]:
        values["suppress_sequences"] = [_sequence(text, manifest) for text in given["suppress_sequences"]]
    if given["max_length_ratio"] is not None:
        values["max_length_ratio"] = _ratio(given["max_length_ratio"])
    if given["phrase_table"] is not None:
        values["phrase_table"] = _phrase_table(given["phrase_table"])
    return cast("OptionValues", values)


def scoring_options(given: Mapping[str, Any]) -> ScoreValues:
    """The options on a command line that apply to given targets."""
    return cast("ScoreValues", _named_alike(given, ScoreValues))


def _named_alike(given: Mapping[str, Any], wanted: type) -> dict[str, Any]:
    names = wanted.__annotations__.keys() & given.keys() - _FILLED_IN
    return {name: given[name] for name in sorted(names) if given[name] is not None}


def _tokens(name: str, texts: Sequence[str], manifest: Manifest) -> list[Token]:
    if manifest.target_vocabulary is not None:
        return list(texts)
    return [_number(name, text) for text in texts]


def _sequence(text: str, manifest: Manifest) -> list[int]:
    if manifest.target_vocabulary is not None:
        return manifest.target_vocabulary.encode(text, "error")
    return [_number("suppress_sequences", part) for part in text.split()]


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise OptionError(f"{name}: expected ids, as this bundle has no target vocabulary; got {text!r}") from error


def _ratio(text: str) -> float | tuple[float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise OptionError(f"max_length_ratio: expected A or A,B such as 1.5 or 2,10; got {text!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _phrase_table(path: Path) -> dict[str, str]:
    """Lines of source token, tab, target token."""
    table = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        source, tab, target = line.partition("\t")
        if not tab or not source:
            raise InputError(f"{path}, line {number}: expected a source token, a tab and a target token, got {line!r}")
        table[source] = target
    return table
