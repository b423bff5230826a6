"""Keras's `Tokenizer`: its words, and how it reads text, as a vocabulary says it.

A `Tokenizer` lowercases, puts its `split` in place of each of its `filters`, and cuts there alone. Ids begin at 1, as 0
pads. Of `num_words` ids only those below are used; other words are its `oov_token`, or left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from s2s_export.errors import ExportError
from s2s_export.understand.unnamed_ids import free_name, with_names
from s2s_runtime.files.json_fields import Fields
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyError

_COUNTS: Final = ("document_count", "word_counts", "word_docs", "index_docs", "index_word")  # no part in reading


def is_tokenizer(given: object) -> bool:
    """Return whether something is a `Tokenizer`, or what its `to_json` writes, parsed."""
    if isinstance(given, Mapping):
        return given.get("class_name") == "Tokenizer" and "config" in given
    return hasattr(given, "word_index") and hasattr(given, "to_json")


def read_tokenizer(given: Any, *, padded: bool) -> Vocabulary:
    """Read a `Tokenizer`, or what its `to_json` writes, parsed.

    Args:
        given: one of the two.
        padded: whether id 0 pads what the model reads.

    Raises:
        ExportError: it reads text by a function of its own, or cuts at more than one character.
        VocabularyError: names every field that is missing, unknown or has a wrong value.
    """
    if getattr(given, "analyzer", None) is not None:
        raise ExportError(
            "the Tokenizer reads text by its analyzer, a function, which no file can hold: give its word_index, and "
            "do to texts what the function does before decoding them"
        )
    data = given if isinstance(given, Mapping) else json.loads(given.to_json())
    problems: list[str] = []
    outer = Fields(data, "", problems)
    outer.raw("class_name")
    fields = outer.child("config")
    outer.refuse_others()
    index = _word_index(fields)
    count, split = fields.optional_integer("num_words", None), fields.text("split", " ")
    filters, lower = fields.text("filters", ""), fields.boolean("lower", True)
    by_char, unknown = fields.boolean("char_level", False), fields.optional_text("oov_token", None)
    for name in _COUNTS:
        fields.raw(name, None)
    fields.refuse_others()
    if problems:
        raise VocabularyError("Tokenizer: " + "; ".join(problems))
    if len(split) != 1 and not by_char:
        raise ExportError(f"the Tokenizer cuts at {split!r}; expected one character, such as a space")
    symbols = {token: word for word, token in index.items() if not count or token < count}
    return _vocabulary(symbols, unknown, by_char=by_char, lower=lower, cuts=split + filters, padded=padded)


def _word_index(fields: Fields) -> dict[str, int]:
    """Return the tokenizer's words and their ids, which stand as JSON within JSON."""
    text = fields.text("word_index")
    try:
        index = json.loads(text)
    except json.JSONDecodeError:
        index = None
    if not isinstance(index, dict) or not index or not all(type(token) is int for token in index.values()):
        fields.problem("word_index", f"expected the words and their ids, as JSON within a string, got {text[:40]!r}")
        return {}
    return index


def _vocabulary(
    symbols: dict[int, str], unknown: str | None, *, by_char: bool, lower: bool, cuts: str, padded: bool
) -> Vocabulary:
    taken = set(symbols.values())
    padding = free_name("<pad>", taken)
    known = {0: padding, **symbols}
    unknown = unknown if unknown in taken else None  # one of num_words that is too small for it is never used
    return Vocabulary(
        "char" if by_char else "symbol",
        with_names(known),
        padding=padding if padded else None,
        unknown=unknown,
        lowercase=lower,
        separators="" if by_char else "".join(dict.fromkeys(cuts)),
        skip_unknown=unknown is None,
    )
