"""The tutorial's script, trained for a moment and saved in four ways: each set-up is found, proved, or said assumed."""

import random
from pathlib import Path
from typing import Any

import keras
import pytest
from tutorial_script import Script
from tutorial_variants import FreeScript
from typer.testing import CliRunner

import s2s_runtime
from s2s_export import export, load_model
from s2s_export.commands.export import app
from s2s_export.errors import ExportError
from s2s_runtime.bundle.provenance import Provenance

pytestmark = pytest.mark.tensorflow

WAYS: dict[str, dict[str, Any]] = {
    "spaces": {"filler": "spaces"},
    "zeros": {"filler": "zeros"},
    "left": {"filler": "zeros", "left": True},
    "h5": {"filler": "spaces"},
}
ROWS = 400
NOUNS = {"cat": "chat", "dog": "chien", "house": "maison", "tree": "arbre", "book": "livre", "car": "voiture"}
VERBS = {"sees": "voit", "has": "a", "wants": "veut", "finds": "trouve", "loves": "aime"}
NAMES = ["Tom", "Mary", "I", "He", "She", "We"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of one to four words, shortest first as in the file that the script reads."""
    rng = random.Random(0)
    rows = {}
    while len(rows) < ROWS + 60:
        name, verb, noun, end = rng.choice(NAMES), rng.choice([*VERBS]), rng.choice([*NOUNS]), rng.choice(".!?")
        words = [name, verb, *([rng.choice(["the", "a", "my"]), noun] if rng.random() < 0.8 else [])]
        target = [
            name,
            VERBS[verb],
            *([{"the": "le", "a": "un", "my": "mon"}[words[2]], NOUNS[noun]] if words[2:] else []),
        ]
        rows[" ".join(words) + end] = " ".join(target) + (end if end == "." else f" {end}")
    path = tmp_path_factory.mktemp("pairs") / "fra.txt"
    lines = sorted(rows.items(), key=lambda row: (len(row[0]), row[0]))
    path.write_text("".join(f"{source}\t{target}\n" for source, target in lines), encoding="utf-8")
    return path


class Saved:
    """The script after it saved its model."""

    def __init__(self, path: Path, script: Script, model: Any) -> None:
        self.path, self.script = path, script
        self.outputs = script.decode(model, script.input_texts)
        self.printed = script.printed(model, 20)


@pytest.fixture(scope="module", params=WAYS)
def saved(request: pytest.FixtureRequest, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The script trained and saved in each of the ways."""
    keras.utils.set_random_seed(3)
    script = Script(pairs, ROWS, **WAYS[request.param])
    model = script.train(units=48, epochs=14, batch_size=32, optimizer=keras.optimizers.RMSprop(0.01))
    path = tmp_path_factory.mktemp(request.param) / f"model.{'h5' if request.param == 'h5' else 'keras'}"
    model.save(path)
    return Saved(path, script, model)


def made(saved: Saved, name: str, **options: Any) -> tuple[Provenance, s2s_runtime.Model]:
    """Export the saved model; its set-up, and the bundle opened."""
    exported = export(load_model(saved.path), saved.path.with_name(name), **options)
    assert exported.manifest.setup is not None
    return exported.manifest.setup, s2s_runtime.load(exported.path)


def test_the_set_up_is_found_by_itself(saved: Saved, pairs: Path) -> None:
    """Pairs and their number of rows are all that is said: every text is that of the script's own loop."""
    setup, model = made(saved, "found.s2s", pairs=pairs, rows=ROWS)
    texts = [result.text for result in model.generate(saved.script.input_texts)]
    assert texts == [output.removesuffix("\n") for output in saved.outputs]
    assert setup.proved_by == 0
    assert "proved" not in setup.summary
    told = {item.name: item.origin for item in setup.items}
    assert told["padding"] == told["padding side"] == told["source length"] == "pairs"
    assert told["longest output"] == "assumed"
    assert all(sign.figure for item in setup.items for sign in item.signs)


def test_printed_lines_prove_it(saved: Saved, pairs: Path) -> None:
    """Twenty printed lines, pasted as they are: the bundle gives each, and only then is the set-up called proved."""
    setup, model = made(saved, "proved.s2s", pairs=pairs, rows=ROWS, expect=saved.printed)
    assert setup.proved_by == 20
    assert setup.summary.startswith("set-up proved by 20 expected outputs")
    texts = [result.text for result in model.generate(saved.script.input_texts)]
    assert texts == [output.removesuffix("\n") for output in saved.outputs]


def test_an_altered_line_is_an_error(saved: Saved, pairs: Path) -> None:
    """One character changed: nothing is written, and the nearest set-ups are shown with the place of the difference."""
    blocks = saved.printed.split("Decoded sentence: ")
    altered = "Decoded sentence: ".join([*blocks[:5], "#" + blocks[5][1:], *blocks[6:]])
    with pytest.raises(ExportError, match=r"set-ups gives all 20 outputs; the nearest:") as caught:
        export(load_model(saved.path), saved.path.with_name("altered.s2s"), pairs=pairs, rows=ROWS, expect=altered)
    assert "19 of 20: padding" in str(caught.value)
    assert "output 5, " in str(caught.value)
    assert "from character 1: expected ...'#" in str(caught.value)
    assert not saved.path.with_name("altered.s2s").exists()


def test_without_evidence_it_is_assumed_or_refused(saved: Saved, tmp_path: Path) -> None:
    """A model alone is refused with what to type; with a length given, what pads it is assumed and said to be."""
    run = CliRunner().invoke(app, [str(saved.path), "--start-id", "0", "--end-id", "1", "-o", str(tmp_path / "x.s2s")])
    assert run.exit_code == 1
    assert "--source-length N" in run.stderr
    given = {"start_id": 0, "end_ids": (1,), "source_length": saved.script.longest_input, "max_length": 9}
    setup, _ = made(saved, "assumed.s2s", **given)
    assert "assumed: padding, padding side (padding, padding_side settle them)" in setup.summary
    assert "given by you: source length, start and end, longest output" in setup.summary


def test_without_teacher_forcing_from_its_pairs(pairs: Path, tmp_path: Path) -> None:
    """A model saved unrolled asks for its start, which its pairs tell too: texts are those of its own predictions."""
    keras.utils.set_random_seed(3)
    script = FreeScript(pairs, 60)
    model = script.train(units=16, epochs=12, batch_size=8, optimizer=keras.optimizers.RMSprop(0.02))
    length = script.longest_input
    export(model, tmp_path / "m.s2s", pairs=pairs, rows=60, source_length=length, padding=" ", verify_sources=2)
    texts = [result.text for result in s2s_runtime.load(tmp_path / "m.s2s").generate(script.input_texts)]
    assert texts == [output.removesuffix("\n") for output in script.decode(model, script.input_texts)]
    assert len(set(texts)) > 1
