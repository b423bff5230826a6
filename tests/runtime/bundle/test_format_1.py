"""A bundle of format 1, as the first release to write that format wrote it, decodes to what it decoded to then."""

import json

import pytest
from places import FIXTURES

import s2s_runtime

FORMAT_1 = FIXTURES / "format-1"


def test_an_old_bundle_decodes_as_it_did() -> None:
    """Texts, tokens and ids are the same, scores within rounding; its set-up isn't known, as nobody recorded it."""
    expected = [json.loads(line) for line in (FORMAT_1 / "decoded.jsonl").read_text(encoding="utf-8").splitlines()]
    with s2s_runtime.load(FORMAT_1 / "run" / "model.s2s") as model:
        found = model.generate([each["text"] for each in expected], beam_size=3, num_hypotheses=2)
        assert model.manifest.setup is None
    for result, then in zip(found, expected, strict=True):
        assert result.source_tokens == then["source_tokens"]
        for hypothesis, old in zip(result.hypotheses, then["hypotheses"], strict=True):
            assert (hypothesis.text, hypothesis.tokens, hypothesis.ids) == (old["text"], old["tokens"], old["ids"])
            assert hypothesis.score == pytest.approx(old["score"], abs=1e-4)


def test_an_old_vocabulary_file_is_read() -> None:
    """`vocab.json` of a run folder holds the symbols that its bundle holds."""
    file = s2s_runtime.VocabularyFile.read(FORMAT_1 / "run" / "vocab.json")
    manifest = s2s_runtime.read_manifest(FORMAT_1 / "run" / "model.s2s")
    assert (file.source, file.target) == (manifest.source_vocabulary, manifest.target_vocabulary)
