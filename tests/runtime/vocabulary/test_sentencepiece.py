"""Vocabularies of sentencepiece models: exactly as the package itself, from a file by hand to decoded text."""

from __future__ import annotations

import base64
import io
import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from places import TINY
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import Model, UnknownSymbolError, Vocabulary, VocabularyError, VocabularyFile
from s2s_runtime.bundle.manifest_file import read_manifest, write_manifest
from s2s_runtime.commands import inspect as inspect_cli

LINES = ["hello world", "the cat sat on the mat", "world cat, hello there", "ab ac bc abc cab"] * 10


def train(**options: object) -> bytes:
    """A small model."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=written,
        minloglevel=2,
        character_coverage=1.0,
        **{"vocab_size": 40, "hard_vocab_limit": False, **options},
    )
    return written.getvalue()


MODELS = {
    "unigram": train(),
    "bpe": train(model_type="bpe", pad_id=3),
    "bytes": train(byte_fallback=True, vocab_size=300),
    "symbols": train(user_defined_symbols=["<sep>"], control_symbols=["<ctl>"], add_dummy_prefix=False),
    "exact": train(normalization_rule_name="identity", remove_extra_whitespaces=False),
}
PROCESSORS = {name: sentencepiece.SentencePieceProcessor(model_proto=model) for name, model in MODELS.items()}


def side(name: str, **fields: object) -> Vocabulary:
    """A vocabulary of nothing but a model."""
    model = base64.b64encode(MODELS[name]).decode()
    return Vocabulary.from_dict({"unit": "sentencepiece", "model": model, **fields})


SIDES = {name: side(name) for name in MODELS}
texts = st.text() | st.lists(
    st.sampled_from(["hello", " ", "cat", "<s>", "<ctl>", "<sep>", "\u6f22", "\u2581", "<"])
).map("".join)


@pytest.mark.parametrize("name", MODELS)
@given(text=texts)
def test_texts_are_cut_and_joined_as_sentencepiece_does(name: str, text: str) -> None:
    """Ids, pieces and the text they give back are those of the package, whatever the text."""
    vocabulary, processor = SIDES[name], PROCESSORS[name]
    ids = processor.encode(text)
    assert vocabulary.encode(text) == ids
    assert vocabulary.split(text) == processor.encode(text, out_type=str)
    assert vocabulary.decode(ids) == processor.decode(ids)


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
def test_any_ids_are_joined_as_sentencepiece_does(name: str, data: st.DataObject) -> None:
    """Also sequences that no text gives, such as broken bytes; padding is left out at the ends only."""
    vocabulary, processor = SIDES[name], PROCESSORS[name]
    ids = data.draw(st.lists(st.integers(0, len(vocabulary) - 1), max_size=12))
    while ids and ids[-1] == vocabulary.padding_id:
        ids.pop()
    while ids and ids[0] == vocabulary.padding_id:
        ids.pop(0)
    assert vocabulary.decode(ids) == processor.decode(ids)


def test_fields_left_out_are_the_models() -> None:
    """Symbols are its pieces in its order, unknown and padding its own; start and end are none unless given."""
    processor = PROCESSORS["bpe"]
    vocabulary = side("bpe", end="</s>")
    assert vocabulary.symbols == tuple(processor.id_to_piece(i) for i in range(processor.get_piece_size()))
    assert (vocabulary.unknown_id, vocabulary.padding_id, vocabulary.end_id) == (0, 3, 2)
    assert vocabulary.start is None
    assert side("unigram").padding is None
    assert side("bpe", padding=None).padding is None


def test_symbols_may_stand_in_another_order() -> None:
    """Ids are positions in `symbols`, others may stand among them; a piece that is missing is an error."""
    pieces = SIDES["unigram"].symbols
    symbols = ["<pad>", *reversed(pieces)]
    vocabulary = side("unigram", symbols=symbols, padding="<pad>")
    vocabulary.check_model()
    ids = vocabulary.encode("hello \u6f22 cat")
    assert [symbols[token] for token in ids] == [
        pieces[number] for number in PROCESSORS["unigram"].encode("hello \u6f22 cat")
    ]
    assert vocabulary.decode([*ids, 0, 0]) == "hello \u2047 cat".replace("\u2047", " \u2047 ")
    fewer = side("unigram", symbols=[piece for piece in pieces if piece != pieces[5]])
    with pytest.raises(
        VocabularyError, match="symbols: expected every piece of the sentencepiece model, 1 are missing"
    ):
        fewer.check_model()


def test_what_the_model_does_not_know() -> None:
    """An unknown piece, as it is spelled, goes by policy; without an unknown symbol it is an error."""
    text = "cat \u6f22\u5b57 <s>"
    ids, missing = SIDES["unigram"].look_up(text)
    assert ids == PROCESSORS["unigram"].encode(text)
    assert missing == ["\u6f22\u5b57", "<", ">"]
    assert SIDES["unigram"].look_up(text, "skip")[0] == [token for token in ids if token != 0]
    for strict, policy in ((side("unigram", unknown=None), None), (SIDES["unigram"], "error")):
        with pytest.raises(UnknownSymbolError, match="unknown piece '\u6f22\u5b57' at position"):
            strict.look_up(text, policy)  # type: ignore[arg-type]


def test_a_file_by_hand_names_the_model_beside_it(tmp_path: Path) -> None:
    """`model_file` is read; what is written holds the model itself and reads back the same, without the file."""
    (tmp_path / "spm.model").write_bytes(MODELS["bpe"])
    both = {"unit": "sentencepiece", "model_file": "spm.model"}
    data = {
        "format": "s2s-vocabulary",
        "version": 1,
        "source": both,
        "target": {**both, "start": "<s>", "end": "</s>"},
        "padding": {"masked": True},
    }
    (tmp_path / "vocab.json").write_text(json.dumps(data))
    read = VocabularyFile.read(tmp_path / "vocab.json")
    assert read.padding.id == 3
    (tmp_path / "other").mkdir()
    read.write(tmp_path / "other" / "vocab.json")
    again = VocabularyFile.read(tmp_path / "other" / "vocab.json")
    assert again == read
    assert again.source is not None
    assert pickle.loads(pickle.dumps(again.source)).encode("hello cat") == PROCESSORS["bpe"].encode("hello cat")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"unit": "sentencepiece", "symbols": ["a"]}, "v: model: expected a sentencepiece model, as unit is"),
        (
            {"unit": "char", "symbols": ["a"], "model": "AAAA"},
            "v: model: expected none, as unit is 'char'|v: model: exp",
        ),
        ({"unit": "sentencepiece", "model": "no base 64"}, "v.model: expected a sentencepiece model in base64: "),
        ({"unit": "sentencepiece", "model": "AAAA"}, "v: model: expected a sentencepiece model: "),
        (
            {"unit": "sentencepiece", "model": ""},
            "v: model: expected a sentencepiece model, got 0 bytes without pieces",
        ),
        (
            {"unit": "sentencepiece", "model_file": "x"},
            "v.model_file: expected no model_file outside vocab.json; got 'x'",
        ),
    ],
)
def test_bad_models_are_refused(fields: dict[str, object], message: str) -> None:
    """One line that says which side, what came and what was expected."""
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.from_dict(fields, "v")


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    """And `model` beside `model_file` is refused."""
    with pytest.raises(
        VocabularyError, match=r"v\.model_file: expected a sentencepiece model beside vocab.json: .*x.model"
    ):
        Vocabulary.from_dict({"unit": "sentencepiece", "model_file": "x.model"}, "v", tmp_path)
    with pytest.raises(VocabularyError, match=r"v\.model_file: expected model or model_file, not both"):
        Vocabulary.from_dict({"unit": "sentencepiece", "model_file": "x", "model": "AAAA"}, "v", tmp_path)


@pytest.fixture(scope="module")
def bundle(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with pieces of one character each: 7 in the source, 8 in the target."""
    folder = tmp_path_factory.mktemp("pieces") / "pieces.s2s"
    shutil.copytree(fixtures / "tiny.s2s", folder)
    sides = []
    for letters, controls in (
        ("abc", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "pad_piece": "<pad>"}),
        ("ABCD", {"bos_id": 0, "eos_id": 1, "unk_id": 2}),
    ):
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([f"{letters} {letters}"] * 9),
            model_writer=written,
            model_type="char",
            vocab_size=4 + len(letters),
            minloglevel=2,
            normalization_rule_name="identity",
            **controls,
        )
        model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
        pieces = tuple(model.id_to_piece(i) for i in range(model.get_piece_size()))
        named = {"padding": "<pad>"} if "<pad>" in pieces else {"start": "<s>"}
        sides.append(
            Vocabulary("sentencepiece", pieces, unknown="<unk>", end="</s>", model=written.getvalue(), **named)  # type: ignore[arg-type]
        )
    manifest = replace(read_manifest(folder), source_vocabulary=sides[0], target_vocabulary=sides[1])
    write_manifest(folder, manifest)
    return folder


@pytest.fixture(scope="module")
def model(bundle: Path) -> Model:
    """The bundle, loaded."""
    return s2s_runtime.load(bundle)


def test_the_model_travels_inside_the_bundle(bundle: Path, model: Model) -> None:
    """Text in, text out as by the package's own encode and decode around ids; nothing but the bundle is read."""
    source, target = model.source_vocabulary, model.target_vocabulary
    assert source is not None
    assert target is not None
    assert source.model is not None
    assert target.model is not None
    reads, writes = (sentencepiece.SentencePieceProcessor(model_proto=each.model) for each in (source, target))
    for text in ("ab c", "cab", "a  bb"):
        for options in ({}, {"beam_size": 3, "num_hypotheses": 3}):
            [by_text] = model.generate([text], return_attention=True, **options)
            [by_ids] = model.generate([[*reads.encode(text), 1]], **options)
            assert [h.ids for h in by_text.hypotheses] == [h.ids for h in by_ids.hypotheses]
            assert [h.text for h in by_text.hypotheses] == [writes.decode(h.ids) for h in by_ids.hypotheses]
        assert "".join(model.stream(text)) == model.generate([text])[0].text
    [scored] = model.score(["ab"], ["AB D"])
    assert scored.token_scores == model.score(["ab"], [writes.encode("AB D")])[0].token_scores
    [prefixed] = model.generate(["abc"], prefix=["BA"])
    assert prefixed.ids[:3] == writes.encode("BA")


def test_unknown_pieces_are_listed_and_replaced(model: Model) -> None:
    """A result tells what the source's model didn't know; unknown targets become the source's piece, spaces spaces."""
    [result] = model.generate(["a\u6f22b"], replace_unknown=True, suppress_tokens=["A", "B", "C", "D", "\u2581"])
    assert result.unknown_symbols == ["\u6f22"]
    assert result.source_tokens[:2] == ["\u2581", "a"]
    assert "\u2581" not in result.text
    assert set(result.text) <= set("ab\u6f22 </s>")


def test_characters_of_several_bytes_are_streamed_whole() -> None:
    """With byte pieces a character comes when its last byte does; bytes that never get whole come at the end."""
    vocabulary = SIDES["bytes"]
    start, end = PROCESSORS["bytes"].bos_id(), PROCESSORS["bytes"].eos_id()
    whole = PROCESSORS["bytes"].encode("cat \u6f22\u5b57 a")
    for ids in (whole, whole[:-3]):
        model = written_one_by_one(vocabulary, ids, start, end)
        pieces = list(model.stream([1]))
        assert "".join(pieces) == PROCESSORS["bytes"].decode(ids)
        assert "\ufffd" not in "".join(pieces[:-1])


def written_one_by_one(vocabulary: Vocabulary, ids: list[int], start: int, end: int) -> Model:
    """A model that writes just these ids."""
    from s2s_runtime.search.step_model import StepOutput

    class Writes:
        def encode(self, source: np.ndarray) -> list[int]:
            return []

        def step(self, states: list[int], tokens: np.ndarray, *, attention: bool = False) -> StepOutput:
            states.append(0)
            following = [*ids, end][len(states) - 1]
            return StepOutput(np.eye(len(vocabulary), dtype=np.float32)[[following]], None)

    manifest = read_manifest(TINY)
    named = replace(vocabulary, start=vocabulary.symbols[start], end=vocabulary.symbols[end])
    target = replace(
        manifest.target, size=len(vocabulary), start_id=start, end_ids=(end,), unknown_id=None, max_length=99
    )
    manifest = replace(manifest, target=target, target_vocabulary=named)
    return Model(manifest, Writes())  # type: ignore[arg-type]


def test_without_the_package_there_is_one_error(bundle: Path) -> None:
    """Loading names the extra; a bundle without pieces loads; inspecting needs it not."""
    code = "import sys; sys.modules['sentencepiece'] = None; import s2s_runtime; s2s_runtime.load(sys.argv[1])"
    found = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False)
    assert found.stderr.splitlines()[-1] == (
        "s2s_runtime.errors.MissingExtraError: sentencepiece is not installed: pip install 's2s-runtime[sentencepiece]'"
    )
    tiny = str(TINY)
    assert subprocess.run([sys.executable, "-c", code, tiny], check=False).returncode == 0
    code = "import sys; sys.modules['sentencepiece'] = None; from s2s_runtime.commands.inspect import main; main()"
    shown = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False)
    assert "unit sentencepiece" in shown.stdout


def test_inspect_does_not_print_the_model(bundle: Path) -> None:
    """The table names the unit; the model's bytes are for --json only."""
    shown = CliRunner().invoke(inspect_cli.app, [str(bundle)]).stdout
    assert "7 symbols, unit sentencepiece" in shown
    assert len(shown) < 10_000
