"""Vocabularies: text to ids and back, and the file that holds them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_runtime.vocabulary.vocabulary_file import (
    PaddingPolicy,
    UnknownSymbolError,
    Vocabulary,
    VocabularyError,
    VocabularyFile,
)

CHARS = Vocabulary("char", ("<pad>", "<unk>", *"abcdé "), padding="<pad>", unknown="<unk>")
STRICT = Vocabulary("char", ("\t", "\n", *"abc"), start="\t", end="\n")
WORDS = Vocabulary("word", ("<pad>", "I", "don't", "know", ",", "Tom", "!"), padding="<pad>")


@given(st.text(alphabet="abcdé "))
def test_characters_survive_the_round_trip(text: str) -> None:
    """decode(encode(text)) is the text where every character is known."""
    assert CHARS.decode(CHARS.encode(text)) == text


def test_named_ids_are_positions_in_the_list() -> None:
    """The id of a named symbol is its position; None where the side has no such symbol."""
    assert (CHARS.padding_id, CHARS.unknown_id, CHARS.start_id, CHARS.end_id) == (0, 1, None, None)
    assert (STRICT.padding_id, STRICT.unknown_id, STRICT.start_id, STRICT.end_id) == (None, None, 0, 1)


def test_encode_is_bare_and_encode_sentence_wraps() -> None:
    """Start and end are added by encode_sentence (and wrap) only, and left out by decode."""
    assert STRICT.encode("ab") == [2, 3]
    assert STRICT.encode_sentence("ab") == [0, 2, 3, 1]
    assert STRICT.decode([0, 2, 3, 1]) == "ab"


def test_unknown_character_without_unknown_symbol_is_an_error_that_names_it() -> None:
    """The error names the character, its position and the text, and says what to do."""
    with pytest.raises(UnknownSymbolError) as caught:
        STRICT.encode("abXc")
    assert (caught.value.symbol, caught.value.position, caught.value.text) == ("X", 2, "abXc")
    assert str(caught.value) == (
        "unknown character 'X' at position 2 of 'abXc': the vocabulary doesn't hold it and has no unknown symbol; "
        "remove or replace it"
    )
    assert isinstance(caught.value, ValueError)


def test_unknown_character_with_unknown_symbol_becomes_it() -> None:
    """Where there is an unknown symbol it stands for every other symbol, and decode spells it."""
    assert CHARS.encode("aXb") == [2, 1, 3]
    assert CHARS.decode([2, 1, 3]) == "a<unk>b"


def test_normal_form_and_lowercase_come_before_cutting() -> None:
    """A decomposed upper-case letter becomes the composed lower-case symbol of the vocabulary."""
    vocabulary = Vocabulary("char", ("é",), normalization="NFC", lowercase=True)
    assert vocabulary.encode("E\u0301") == [0]


def test_reverse_reverses_tokens_and_decode_restores_them() -> None:
    """With reverse, ids come last first; wrap still puts start first."""
    vocabulary = Vocabulary("char", ("^", *"abc"), start="^", reverse=True)
    assert vocabulary.encode_sentence("abc") == [0, 3, 2, 1]
    assert vocabulary.decode([3, 2, 1]) == "abc"


def test_words_are_cut_by_the_documented_pattern_and_joined_without_stray_spaces() -> None:
    """Apostrophes stay inside words, punctuation stands alone, the detokeniser glues it back."""
    text = "I don't know, Tom!"
    assert WORDS.split(text) == ["I", "don't", "know", ",", "Tom", "!"]
    assert WORDS.decode(WORDS.encode(text)) == text


def test_symbols_are_what_white_space_separates() -> None:
    """Unit symbol: phones and the like; decode joins with one space."""
    phones = Vocabulary("symbol", ("HH", "AH0", "L", "OW1"))
    assert phones.encode(" HH AH0  L OW1 ") == [0, 1, 2, 3]
    assert phones.decode([0, 1, 2, 3]) == "HH AH0 L OW1"


IPA = st.builds(str.__add__, st.text("dt͡ʃɛ̃ʰ", min_size=1), st.text("ːʲʰ")).filter(lambda phone: phone[0] != "ʰ")


@given(st.lists(IPA))
def test_phones_survive_the_round_trip(phones: list[str]) -> None:
    """Whatever modifier letters end a phone, or stand inside it, it comes back whole."""
    text = " ".join(phones)
    symbols = tuple(dict.fromkeys([*Vocabulary("phone", ("-",)).split(text), "-"]))
    vocabulary = Vocabulary("phone", symbols)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.split_whole(text) == phones


def test_modifier_letters_stand_apart_from_their_phone() -> None:
    """Unit phone: long and palatalised phones share the symbol of the plain one; error rates count whole phones."""
    phones = Vocabulary("phone", ("t͡ʃ", "ː", "ʲ", "a", "<unk>"), unknown="<unk>")
    assert phones.split("t͡ʃː  t͡ʃʲː a") == ["t͡ʃ", "ː", "t͡ʃ", "ʲ", "ː", "a"]
    assert phones.decode([0, 1, 4, 2, 3]) == "t͡ʃː <unk>ʲ a"
    assert phones.decode([1, 0, 1]) == "ː t͡ʃː"
    assert phones.split_whole(" t͡ʃː a ") == ["t͡ʃː", "a"]


def test_decode_drops_padding_at_the_ends_only() -> None:
    """Where the padding symbol is also a character (a space), the inner ones stay."""
    vocabulary = Vocabulary("char", (" ", "a"), padding=" ")
    assert vocabulary.decode([0, 1, 0, 1, 0, 0]) == "a a"


def test_id_outside_the_vocabulary_is_an_error() -> None:
    """Tokens and decode refuse ids they have no symbol for, negative ones too."""
    for token in (-1, 99):
        with pytest.raises(VocabularyError, match=f"id {token} is outside the vocabulary: expected 0 to 4"):
            STRICT.decode([token])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbols": ()}, "symbols: expected at least one"),
        ({"symbols": ("a", "a")}, "'a' occurs more than once"),
        ({"symbols": ("a", "")}, r"symbols\[1\]: expected a non-empty string"),
        ({"symbols": ("a",), "end": "b"}, "end: 'b' is not among the symbols; add it there or set end to null"),
    ],
)
def test_contradictory_vocabularies_are_refused(arguments: dict[str, object], message: str) -> None:
    """Each contradiction is one clear error."""
    with pytest.raises(VocabularyError, match=message):
        Vocabulary("char", **arguments)  # type: ignore[arg-type]


def test_file_round_trip(tmp_path: Path) -> None:
    """What is written reads back equal, and nothing else is left in the folder."""
    content = VocabularyFile(CHARS, STRICT, PaddingPolicy(masked=True, id=0), max_length=59)
    content.write(tmp_path / "vocab.json")
    assert VocabularyFile.read(tmp_path / "vocab.json") == content
    assert [path.name for path in tmp_path.iterdir()] == ["vocab.json"]


def test_hand_written_file_needs_only_the_required_fields(tmp_path: Path) -> None:
    """Named symbols, normal form and flags default to nothing; padding.id to the source's padding symbol."""
    (tmp_path / "vocab.json").write_text(
        json.dumps(
            {
                "format": "s2s-vocabulary",
                "version": 1,
                "source": {"unit": "char", "symbols": ["a", "_"], "padding": "_"},
                "target": None,
                "padding": {"masked": False, "length": 16},
            }
        )
    )
    content = VocabularyFile.read(tmp_path / "vocab.json")
    assert content.padding == PaddingPolicy(masked=False, id=1, side="right", length=16)
    assert content.source == Vocabulary("char", ("a", "_"), padding="_")
    assert (content.target, content.max_length) == (None, None)


def test_every_problem_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    """One error names the file and all fields that are wrong."""
    path = tmp_path / "vocab.json"
    path.write_text(
        json.dumps(
            {
                "format": "s2s-vocabulary",
                "version": 1,
                "source": {"unit": "syllable", "symbols": ["a", 3]},
                "target": {"unit": "char", "symbols": ["a"], "end": "b"},
                "padding": {"masked": "yes"},
                "max_length": "long",
            }
        )
    )
    with pytest.raises(VocabularyError) as caught:
        VocabularyFile.read(path)
    message = str(caught.value)
    for part in (
        f"{path}: max_length: expected an integer, got 'long'",
        "source.unit: expected one of 'char', 'word', 'symbol', 'phone', 'sentencepiece', got 'syllable'",
        "source.symbols[1]: expected a string, got 3",
        "target: end: 'b' is not among the symbols",
        "padding.masked: expected true or false, got 'yes'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON file in UTF-8"),
        ("[]", "expected an object, got []"),
        ('{"format": "other", "version": 1}', "format: expected 's2s-vocabulary', got 'other'"),
        ('{"format": "s2s-vocabulary", "version": 2}', "this version reads 1, got 2; use a newer s2s-runtime"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """Not JSON, not an object, another format, a newer version."""
    (tmp_path / "vocab.json").write_text(text)
    with pytest.raises(VocabularyError) as caught:
        VocabularyFile.read(tmp_path / "vocab.json")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"masked": True, "id": -2}, "id: expected a source id, or -1 for a row of zeros, got -2"),
        ({"masked": True, "side": "left"}, "masked padding has to be on the right"),
        ({"masked": False, "side": "top"}, "side: expected one of 'right', 'left', got 'top'"),
        ({"masked": False, "length": 0}, "length: expected at least 1 or null, got 0"),
    ],
)
def test_bad_padding_policies_are_refused(policy: dict[str, object], message: str) -> None:
    """Each bad field is one clear error."""
    with pytest.raises(VocabularyError, match=message):
        PaddingPolicy.from_dict(policy)


def test_padding_needs_an_id_that_exists() -> None:
    """A policy that pads, over a source without a padding symbol, has to name the id; it must lie in the vocabulary."""
    with pytest.raises(VocabularyError, match=r"padding.id: expected an id"):
        VocabularyFile(STRICT, None, PaddingPolicy(masked=False, length=16))
    with pytest.raises(VocabularyError, match=r"padding.id: expected -1 to 4 \(source.symbols\), got 5"):
        VocabularyFile(STRICT, None, PaddingPolicy(masked=True, id=5))


def test_separators_cut_and_nothing_else_does() -> None:
    """Text is cut at the separators alone, other white space is part of a symbol, and decode joins with one space."""
    side = Vocabulary("symbol", ("va", "ça\u202f", "va\u202f"), lowercase=True, separators=" !.")
    assert side.split("Ça\u202f  Va!!va\u202f.") == ["ça\u202f", "va", "va\u202f"]
    assert side.decode([0, 1]) == "va ça\u202f"


def test_removed_characters_are_gone_before_the_text_is_cut() -> None:
    """What is removed separates nothing and is no symbol."""
    assert Vocabulary("symbol", ("dont", "go"), removed="'.").encode("don't go.") == [0, 1]
    assert Vocabulary("char", ("a", "b"), removed="-").encode("a-b") == [0, 1]


def test_unknown_symbols_are_left_out_where_the_vocabulary_says_so() -> None:
    """`skip_unknown` is what `unknown="skip"` asks for; the caller may still ask for an error."""
    side = Vocabulary("symbol", ("a", "b"), skip_unknown=True)
    assert side.look_up("a x b") == ([0, 1], ["x"])
    with pytest.raises(UnknownSymbolError):
        side.encode("a x b", unknown="error")


def test_reading_rules_travel_and_fit_together(tmp_path: Path) -> None:
    """The file keeps the rules; those that contradict each other are errors."""
    side = Vocabulary("symbol", ("a",), removed="#", separators=" .", skip_unknown=True)
    file = VocabularyFile(side, None, PaddingPolicy(masked=False))
    file.write(tmp_path / "vocab.json")
    assert VocabularyFile.read(tmp_path / "vocab.json") == file
    with pytest.raises(VocabularyError, match="separators: only unit 'symbol' has them, got unit 'char'"):
        Vocabulary("char", ("a",), separators=" ")
    with pytest.raises(VocabularyError, match="skip_unknown: expected false, as unknown is 'a'"):
        Vocabulary("char", ("a",), unknown="a", skip_unknown=True)


def test_unknown_fields_are_named_with_the_field_that_was_meant(tmp_path: Path) -> None:
    """A misspelt field of the file, of a side or of the padding is an error, never ignored."""
    side = {"unit": "char", "symbols": ["a", "b"], "unknwon": "a", "lower_case": True}
    data = {"format": "s2s-vocabulary", "version": 1, "source": side, "target": None, "padding": {"masked": False}}
    with pytest.raises(VocabularyError) as caught:
        VocabularyFile.from_dict({**data, "padding": {"masked": False, "lenght": 3}, "colour": 1})
    said = str(caught.value)
    assert "source.unknwon: no such field; did you mean 'unknown'?" in said
    assert "source.lower_case: no such field; did you mean 'lowercase'?" in said
    assert "padding.lenght: no such field; did you mean 'length'?" in said
    assert "colour: no such field; expected format, version, max_length, source, target, padding" in said
