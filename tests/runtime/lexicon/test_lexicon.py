"""Lexicons: what they have is not decoded, by any verb; files as people have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s2s_runtime import Decoder, InputError, Lexicon, Model, OptionError, read_lexicon

KNOWN: dict[str, Any] = {"abc": ["A", ("B E", 0.2), ("D", 0.9), ("D", 0.1)], "not known": "C?"}
SOURCES = ["abc", "de", "", "not known", "edc"]


def test_only_what_it_lacks_is_decoded(tiny: Model) -> None:
    """Hits have their outputs by weight, the others what they have by themselves; each verb says the same."""
    expected = [["D", "B E", "A"], None, None, ["C?"], None]
    plain = tiny.generate(["de", "", "edc"], beam_size=3, num_hypotheses=3)
    results = tiny.generate(SOURCES, lexicon=KNOWN, beam_size=3, num_hypotheses=3)
    assert [r.to_dict() for r in (results[1], results[2], results[4])] == [r.to_dict() for r in plain]
    for result, texts in zip(results, expected, strict=True):
        if texts is not None:
            assert [h.text for h in result.hypotheses] == texts
            assert {(h.finish_reason, h.score) for h in result.hypotheses} == {("lexicon", None)}
    assert results[0].hypotheses[0].ids == tiny.target_vocabulary.encode("D")  # type: ignore[union-attr]
    assert results[3].hypotheses[0].ids == []
    one = [r.to_dict() for r in tiny.generate(SOURCES, lexicon=KNOWN)]
    assert one == [tiny.generate([source], lexicon=KNOWN)[0].to_dict() for source in SOURCES]
    assert one == [r.to_dict() for r in tiny.generate_iter(SOURCES, lexicon=Lexicon(KNOWN), read_ahead=2)]
    texts = [result["hypotheses"][0]["text"] for result in one]  # type: ignore[index]
    assert texts == ["".join(tiny.stream(source, lexicon=KNOWN)) for source in SOURCES]
    with Decoder(tiny, lexicon=KNOWN) as decoder:
        assert texts == [decoder.submit(source).result(60).text for source in SOURCES]


def test_merged_it_comes_before_the_model(tiny: Model) -> None:
    """All that is distinct, the lexicon's first, at most num_hypotheses; the rest keeps its order and its scores."""
    plain = tiny.generate(["abc"], beam_size=4, num_hypotheses=4)[0].hypotheses
    known = {"abc": [plain[2].text, "E?"]}
    [merged] = tiny.generate(["abc"], lexicon=known, lexicon_use="merge", beam_size=4, num_hypotheses=4)
    assert [h.text for h in merged.hypotheses] == [plain[2].text, "E?", plain[0].text, plain[1].text]
    assert [h.score for h in merged.hypotheses] == [None, None, plain[0].score, plain[1].score]
    with pytest.raises(InputError):  # decoded all the same, so that it has to be read
        tiny.generate([["no"]], lexicon=KNOWN, lexicon_use="merge")


def test_sources_are_compared_as_the_vocabulary_reads_them(tiny: Model) -> None:
    """Where it lowercases, so does the look-up; outputs of sources that are the same then come one after the other."""
    vocabulary = replace(tiny.source_vocabulary, lowercase=True)  # type: ignore[type-var]
    model = Model(replace(tiny.manifest, source_vocabulary=vocabulary), tiny.step_model)
    lexicon = Lexicon({"ABC": "A", "abc": ["B", "A"]})
    for _ in range(2):
        [result] = model.generate(["aBc"], lexicon=lexicon, beam_size=2, num_hypotheses=2)
        assert [h.text for h in result.hypotheses] == ["A", "B"]
    assert tiny.generate(["abc"], lexicon=lexicon)[0].text == "B"


def test_files_tell_their_format(tmp_path: Path) -> None:
    """Tabs, CMUdict or Moses by the first line that is no comment; said, a line of another kind is an error."""
    file = tmp_path / "file"
    for content, expected in (
        ("a b\tx\t1\na b\ty\t2\nc\tz\n", {"a b": ("y", "x"), "c": ("z",)}),
        (
            ";;; head\nDON'T  D OW1 N T\nDON'T(2)  D AH N T\n\nA  AH0 # letter\n",
            {"DON'T": ("D OW1 N T", "D AH N T"), "A": ("AH0",)},
        ),
        ("a b ||| x y ||| 0.5 1 0.1 1 ||| 0-0\na b ||| z ||| 0.2 1 0.8 1\n", {"a b": ("z", "x y")}),
    ):
        file.write_text(content)
        assert dict(read_lexicon(file)) == expected
    file.write_text("a  b\n")
    assert dict(read_lexicon(file, "cmudict")) == {"a": ("b",)}
    for format, content, message in (
        ("tsv", "a  b\n", "line 1: expected source<TAB>output or source<TAB>output<TAB>weight, got 'a  b'"),
        ("tsv", "a\tb\tmuch\n", "line 1: expected source<TAB>output"),
        (None, "word\n", "line 1: expected a word and its phones, got 'word'"),
        (None, "a ||| b ||| high\n", "line 1: expected source ||| output ||| scores"),
        (None, ";;; nothing\n\n", "expected a lexicon, got no entry"),
    ):
        file.write_text(content)
        with pytest.raises(InputError) as caught:
            read_lexicon(file, format)  # type: ignore[arg-type]
        assert message in str(caught.value)
    with pytest.raises(OptionError, match="format: expected 'tsv' or 'cmudict' or 'moses' or None, got 'csv'"):
        read_lexicon(file, "csv")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lexicon": ["abc"]}, "lexicon: expected a mapping, got"),
        ({"lexicon": {"a": 1}}, "lexicon['a']: expected a text, or a list of texts or of pairs (text, weight), got 1"),
        ({"lexicon": {"a": []}}, "lexicon['a']: expected a text, or a list"),
        ({"lexicon": {"a": [("b", "c")]}}, "lexicon['a']: expected a text, or a list"),
        ({"lexicon": {1: "a"}}, "lexicon: expected texts as sources, got 1"),
        ({"lexicon_use": "merge"}, "lexicon_use: has no effect without lexicon"),
        ({"lexicon": KNOWN, "allowed_sequences": ["A"]}, "lexicon: can't be combined with allowed_sequences"),
    ],
)
def test_what_is_no_lexicon_is_one_error(tiny: Model, options: dict[str, Any], message: str) -> None:
    """Before anything runs, and it names the entry."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], **options)
    assert message in str(caught.value)
