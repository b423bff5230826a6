"""Models that read more than one source: a mapping from names to rows goes in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import Manifest, Model
from s2s_runtime.errors import BundleError, InputError, OptionError

WORDS = ["abc", "f", "deadbeef"]
TAGS = [[1, 2, 3], [3], [1, 1, 2, 2, 3, 3, 0, 1]]
SPEAKERS = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model(fixtures: Path) -> Model:
    return s2s_runtime.load(fixtures / "tiny-sources.s2s")


def given(**changed: Any) -> dict[str, Any]:
    return {"words": WORDS, "tags": TAGS, "speaker": SPEAKERS, **changed}


def test_every_source_is_read(model: Model) -> None:
    """Each of the sources changes what is written, and sentences of mixed lengths decode as they do alone."""
    ids = [result.ids for result in model.generate(given())]
    alone = [
        model.generate({"words": [word], "tags": [tags], "speaker": [speaker]})[0].ids
        for word, tags, speaker in zip(WORDS, TAGS, SPEAKERS, strict=True)
    ]
    assert ids == alone
    scores = [result.score for result in model.generate(given(), return_scores=True)]
    for changed in ({"words": ["fed", "a", "feedbaed"]}, {"tags": [[3, 3, 1], [1], [0] * 8]}, {"speaker": -SPEAKERS}):
        assert [result.score for result in model.generate(given(**changed), return_scores=True)] != scores


@pytest.mark.parametrize("options", [{}, {"beam_size": 3, "num_hypotheses": 2}, {"max_batch_size": 1}])
def test_padded_arrays_are_lists(model: Model, options: dict[str, Any]) -> None:
    """Arrays padded to one width give what unpadded lists give: padding of words is padding of tags."""
    words, tags = np.zeros((3, 8), np.int64), np.zeros((3, 8), np.int64)
    for row, (word, each) in enumerate(zip(WORDS, TAGS, strict=True)):
        words[row, : len(word)] = ["#abcdef".index(letter) for letter in word]
        tags[row, : len(each)] = each
        tags[row, len(each) :] = 2  # whatever stands there
    padded = model.generate(given(words=words, tags=tags), **options)
    assert [r.ids for r in padded] == [r.ids for r in model.generate(given(), **options)]


def test_every_verb(model: Model) -> None:
    """Rows one at a time, streams, scores, states and alternatives take mappings too."""
    results = model.generate(given(), return_scores=True)
    rows = [{"words": w, "tags": t, "speaker": s} for w, t, s in zip(WORDS, TAGS, SPEAKERS, strict=True)]
    assert [r.ids for r in model.generate_iter(iter(rows), read_ahead=2)] == [r.ids for r in results]
    assert "".join(model.stream(rows[2])) == results[2].text
    ended = [h.hypotheses[0].finish_reason == "end" for h in results]
    scored = [
        model.score({name: [row[name]] for name in row}, [result.ids], add_end=end)[0].score
        for row, result, end in zip(rows, results, ended, strict=True)
    ]
    np.testing.assert_allclose(scored, [r.score for r in results], atol=1e-5)
    assert [r.ids for r in model.generate_from(model.encode(given()))] == [r.ids for r in results]
    alternatives = model.generate(given(), return_alternatives=True, num_hypotheses=2, beam_size=2)
    assert all(len(result.hypotheses) == 2 for result in alternatives)
    assert model.generate({"words": [], "tags": [], "speaker": []}) == []
    assert model.generate([]) == []


def test_empty_words(model: Model) -> None:
    """A sentence without words is empty, whatever stands beside it."""
    first, second = model.generate({"words": ["", "ab"], "tags": [[], [1, 2]], "speaker": SPEAKERS[:2]})
    assert first.ids == []
    assert second.ids == model.generate({"words": ["ab"], "tags": [[1, 2]], "speaker": SPEAKERS[1:2]})[0].ids


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["abc"], "inputs: this bundle's model reads 'words' and 'tags' and 'speaker'; expected a mapping from names"),
        (given(pos=[]), "inputs: this bundle's model reads 'words' and 'tags' and 'speaker', got 'words' and 'tags'"),
        ({"words": WORDS}, "reads 'words' and 'tags' and 'speaker', got 'words'"),
        (given(tags=TAGS[:2]), "expected as many rows for each name, got 3 of 'words', 2 of 'tags', 3 of 'speaker'"),
        (given(tags=[[1, 2], *TAGS[1:]]), "inputs['tags'][0]: expected 3 steps, as inputs['words'] has there, got 2"),
        (given(tags=[[1, 2, 9], *TAGS[1:]]), "inputs['tags'][0]: expected ids from 0 to 3, got 9"),
        (given(tags=["NVN", "N", "NNNNNNNN"]), "inputs['tags'][0]: expected ids: lists, or an integer array"),
        (given(words="abc"), "inputs['words']: expected a list of texts, got one text 'abc'; put it in a list"),
        (given(speaker=SPEAKERS[:, :2]), "inputs['speaker'][0]: expected a float array (sentences, 3), got float32"),
        (given(speaker=SPEAKERS[0]), "inputs['speaker']: expected a float array (sentences, 3), got float32 of shape"),
    ],
)
def test_wrong_inputs(model: Model, inputs: Any, message: str) -> None:
    """What doesn't fit is one clear error that names the source and the sentence."""
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        model.generate(inputs)
    assert "\n" not in str(caught.value)


def test_one_source_takes_its_name_too(tiny: Model) -> None:
    """A model of one source takes a mapping with that name, and refuses others."""
    assert tiny.generate({"source": ["abc"]})[0].ids == tiny.generate(["abc"])[0].ids
    with pytest.raises(InputError, match="expected a list of texts, got one text 'abc'"):
        tiny.generate({"source": "abc"})
    with pytest.raises(InputError, match="inputs: this bundle's model reads 'source', got 'words' and 'tags'"):
        tiny.generate({"words": ["abc"], "tags": [[1, 2, 3]]})


def test_ensembles_read_alike(model: Model, tiny: Model) -> None:
    """Members of an ensemble read the same sources."""
    together = s2s_runtime.ensemble([model, model])
    assert [r.ids for r in together.generate(given())] == [r.ids for r in model.generate(given())]
    with pytest.raises(OptionError, match="its list of other sources is not that of"):
        s2s_runtime.ensemble([model, tiny])


def test_manifest(fixtures: Path) -> None:
    """The other sources survive reading and writing; manifests of one source are as they were; mistakes are listed."""
    data = json.loads((fixtures / "tiny-sources.s2s" / "manifest.json").read_text(encoding="utf-8"))
    del data["sha256"]  # of what stands there, not of what is altered below
    assert Manifest.from_dict(data).to_dict() == data
    assert [tensor["name"] for tensor in data["source"]["inputs"]] == ["source", "source.1", "source.2"]
    one = json.loads((fixtures / "tiny.s2s" / "manifest.json").read_text(encoding="utf-8"))
    assert set(Manifest.from_dict(one).to_dict()["source"]) == {"kind", "size", "inputs"}
    data["source"]["inputs"][1]["name"] = "tags"
    data["source"]["others"][0]["padding"]["id"] = 4
    with pytest.raises(BundleError) as caught:
        Manifest.from_dict(data)
    assert "source.inputs: expected source, source.1, source.2, got ['source', 'tags', 'source.2']" in str(caught.value)
    assert "source.others[0].padding.id: expected 0 to 3 (its size), got 4" in str(caught.value)
    data["source"]["others"][0]["kind"] = "words"
    with pytest.raises(BundleError, match=re.escape("source.others[0].kind: expected one of 'ids', 'one-hot'")):
        Manifest.from_dict(data)


def test_commands(fixtures: Path) -> None:
    """s2s-decode says in one line that it can't; s2s-inspect shows the sources; s2s-bench measures."""
    from s2s_runtime.commands.bench import app as bench
    from s2s_runtime.commands.decode import app as decode
    from s2s_runtime.commands.inspect import app as inspect

    bundle = str(fixtures / "tiny-sources.s2s")
    refused = CliRunner().invoke(decode, [bundle, "abc"])
    assert refused.exit_code == 1
    assert "error: " in refused.stderr
    assert "reads 'words' and 'tags' and 'speaker', but a line holds one text" in refused.stderr
    assert refused.stderr.count("\n") == 1
    shown = CliRunner().invoke(inspect, [bundle])
    assert "tags: token ids (ids), 4 symbols, step by step beside it" in shown.stdout
    assert "speaker: one vector a sentence (vector), 3 features" in shown.stdout
    measured = CliRunner().invoke(bench, [bundle, "--repeats", "1", "--batch-size", "2", "--beam-size", "1", "--json"])
    assert measured.exit_code == 0, measured.stderr
