"""Training on the pieces of a sentencepiece model that exists already."""

import io
from pathlib import Path

import pytest
import sentencepiece
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import VocabularyFile
from s2s_training.commands.train import app
from s2s_training.data.corpus import Corpus, Example
from s2s_training.data.datasets import default_config
from s2s_training.data.sentencepiece_training import train_pieces
from s2s_training.data.vocabulary_builder import build_vocabulary
from s2s_training.errors import ConfigError, DataError

WORDS = ["tom", "went", "home", "late", "mary", "stayed", "here", "we", "won"]
LINES = [" ".join(WORDS[(i * k) % 9] for k in (1, 2, 5)) for i in range(60)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 40 pieces."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=written, vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    path = tmp_path_factory.mktemp("pieces") / "spm.model"
    path.write_bytes(written.getvalue())
    return path


def config(model: Path, **more: object):
    sides = {
        f"{side}_{name}": value
        for side in ("source", "target")
        for name, value in (("unit", "sentencepiece"), ("model", str(model)))
    }
    return default_config("x").override(**{**sides, **more})


def test_symbols_are_the_named_ones_and_every_piece(model: Path):
    """Padding is id 0 for the embedding's mask; all pieces stay, in the model's order, seen in the pairs or not."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    built = build_vocabulary(Corpus([Example("tom won", ("we won",))], []), config(model, min_count=9))
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    assert built.source.symbols == ("<pad>", "<unk>", *(p for p in pieces if p not in {"<unk>", "<s>", "</s>"}))
    assert built.target.symbols[:4] == ("<pad>", "<unk>", "<s>", "</s>")
    for vocabulary in (built.source, built.target):
        vocabulary.check_model()
        assert vocabulary.tokens(vocabulary.encode("tom went here")) == processor.encode("tom went here", out_type=str)
    assert built.max_length == len(processor.encode("we won")) + 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"source_model": None},
            "source_model: expected the .model file of spm_train, or a vocabulary_size to train one with, as",
        ),
        ({"target_unit": "char"}, "target_model: expected none, as target_unit is 'char'; got"),
    ],
)
def test_contradictions_are_refused(model: Path, given: dict, message: str):
    """One line that names the option."""
    with pytest.raises(ConfigError) as caught:
        config(model, **given)
    assert message in str(caught.value)


def test_a_missing_model_is_named(tmp_path: Path):
    """Before TensorFlow is imported; exit 1."""
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    options = ["--source-unit", "sentencepiece", "--source-model", "no.model"]
    found = CliRunner().invoke(app, [str(tmp_path / "pairs.tsv"), "-o", str(tmp_path / "run"), *options])
    assert found.exit_code == 1
    assert found.stderr == "error: source_model: no file 'no.model'; expected the .model file of spm_train\n"


@pytest.mark.tensorflow
def test_from_pairs_to_text_through_pieces(model: Path, tmp_path: Path):
    """Trained, exported and verified; the bundle alone cuts and joins text as the model does."""
    from s2s_export.commands.export import app as export_app

    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\t{line}\n" for line in LINES))
    options = [f"--{side}-{name}" for side in ("source", "target") for name in ("unit", "model")]
    values = ["sentencepiece", str(model)] * 2
    sides = [each for pair in zip(options, values, strict=True) for each in pair]
    sizes = ["--units", "16", "--embedding", "8", "--epochs", "1", "--score", "4"]
    run = tmp_path / "run"
    trained = CliRunner().invoke(app, [str(tmp_path / "pairs.tsv"), "-o", str(run), *sides, *sizes])
    assert trained.exit_code == 0, trained.output
    exported = CliRunner().invoke(export_app, [str(run / "model.keras")])
    assert exported.exit_code == 0, exported.output
    assert {path.suffix for path in (run / "model.s2s").iterdir()} <= {".json", ".onnx", ".bin"}
    loaded = s2s_runtime.load(run / "model.s2s")
    assert loaded.source_vocabulary == VocabularyFile.read(run / "vocab.json").source
    assert loaded.source_vocabulary.model == model.read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    [result] = loaded.generate(["tom went home"], beam_size=3)
    assert result.source_tokens == processor.encode("tom went home", out_type=str)
    assert result.text == processor.decode(result.tokens)


@pytest.mark.tensorflow
def test_a_model_may_be_trained_from_the_data(tmp_path: Path):
    """No model named, a size given: pieces are learned from the training sources and targets, always the same."""
    from s2s_training.train import prepare

    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\t{line.upper()}\n" for line in LINES))
    sides = {"source_unit": "sentencepiece", "target_unit": "sentencepiece", "vocabulary_size": 40}
    own = default_config(str(tmp_path / "pairs.tsv")).override(**sides, units=4)
    first, again = prepare(own).vocabulary, prepare(own).vocabulary
    assert first == again
    first.source.check_model()
    assert first.source.decode(first.source.encode("tom went home")) == "tom went home"
    assert first.target.decode(first.target.encode("TOM WENT HOME")) == "TOM WENT HOME"
    assert 20 < len(first.source) <= 42


def test_too_few_pieces_for_the_characters_is_an_error():
    """With what sentencepiece says about it."""
    with pytest.raises(DataError, match=r"^vocabulary_size: no sentencepiece model of 5 pieces from these texts: .*"):
        train_pieces(LINES, 5)
