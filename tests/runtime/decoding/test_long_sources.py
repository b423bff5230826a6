"""Sources longer than allowed: an error, truncated, or decoded in parts; by every verb the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import FIXTURES
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import Decoder, InputError, Model, OptionError
from s2s_runtime.commands import decode

SOURCES = ["abc", "abcdeabcdeab", "", "edcbaedcba"]


def by_every_verb(model: Model, folder: Path, sources: list[str], **options: Any) -> dict[str, list[str]]:
    """The texts of sources by each verb that decodes."""
    (folder / "in").write_text("".join(f"{text}\n" for text in sources))
    model.generate_file(folder / "in", folder / "out", **options)
    with Decoder(model, **options) as decoder:
        futures = [decoder.submit(source) for source in sources]
        batched = [future.result(20).text for future in futures]
    return {
        "generate": [result.text for result in model.generate(sources, **options)],
        "one by one": [model.generate([source], **options)[0].text for source in sources],
        "generate_iter": [result.text for result in model.generate_iter(sources, read_ahead=2, **options)],
        "generate_file": (folder / "out").read_text().split("\n")[:-1],
        "stream": ["".join(model.stream(source, **options)) for source in sources],
        "Decoder": batched,
    }


@pytest.mark.parametrize(
    "options", [{}, {"no_repeat_ngram_size": 1}, {"sampling_temperature": 2.0, "seed": 3}], ids=str
)
def test_parts_are_decoded_by_themselves_and_joined(tiny: Model, tmp_path: Path, options: dict[str, Any]) -> None:
    """Each part as `generate` decodes it alone, end symbol and all."""
    parts = {"abcdeabcdeab": ["abcde", "abcde", "ab"], "edcbaedcba": ["edcba", "edcba"]}
    expected = [
        "".join(result.text for result in tiny.generate(parts.get(source, [source]), **options)) for source in SOURCES
    ]
    limit = {"max_source_length": 6, "on_long": "split"}  # with the end symbol
    for verb, texts in by_every_verb(tiny, tmp_path, SOURCES, **limit, **options).items():
        assert texts == expected, verb


def test_a_split_result_says_so(tiny: Model) -> None:
    """Its parts are whole results; ids, tokens, scores of tokens and attention are theirs one after the other."""
    given: dict[str, Any] = {"return_token_scores": True, "return_attention": True}
    [short, result] = tiny.generate(["abc", "abcdeabcdeab"], max_source_length=6, on_long="split", **given)
    assert (short.parts, short.left_out) == ([], 0)
    assert result.parts == tiny.generate(["abcde", "abcde", "ab"], **given)
    assert result.ids == [token for part in result.parts for token in part.ids]
    assert result.source_tokens == [token for part in result.parts for token in part.source_tokens]
    best = result.hypotheses[0]
    assert best.token_scores == [score for part in result.parts for score in part.hypotheses[0].token_scores or ()]
    assert best.attention is not None
    assert best.attention.shape == (len(result.ids), len(result.source_tokens))
    np.testing.assert_allclose(best.attention.sum(axis=1), 1, atol=1e-5)
    counts = [len(part.ids) for part in result.parts]
    assert result.score == pytest.approx(np.average([part.score or 0 for part in result.parts], weights=counts))
    assert len(result.to_dict()["parts"]) == 3  # type: ignore[arg-type]
    assert "parts=3" in repr(result)


def test_the_end_of_a_long_source_is_left_out(tiny: Model, tmp_path: Path) -> None:
    """Truncated, with its end symbol; the result says how much is missing."""
    limit: dict[str, Any] = {"max_source_length": 6, "on_long": "truncate"}
    expected = [result.text for result in tiny.generate([source[:5] for source in SOURCES])]
    for verb, texts in by_every_verb(tiny, tmp_path, SOURCES, **limit).items():
        assert texts == expected, verb
    results = tiny.generate(SOURCES, **limit)
    assert [result.left_out for result in results] == [0, 7, 0, 5]
    assert results[1].to_dict()["left_out"] == 7
    assert (
        tiny.generate([[2, 3, 4, 5]], max_source_length=2, on_long="truncate")[0].ids == tiny.generate([[2, 3]])[0].ids
    )


def test_a_prefix_begins_the_first_part_alone(tiny: Model) -> None:
    """It is the beginning of the target."""
    [result] = tiny.generate(["abcdeab"], prefix=["EE"], max_source_length=6, on_long="split")
    assert result.parts[0] == tiny.generate(["abcde"], prefix=["EE"])[0]
    assert result.parts[1] == tiny.generate(["ab"])[0]


def test_models_of_a_fixed_length_need_no_other_limit(tiny_onehot: Model) -> None:
    """What is longer than the bundle's model was made for is truncated or split too; a row of ids as it is."""
    with pytest.raises(
        InputError, match=r"8 tokens, but this bundle's model reads sources padded to 6; shorten it, or"
    ):
        tiny_onehot.generate(["abcdabcd"])
    [result] = tiny_onehot.generate(["abcdabcd"], on_long="truncate")
    assert (result.text, result.left_out) == (tiny_onehot.generate(["abcdab"])[0].text, 2)
    for source in ("abcdabcd", [0, 1, 2, 3, 0, 1, 2, 3], np.array([0, 1, 2, 3, 0, 1, 2, 3])):
        [result] = tiny_onehot.generate([source], on_long="split")
        assert [part.text for part in result.parts] == [r.text for r in tiny_onehot.generate(["abcdab", "cd"])]
        assert result.text == "".join(part.text for part in result.parts)


def test_other_sources_are_truncated_with_the_first() -> None:
    """Those that go with it step by step; such a model's sources can't be split."""
    model = s2s_runtime.load(FIXTURES / "tiny-sources.s2s")
    given = {"words": ["abcdef"], "tags": [[1, 2, 1, 2, 1, 2]], "speaker": [[0.5] * 2]}
    size = model.manifest.source.others[1].size
    given["speaker"] = [[0.5] * size]
    [result] = model.generate(given, max_source_length=4, on_long="truncate")
    short = {"words": ["abcd"], "tags": [[1, 2, 1, 2]], "speaker": [[0.5] * size]}
    assert (result.ids, result.left_out) == (model.generate(short)[0].ids, 2)
    with pytest.raises(OptionError, match="on_long: 'split' needs a model of one source"):
        model.generate(given, max_source_length=4, on_long="split")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_long": "cut"}, "on_long: expected 'error' or 'truncate' or 'split', got 'cut'"),
        (
            {"on_long": "split"},
            "on_long: has no effect without max_source_length, as this bundle's model reads any length",
        ),
        (
            {"on_long": "split", "max_source_length": 3, "beam_size": 2, "num_hypotheses": 2},
            "on_long: 'split' joins the best of each part; expected num_hypotheses 1, got 2",
        ),
        ({"on_long": "split", "max_source_length": 3, "callback": print}, "on_long: 'split' can't be combined with a"),
    ],
    ids=["value", "no limit", "hypotheses", "callback"],
)
def test_what_has_no_meaning_is_refused(tiny: Model, options: dict[str, Any], message: str) -> None:
    """Before anything runs."""
    with pytest.raises(OptionError, match=message):
        tiny.generate([], **options)


def test_a_limit_without_room_is_an_error(tiny: Model) -> None:
    """A length that the end symbol alone fills leaves nothing to decode."""
    with pytest.raises(InputError, match="expected at most max_source_length = 1 tokens, got 3"):
        tiny.generate(["ab"], max_source_length=1, on_long="split")
    [result] = tiny.generate(["ab"], max_source_length=1, on_long="split", on_error="return")
    assert isinstance(result.error, InputError)


def test_unknown_symbols_stay_with_their_parts(tiny: Model) -> None:
    """Those of the whole text are listed, in its order; each part has its own."""
    model_options: dict[str, Any] = {"max_source_length": 4, "on_long": "split", "unknown_symbols": "skip"}
    [result] = tiny.generate(["aXb cdY"], **model_options)
    assert result.unknown_symbols == ["X", "Y"]
    assert [part.unknown_symbols for part in result.parts] == [["X"], ["Y"]]


def test_the_command_says_how_many_texts_were_too_long(tmp_path: Path) -> None:
    """On stderr, at the end; with --json the result has its parts."""
    arguments = [str(FIXTURES / "tiny.s2s"), "abc", "abcdeabcdeab", "--max-source-length", "6", "--on-long"]
    done = CliRunner().invoke(decode.app, [*arguments, "split", "--json"])
    assert done.stderr == "warning: 1 text was longer than allowed and split\n"
    assert len(json.loads(done.stdout.splitlines()[1])["parts"]) == 3
    done = CliRunner().invoke(decode.app, [*arguments, "truncate"])
    assert done.stderr == "warning: 1 text was longer than allowed and truncated\n"
    done = CliRunner().invoke(decode.app, [*arguments, "truncate", "--stream"])
    assert done.stderr == "warning: 1 text was longer than allowed and truncated\n"
