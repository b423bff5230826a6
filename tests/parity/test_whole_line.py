"""From pairs of text to tokens without TensorFlow: train, export, decode in every order, and compare with Keras."""

import json
import random
from pathlib import Path

import pytest
from compare_with_keras import compare
from typer.testing import CliRunner

import s2s_runtime
from s2s_export.commands.export import app as export_app
from s2s_runtime.evaluation import decode_pairs, evaluate, read_references
from s2s_training.commands.train import app as train_app

pytestmark = pytest.mark.tensorflow

KINDS = {
    "the tutorial's model": ["--tutorial", "--units", "24", "--epochs", "2"],
    "a word-level GRU": [
        *["--cell", "gru", "--source-unit", "word", "--target-unit", "word"],
        *["--units", "24", "--embedding", "12", "--epochs", "2"],
    ],
    "a bidirectional LSTM with attention": [
        *["--bidirectional", "--attention", "dot", "--units", "12", "--embedding", "12", "--epochs", "2"],
    ],
    "input feeding and scheduled sampling": [
        *["--attention", "additive", "--input-feeding", "--scheduled-sampling", "0.5", "--sampling-steps", "4"],
        *["--dropout", "0.1", "--units", "12", "--embedding", "12", "--epochs", "2"],
    ],
    "free running": ["--free-running", "--bidirectional", "--units", "8", "--embedding", "0", "--epochs", "2"],
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of a few words and their words in other order: enough for outputs that vary."""
    rng = random.Random(0)
    words = ["go", "run", "tom", "is", "home", "cold", "we", "won"]
    rows = {tuple(rng.choices(words, k=rng.randint(1, 4))) for _ in range(150)}
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    path.write_text("".join(f"{' '.join(row)}\t{' '.join(row[::-1])}!\n" for row in sorted(rows)), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_bundle_gives_the_tokens_of_keras(
    kind: str, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Greedy and beam tokens equal Keras's, and don't depend on batch or order."""
    run = tmp_path / "run"
    trained = CliRunner().invoke(train_app, [str(pairs), "-o", str(run), "--score", "20", *KINDS[kind]])
    assert trained.exit_code == 0, trained.output
    exported = CliRunner().invoke(export_app, [str(run / "model.keras")])
    assert exported.exit_code == 0, exported.output
    assert compare(run, pairs, 30, 3 if "attention" in kind or "feeding" in kind else 1), capsys.readouterr().out


def test_training_and_evaluation_count_the_same_errors(pairs: Path, tmp_path: Path) -> None:
    """Also where the unknown symbol would be the most probable one, as most targets of training hold it."""
    run = tmp_path / "run"
    options = ["--source-unit", "word", "--target-unit", "word", "--min-count", "60", "--units", "8", "--epochs", "2"]
    trained = CliRunner().invoke(train_app, [str(pairs), "-o", str(run), *options, "--json"])
    assert trained.exit_code == 0, trained.output
    exported = CliRunner().invoke(export_app, [str(run / "model.keras")])
    assert exported.exit_code == 0, exported.output
    model = s2s_runtime.load(run / "model.s2s")
    decoded = decode_pairs(model, read_references(run / "test.tsv"), beam_size=1)
    errors = json.loads((run / "summary.json").read_text(encoding="utf-8"))["errors"]["plain"]
    assert evaluate(model, decoded).errors.to_dict() == errors
    assert model.generate(decoded.sources, allow_unknown=True, beam_size=1)[0].text.count("<unk>") > 0
