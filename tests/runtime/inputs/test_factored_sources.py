"""Bundles whose texts have factors, decoded by every verb and command."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import Manifest, Model
from s2s_runtime.errors import BundleError, InputError, OptionError, UnknownSymbolError

SAID = {"the": "DHAH", "to": "TUW", "lead|N": "LEHD", "lead|V": "LIYD", "wind|N": "WIHND", "wind|V": "WAYND"}
PHRASES = ["the|D lead|N", "lead|V", "to|P wind|V the|D wind|N", "wind|N lead|V lead|N wind|V to|P"]


@pytest.fixture(scope="module")
def model(fixtures: Path) -> Model:
    return s2s_runtime.load(fixtures / "tiny-factors.s2s")


def said(phrase: str) -> str:
    """What the bundle was made to write: each word is said as its factor tells."""
    return " ".join(SAID.get(word, SAID.get(word.partition("|")[0], "")) for word in phrase.split())


def texts(model: Model, phrases: Any, **options: Any) -> list[str]:
    return [result.text for result in model.generate(phrases, **options)]


@pytest.mark.parametrize("options", [{}, {"beam_size": 3}, {"max_batch_size": 1}, {"engine": "steps"}])
def test_factors_tell_words_apart(model: Model, options: dict[str, Any]) -> None:
    """Sentences of all lengths are said as they were made to be, together, alone and in any order."""
    assert texts(model, PHRASES, **options) == [said(phrase) for phrase in PHRASES]
    for order in itertools.islice(itertools.permutations(PHRASES), 0, 24, 7):
        assert texts(model, order, **options) == [said(phrase) for phrase in order]
    draw = random.Random(1)
    many = [" ".join(draw.choices(["the|D", "lead|N", "lead|V", "wind|N"], k=draw.randint(1, 9))) for _ in range(40)]
    assert texts(model, many, **options) == [said(phrase) for phrase in many]
    scores = [result.score for result in model.generate(many, return_scores=True, **options)]
    alone = [model.generate([each], return_scores=True, **options)[0].score for each in many]
    np.testing.assert_allclose(scores, alone, atol=1e-5)


def test_results_speak_of_words(model: Model) -> None:
    """Source tokens and attention are of words; so is a source token that stands for an unknown one."""
    [result] = model.generate(["the|D lead|N"], return_attention=True)
    assert result.source_tokens == ["the", "lead"]
    assert result.hypotheses[0].attention is not None
    assert result.hypotheses[0].attention[:2].argmax(axis=1).tolist() == [0, 1]
    [copied] = model.generate(["the|D dog|X lead|V"], replace_unknown=True)
    assert (copied.text, copied.unknown_symbols) == ("DHAH dog LIYD", ["dog", "|X"])


def test_every_verb_reads_the_text(model: Model) -> None:
    """Rows one at a time, streams, scores, states, alternatives and prefixes."""
    results = model.generate(PHRASES, return_scores=True)
    assert [r.ids for r in model.generate_iter(iter(PHRASES), read_ahead=2)] == [r.ids for r in results]
    assert "".join(model.stream(PHRASES[2])) == results[2].text
    scored = [result.score for result in model.score(PHRASES, [said(phrase) for phrase in PHRASES])]
    np.testing.assert_allclose(scored, [result.score for result in results], atol=1e-5)
    assert [r.ids for r in model.generate_from(model.encode(PHRASES))] == [r.ids for r in results]
    begun = model.generate(PHRASES[:1], prefix=["TUW"])
    assert begun[0].text == "TUW LEHD"
    together = s2s_runtime.ensemble([model, model])
    assert texts(together, PHRASES) == [said(phrase) for phrase in PHRASES]
    assert texts(model, []) == []
    assert texts(model, ["", "lead|V", " "]) == ["", "LIYD", ""]


def test_ids_have_names(model: Model) -> None:
    """Ids of words and factors, as lists or as padded arrays, give what the text gives."""
    words, tags = model.source_vocabulary, model.source_vocabulary.factors[0]  # type: ignore[union-attr]
    cut = [[unit.split("|") for unit in phrase.split()] for phrase in PHRASES]
    rows = [[words.id_of(word) for word, _ in row] for row in cut]  # type: ignore[union-attr]
    beside = [[tags.id_of(tag) for _, tag in row] for row in cut]
    expected = [said(phrase) for phrase in PHRASES]
    assert texts(model, {"words": rows, "tags": beside}) == expected
    assert texts(model, [{"words": row, "tags": own} for row, own in zip(rows, beside, strict=True)]) == expected
    padded = [np.array([row + [0] * (6 - len(row)) for row in side]) for side in (rows, beside)]
    assert texts(model, dict(zip(("words", "tags"), padded, strict=True))) == expected
    assert texts(model, {"words": PHRASES}) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["the|D lead"], r"^inputs\[0\]: expected 1 factor behind each word \(word\|tags\), got 'lead' as word 2"),
        (["lead|N", "lead|N|x"], r"^inputs\[1\]: expected 1 factor .* got 'lead\|N\|x'"),
        ([[2, 4]], r"^inputs\[0\]: expected words as 'word\|tags', or ids .*; got ids without their factors"),
        (np.array([[2, 4]]), "got ids without their factors"),
        ({"words": ["lead|N"], "tags": [[3]]}, "got factors both in the text and beside it"),
        ({"words": [[4]], "tags": [[3, 3]]}, r"inputs\['tags'\]\[0\]: expected 1 steps"),
        ({"words": [[4]], "tags": [[9]]}, "expected ids from 0 to 5, got 9"),
        ({"words": [[4]], "tag": [[3]]}, "this bundle's model reads 'words', got 'words' and 'tag'"),
        ([4.5], "expected texts of words as 'word"),
    ],
)
def test_a_wrong_row_is_named(model: Model, given: Any, message: str) -> None:
    """What was expected says how factors are written."""
    with pytest.raises(InputError, match=message):
        model.generate(given)


def test_a_wrong_row_may_be_returned(model: Model) -> None:
    """The others are decoded."""
    results = model.generate(["lead|N", "lead", "lead|V"], on_error="return")
    assert [result.text for result in results] == ["LEHD", "", "LIYD"]
    assert isinstance(results[1].error, InputError)


def test_unknown_factors(model: Model) -> None:
    """The policy of symbols is that of factors."""
    with pytest.raises(UnknownSymbolError, match="unknown factor 'X'"):
        model.generate(["lead|X"], unknown_symbols="error")
    [left_out] = model.generate(["the|D lead|X to|P"], unknown_symbols="skip")
    assert (left_out.text, left_out.unknown_symbols) == ("DHAH TUW", ["|X"])


@pytest.mark.parametrize("policy", ["split", "truncate"])
def test_long_sources_are_cut_between_words(model: Model, policy: str) -> None:
    """Each part has the factors of its own words."""
    phrase = "wind|N lead|V lead|N wind|V to|P"
    [result] = model.generate([phrase], on_long=policy, max_source_length=2)
    assert result.text == (said(phrase) if policy == "split" else said("wind|N lead|V"))


def test_a_lexicon_is_asked_for_the_text_and_then_for_its_words(model: Model) -> None:
    """An entry with factors comes before one without."""
    entries = {"lead|V": ["guide"], "lead": ["metal"], "the wind": ["breeze"]}
    phrases = ["lead|V", "lead|N", "the|D wind|N", "wind|N"]
    assert texts(model, phrases, lexicon=entries) == ["guide", "metal", "breeze", "WIHND"]


def run(app: Any, *arguments: object, given: str | None = None) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)


def test_commands_read_the_text(fixtures: Path, tmp_path: Path) -> None:
    """Lines, pairs, records, measurements: a line is a text with its factors."""
    from s2s_runtime.commands.bench import app as bench
    from s2s_runtime.commands.decode import app as decode
    from s2s_runtime.commands.evaluate import app as evaluate
    from s2s_runtime.commands.inspect import app as inspect

    bundle = fixtures / "tiny-factors.s2s"
    assert run(decode, bundle, given="\n".join(PHRASES)).stdout.splitlines() == [said(phrase) for phrase in PHRASES]
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{phrase}\t{said(phrase)}\n" for phrase in PHRASES), encoding="utf-8")
    assert json.loads(run(evaluate, bundle, pairs, "--json").stdout)["sequence_error_rate"] == 0
    shown = run(inspect, bundle).stdout
    assert "tags: token ids (ids), 6 symbols, a factor of each symbol" in shown
    assert "words as word|tags" in shown
    assert "source.1 int64 1x2: 2 3" in run(inspect, bundle, "--trace", "the|D lead|N").stdout
    result = run(decode, bundle, "lead")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "error: text 1: expected 1 factor behind each word" in result.stderr
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(PHRASES), encoding="utf-8")
    effort = ("--batch-size", 2, "--beam-size", 1, "--repeats", 1, "--rounds", 1, "--warm-up", 1, "--json")
    for sources in ([], ["--text", lines]):
        measured = run(bench, bundle, *effort, *sources)
        assert measured.exit_code == 0, measured.output


def altered(fixtures: Path, change: Any) -> dict[str, Any]:
    data = json.loads((fixtures / "tiny-factors.s2s" / "manifest.json").read_text(encoding="utf-8"))
    data.pop("sha256")
    change(data)
    return dict(data)


def factor_of(data: dict[str, Any]) -> dict[str, Any]:
    factor: dict[str, Any] = data["vocabulary"]["source"]["factors"]["inputs"][0]
    return factor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: factor_of(data).update(name="cases"), "'cases': expected one of what is read beside the source"),
        (lambda data: factor_of(data)["symbols"].append("X"), r"'tags': expected 6 symbols \(its size\), got 7"),
        (
            lambda data: data["source"]["others"][0].update(aligned=False),
            "'tags': expected an input of ids with as many",
        ),
        (lambda data: data["vocabulary"]["source"]["factors"].update(inputs=[]), "factors: expected at least one"),
        (
            lambda data: data["vocabulary"]["source"]["factors"].update(seperator="|"),
            "factors.seperator: no such field",
        ),
        (
            lambda data: data["vocabulary"]["target"].update(factors=data["vocabulary"]["source"]["factors"]),
            "vocabulary.target.factors: no such field",
        ),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(fixtures: Path, change: Any, message: str) -> None:
    """Factors are inputs of ids beside the source, of the same sizes."""
    with pytest.raises(BundleError, match=message):
        Manifest.from_dict(altered(fixtures, change))


def test_other_inputs_stand_beside_texts(fixtures: Path, tmp_path: Path) -> None:
    """Where more is read than the text says, a mapping has the texts and the rest."""
    bundle = tmp_path / "sources.s2s"
    shutil.copytree(fixtures / "tiny-sources.s2s", bundle)
    data = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    data.pop("sha256")
    tags = {"name": "tags", "symbols": ["a", "b", "c", "d"]}
    data["vocabulary"]["source"]["factors"] = {"inputs": [tags]}
    (bundle / "manifest.json").write_text(json.dumps(data), encoding="utf-8")
    model, plain = s2s_runtime.load(bundle), s2s_runtime.load(fixtures / "tiny-sources.s2s")
    speaker = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    got = model.generate({"words": ["abc|b", "f|d"], "speaker": speaker})
    expected = plain.generate({"words": ["abc", "f"], "tags": [[1, 1, 1], [3]], "speaker": speaker})
    assert [result.ids for result in got] == [result.ids for result in expected]
    with pytest.raises(OptionError, match="on_long: 'split' needs a model of one source"):
        model.generate({"words": ["abc|b"], "speaker": speaker[:1]}, on_long="split", max_source_length=2)
    with pytest.raises(InputError, match="expected a mapping from names"):
        model.generate(["abc|b"])


def test_the_server_asks_for_texts_alone(model: Model) -> None:
    """A text says its factors: they are no inputs of the protocol."""
    inference = pytest.importorskip("s2s_runtime.serving.inference", exc_type=ImportError)
    assert inference.input_specs(model.manifest) == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
