"""Vocabularies whose texts have factors: cutting, ids, and the file."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s2s_runtime.errors import InputError, UnknownSymbolError, VocabularyError
from s2s_runtime.vocabulary.factors import Factor, FactoredVocabulary
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary import Vocabulary
from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile

TAGS = Factor("symbol", ("<pad>", "<unk>", "D", "N", "V"), padding="<pad>", unknown="<unk>", name="tags")
CASES = Factor("symbol", ("<pad>", "nom", "acc"), padding="<pad>", name="cases")
WORDS = FactoredVocabulary(
    "symbol", ("<pad>", "<unk>", "lead", "the"), padding="<pad>", unknown="<unk>", factors=(TAGS, CASES)
)
LETTERS = FactoredVocabulary("char", ("<pad>", "<unk>", *"adel "), padding="<pad>", unknown="<unk>", factors=(TAGS,))


def test_words_and_factors_are_looked_up_apart() -> None:
    """Each symbol has an id, and as many of each factor, in its own table."""
    found = WORDS.look_up_units("the|D|nom lead|V|acc")
    assert found == ([3, 2], [[2, 4], [1, 2]], [])
    assert WORDS.encode("the|D|nom lead|V|acc") == [3, 2]
    assert WORDS.split("the|D|nom lead|V|acc") == ["the", "lead"]
    assert WORDS.look_up_units("") == ([], [[], []], [])
    assert WORDS.factor_names == ("tags", "cases")


def test_symbols_have_the_factors_of_their_word() -> None:
    """Characters have those of their word, the space those of the word before it; so the unit doesn't matter."""
    found = LETTERS.look_up_units("a|D lead|N")
    assert LETTERS.tokens(found.ids) == list("a lead")
    assert TAGS.tokens(found.factors[0]) == ["D", "D", "N", "N", "N", "N"]
    cut = FactoredVocabulary("word", ("Don't", "go", "!"), word_rule=2, factors=(TAGS,)).look_up_units("Don't|V go!|N")
    assert (cut.ids, TAGS.tokens(cut.factors[0])) == ([0, 1, 2], ["V", "N", "N"])
    phones = FactoredVocabulary("phone", ("d", "\u02d0", "a"), factors=(TAGS,)).look_up_units("d\u02d0|N a|V")
    assert (phones.ids, TAGS.tokens(phones.factors[0])) == ([0, 1, 2], ["N", "N", "V"])


def test_rules_for_text_are_for_words() -> None:
    """Lowercasing and normal forms leave factors as they are written; another order is that of both."""
    changed = replace(LETTERS, lowercase=True, normalization="NFKC", reverse=True)
    found = changed.look_up_units("A|D \uff2c\uff25|N")
    assert changed.tokens(found.ids) == ["e", "l", " ", "a"]
    assert TAGS.tokens(found.factors[0]) == ["N", "N", "D", "D"]


def test_unknown_factors_follow_the_policy_of_symbols() -> None:
    """The unknown symbol stands for them, or they are errors, or the word is left out with its factor."""
    assert WORDS.look_up_units("dog|X|nom") == ([1], [[1], [1]], ["dog", "|X"])
    with pytest.raises(UnknownSymbolError, match=r"unknown factor 'X' at position 1 of 'the\|D\|nom the\|X\|nom'"):
        WORDS.look_up_units("the|D|nom the|X|nom", "error")
    with pytest.raises(UnknownSymbolError, match=r"unknown factor 'dat' .* has no unknown symbol"):
        WORDS.look_up_units("the|D|dat")
    assert WORDS.look_up_units("dog|D|nom the|X|nom lead|N|acc", "skip") == ([2], [[3], [2]], ["dog", "|X"])


@pytest.mark.parametrize("text", ["the|D|nom lead", "the|D", "the|D|nom|sg", "|D|nom", "the||nom", "the|D|"])
def test_every_word_has_all_its_factors(text: str) -> None:
    """Fewer, more and empty ones are errors that show the word."""
    with pytest.raises(InputError, match=r"expected 2 factors behind each word \(word\|tags\|cases\), got '"):
        WORDS.look_up_units(text)


def test_another_separator() -> None:
    """What separates is any text without white space; a bar is a character of the word then."""
    told = replace(WORDS, symbols=("a|b",), padding=None, unknown=None, separator="\uffe8", factors=(TAGS,))
    assert told.look_up_units("a|b\uffe8N") == ([0], [[3]], [])


def test_the_file_holds_all(tmp_path: Path) -> None:
    """What is written is read again, and pickled too; what is without factors is written without them."""
    file = VocabularyFile(WORDS, Vocabulary("char", ("a",)), PaddingPolicy(masked=True, id=0))
    file.write(tmp_path / "vocab.json")
    assert VocabularyFile.read(tmp_path / "vocab.json") == file
    assert pickle.loads(pickle.dumps(WORDS)) == WORDS
    assert "factors" not in json.dumps(Vocabulary("char", ("a",)).to_dict())


def described(**changed: Any) -> dict[str, Any]:
    data: dict[str, Any] = WORDS.to_dict()
    return {**data, "factors": {**data["factors"], **changed}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (described(separator=" "), "separator: expected characters that are no white space, got ' '"),
        (described(separator=""), "separator: expected characters"),
        (described(inputs=[]), "factors: expected at least one"),
        (described(inputs=[TAGS.to_dict(), TAGS.to_dict()]), "factors: expected different names, got tags, tags"),
        (described(inputs=[{"name": "tags"}]), r"factors.inputs\[0\]: symbols: expected at least one"),
        (described(inputs=[{**TAGS.to_dict(), "padding": "no"}]), r"inputs\[0\]: padding: 'no' is not among"),
        (described(inputs=[{**TAGS.to_dict(), "unit": "char"}]), r"factors.inputs\[0\].unit: no such field"),
        (described(separators="|"), "factors.separators: no such field; expected separator, inputs"),
        ({**described(), "factors": []}, "factors: expected an object"),
        ({**described(), "start": "the"}, "start: has no factors"),
        ({**described(), "separators": ","}, "separators: has no factors"),
    ],
)
def test_a_wrong_file_is_refused(data: dict[str, Any], message: str) -> None:
    """Each field that is wrong is named."""
    with pytest.raises(VocabularyError, match=message):
        FactoredVocabulary.from_dict(data)


def test_targets_have_no_factors() -> None:
    """They are refused on that side."""
    with pytest.raises(VocabularyError, match=r"target\.factors: expected none"):
        VocabularyFile(WORDS, WORDS, PaddingPolicy(masked=True, id=0))
