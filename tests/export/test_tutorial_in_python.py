"""The published tutorial script's model, exported in Python with the dictionaries as the script has them."""

from __future__ import annotations

import itertools
from pathlib import Path

import keras
import pytest
from tutorial_script import Script

import s2s_export
import s2s_runtime

pytestmark = pytest.mark.tensorflow

SUBJECTS = {"I": "Je", "You": "Tu", "We all": "Nous", "They": "Elles"}
VERBS = {"sing": "chante", "jump up": "saute", "eat": "mange", "hide": "cache", "win": "gagne"}
ENDS = {".": ".", "!": " !", " now.": " maintenant."}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences that the script reads; a tab and a licence stand behind each, as in the file it was written for."""
    path = tmp_path_factory.mktemp("pairs") / "fra.txt"
    rows = [
        f"{subject} {verb}{end}\t{SUBJECTS[subject]} {VERBS[verb]}{ENDS[end]}\tCC-BY\n"
        for subject, verb, end in itertools.product(SUBJECTS, VERBS, ENDS)
    ]
    path.write_text("".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("filler", "left", "file"),
    [("spaces", False, ""), ("zeros", False, ""), ("spaces", True, ""), ("zeros", False, "model.h5")],
    ids=["spaces", "zeros", "left", "h5"],
)
def test_the_bundle_writes_what_the_scripts_own_loop_writes(
    pairs: Path, tmp_path: Path, filler: str, left: bool, file: str
) -> None:
    """Every text, as the script's loop gives it, from a barely trained model: padding of another kind gives others."""
    keras.utils.set_random_seed(3)
    script = Script(pairs, rows=len(SUBJECTS) * len(VERBS) * len(ENDS), filler=filler, left=left)
    model = script.train(units=48, epochs=25, batch_size=8, optimizer=keras.optimizers.Adam(0.01))
    looped = script.decode(model, script.input_texts)
    if file:
        model.save(tmp_path / file)
        model = keras.models.load_model(tmp_path / file)
    settings = {
        "source": script.input_index,
        "target": script.target_index,
        "start": "\t",
        "end": "\n",
        "source_length": script.longest_input,
        "max_length": script.longest_target + 1,
    }
    padding = {"spaces": " ", "zeros": "zeros"}
    side = "left" if left else "right"
    s2s_export.export(model, tmp_path / "m.s2s", padding=padding[filler], padding_side=side, **settings)
    texts = [result.text for result in s2s_runtime.load(tmp_path / "m.s2s").generate(script.input_texts)]
    assert texts == [text.removesuffix("\n") for text in looped]
    assert len(set(texts)) > 3
    other = {"spaces": "zeros", "zeros": " "}[filler]
    s2s_export.export(model, tmp_path / "other.s2s", padding=other, padding_side=side, **settings)
    assert [result.text for result in s2s_runtime.load(tmp_path / "other.s2s").generate(script.input_texts)] != texts
