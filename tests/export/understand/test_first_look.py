"""A model about which nothing is said: what is seen of it, what can't be, and the command to type next."""

import json
import shlex
from pathlib import Path

import keras
import pytest
from export_command import run
from keras import layers
from random_weights import randomise

import s2s_runtime

pytestmark = pytest.mark.tensorflow

SOURCE, TARGET = tuple("abc"), ("\t", "\n", *"ABC")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The tutorial's model, in small, as a file."""
    source, fed = keras.Input((None, len(SOURCE)), name="english"), keras.Input((None, len(TARGET)), name="french")
    _, h, c = layers.LSTM(8, return_state=True)(source)
    y = layers.LSTM(8, return_sequences=True)(fed, initial_state=[h, c])
    model = keras.Model([source, fed], layers.Dense(len(TARGET), activation="softmax")(y))
    randomise(model)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path.read_bytes()


@pytest.fixture
def model(saved: bytes, tmp_path: Path) -> Path:
    """The model in a folder of its own."""
    (tmp_path / "model.keras").write_bytes(saved)
    return tmp_path / "model.keras"


def command(printed: str) -> list[str]:
    """The command line that is told to be typed next."""
    (line,) = [line for line in printed.splitlines() if line.startswith("  s2s-export ")]
    return shlex.split(line)


def test_nothing_said_and_nothing_beside(model: Path) -> None:
    """Bare, the command says what it understood and what to type, and ends with 1; dry, the same with 0."""
    code, bare, errors = run(model)
    assert code == 1
    said = " ".join(bare.split())
    for words in ("encoder: LSTM; decoder: LSTM", "'english' (-, -, 3): one-hot rows of 3 symbols", "(-, 8), (-, 8)"):
        assert words in said
    assert "input 'french' (-, -, 5): the decoder's" in said
    assert errors.startswith("error: the first token fed to the decoder is unknown")
    dry, output, _ = run(model, "--dry-run")
    assert dry == 0
    assert "decoder (once per token)" in output
    assert "padded to 100" not in output
    expected = ["s2s-export", str(model), "--start-id", "N", "--end-id", "N", "--source-length", "N"]
    assert command(output) == command(bare) == [*expected, "--padding", "FILLER", "--max-length", "N"]
    assert "what stands in capitals, only you know" in output
    assert not model.with_suffix(".s2s").exists()


def test_files_beside_the_model_are_named(model: Path) -> None:
    """Dictionaries are told apart by their sizes, start and end by what scripts call them; the line then works."""
    folder = model.parent
    (folder / "first.json").write_text(json.dumps(dict(enumerate(TARGET))), encoding="utf-8")
    (folder / "second.json").write_text(json.dumps({symbol: i for i, symbol in enumerate(SOURCE)}), encoding="utf-8")
    (folder / "history.json").write_text("{}", encoding="utf-8")
    (folder / "notes.txt").write_bytes(b"\xff\xfe")
    typed = command(run(model, "--max-length", "6", "--padding", "zeros", "--dry-run")[1])
    assert typed[1:] == [
        *(str(model), "--padding", "zeros", "--max-length", "6"),
        *("--source-vocab", str(folder / "second.json"), "--target-vocab", str(folder / "first.json")),
        *("--start", r"\t", "--end", r"\n", "--source-length", "N"),
    ]
    code, _, errors = run(*(part if part != "N" else "4" for part in typed[1:]))
    assert code == 0, errors
    assert s2s_runtime.load(model.with_suffix(".s2s")).target_vocabulary.end == "\n"


def test_pairs_beside_the_model_tell_most(model: Path) -> None:
    """A file of pairs is all that has to be named."""
    (model.parent / "my pairs.txt").write_text("a\tA\tCC-BY\nb\tB\tCC-BY\n", encoding="utf-8")
    (model.parent / "list.txt").write_text("a\nb\nc\n", encoding="utf-8")
    assert command(run(model, "--dry-run")[1]) == [
        "s2s-export",
        str(model),
        "--pairs",
        str(model.parent / "my pairs.txt"),
    ]


def test_nothing_missing(model: Path) -> None:
    """Where all is said, a dry run repeats the command; another error than a missing option stays what it is."""
    all_said = [model, "--start-id", "0", "--end-id", "1", "--source-length", "4", "--padding", "zeros"]
    code, output, _ = run(*all_said, "--max-length", "6", "--dry-run")
    assert code == 0
    assert "--source-vocab FILE and --target-vocab FILE; without them" in " ".join(output.replace("│", " ").split())
    code, output, errors = run(*all_said, "--decoder-output", "nonsense", "--dry-run")
    assert (code, output) == (1, "")
    assert "--decoder-output: expected the name of one of the model's outputs" in errors
