"""Symbols that the source vocabulary lacks: refused, read as unknown or left out, and always counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s2s_runtime import Model, UnknownSymbolError, Vocabulary

BARE = Vocabulary("char", ("a", "b"))
WITH_UNKNOWN = Vocabulary("char", ("<unk>", "a", "b"), unknown="<unk>")


@pytest.fixture
def lenient(tiny: Model) -> Model:
    """The tiny model with an unknown symbol in the place of "e"."""
    symbols = ("<pad>", "</s>", *"abcd", "<unk>")
    vocabulary = Vocabulary("char", symbols, padding="<pad>", end="</s>", unknown="<unk>")
    return Model(replace(tiny.manifest, source_vocabulary=vocabulary), tiny.step_model)


def test_a_vocabulary_looks_up_by_policy() -> None:
    """Error, stand-in or nothing; by default the stand-in where there is one; positions and order kept."""
    assert WITH_UNKNOWN.look_up("aXbY") == ([1, 0, 2, 0], ["X", "Y"])
    assert WITH_UNKNOWN.look_up("aXbY", "unk") == ([1, 0, 2, 0], ["X", "Y"])
    assert WITH_UNKNOWN.look_up("aXbY", "skip") == ([1, 2], ["X", "Y"])
    assert BARE.look_up("aXb", "skip") == ([0, 1], ["X"])
    assert replace(BARE, reverse=True).look_up("aXb", "skip") == ([1, 0], ["X"])
    assert BARE.look_up("ab", "error") == ([0, 1], [])
    for vocabulary, policy in ((WITH_UNKNOWN, "error"), (BARE, None), (BARE, "unk")):
        with pytest.raises(UnknownSymbolError, match="unknown character 'X' at position 1 of 'aXb'"):
            vocabulary.look_up("aXb", policy)


def test_results_list_the_unknown_symbols(tiny: Model, lenient: Model) -> None:
    """In the order of the text; only results that have some show them; whatever the search."""
    for options in ({}, {"beam_size": 3}, {"return_alternatives": True, "num_hypotheses": 2}):
        first, second = tiny.generate(["aXbXY", "abc"], unknown_symbols="skip", **options)
        assert first.unknown_symbols == ["X", "X", "Y"]
        assert first.to_dict()["unknown_symbols"] == ["X", "X", "Y"]
        assert first.ids == tiny.generate(["ab"], **options)[0].ids
        assert second.unknown_symbols == []
        assert "unknown_symbols" not in second.to_dict()
    [read] = lenient.generate(["aXb"])
    assert read.source_tokens == ["a", "<unk>", "b", "</s>"]
    assert read.unknown_symbols == ["X"]


def test_unknown_targets_are_copied_as_the_source_spells_them(lenient: Model) -> None:
    """What the source's vocabulary lacks is why a target is unknown: its spelling is copied, and looked up too."""
    bare = {"suppress_tokens": list("ABCDE"), "replace_unknown": True}
    [result] = lenient.generate(["aXbY"], **bare, return_attention=True)
    attention = result.hypotheses[0].attention
    assert attention is not None
    assert result.source_tokens == ["a", "<unk>", "b", "<unk>", "</s>"]
    spelled = ["a", "X", "b", "Y", "</s>"]
    assert result.tokens == [spelled[place] for place in attention.argmax(axis=1)]
    assert {"X", "Y"} & set(result.tokens)
    [translated] = lenient.generate(["aXbY"], **bare, phrase_table={"X": "x", "Y": "y"})
    assert translated.text == result.text.replace("X", "x").replace("Y", "y")
    for found in (lenient.generate(["aXbY"], **bare, return_alternatives=True), lenient.generate(["aXbY"] * 2, **bare)):
        assert "<unk>" not in found[0].text


def test_a_prefix_holds_no_unknown_symbols(tiny: Model) -> None:
    """Forcing the unknown symbol in the place of what was asked for would be no part of any target."""
    with pytest.raises(UnknownSymbolError, match="unknown character 'X' at position 1 of 'AX'"):
        tiny.generate(["abc"], prefix=["AX"])


def test_error_is_an_error_though_there_is_a_stand_in(lenient: Model) -> None:
    """The policy goes before the vocabulary; the error knows which text."""
    with pytest.raises(UnknownSymbolError) as caught:
        lenient.generate(["ab", "aX"], unknown_symbols="error")
    assert (caught.value.symbol, caught.value.position, caught.value.place) == ("X", 1, 1)


def test_a_text_of_unknown_symbols_only_is_empty_when_skipped(tiny: Model) -> None:
    """Nothing is left to read: an empty result, its symbols counted all the same."""
    [result] = tiny.generate(["XY"], unknown_symbols="skip")
    assert (result.text, result.unknown_symbols) == ("", ["X", "Y"])


def test_scoring_and_encoding_follow_the_policy(tiny: Model) -> None:
    """Leaving a symbol out is the same as not having written it, but that the result names it."""
    [skipped] = tiny.score(["aXb"], ["AB"], unknown_symbols="skip")
    assert skipped == replace(tiny.score(["ab"], ["AB"])[0], unknown_symbols=["X"])
    assert tiny.encode(["aXb"], unknown_symbols="skip").source_tokens == [["a", "b", "</s>"]]
    assert "".join(tiny.stream("aXb", unknown_symbols="skip")) == tiny.generate(["ab"])[0].text


def test_the_message_says_what_stands_ready() -> None:
    """Where the vocabulary has an unknown symbol that wasn't to be used, the message names it."""
    with pytest.raises(UnknownSymbolError, match="doesn't hold it; remove it, or let '<unk>' stand for it"):
        Vocabulary("char", ("<unk>", "a"), unknown="<unk>").encode("b", unknown="error")
    with pytest.raises(UnknownSymbolError, match="doesn't hold it and has no unknown symbol; remove or replace it"):
        Vocabulary("char", ("a",)).encode("b")
