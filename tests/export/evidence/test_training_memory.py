"""What an optimizer remembers lies where the set-up that a model was trained with predicts it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
from tutorial_script import Script
from tutorial_variants import FreeScript

from s2s_export.evidence.setups import SetUp
from s2s_export.evidence.training_memory import TrainingMemory
from s2s_export.exporter import take_apart
from s2s_export.options import ExportOptions

pytestmark = pytest.mark.tensorflow

WAYS: dict[str, dict[str, Any]] = {
    "spaces": {"filler": "spaces"},
    "zeros": {"filler": "zeros"},
    "left": {"filler": "zeros", "left": True},
    "without teacher forcing": {"filler": "spaces"},
}
ROWS = 40


@pytest.mark.parametrize("way", WAYS)
def test_one_batch_is_remembered_as_predicted(tmp_path: Path, way: str) -> None:
    """An optimizer that moves nothing and forgets at once keeps the squared gradient of the script's only batch.

    That is what its set-up predicts, weight by weight, to rounding: nothing is left of the way to the other side. A
    decoder that reads its own output was fed the start alone.
    """
    words = ["I", "We", "go", "see", "the", "cat", "dog", "it", "run", "sit"]
    texts = [" ".join(words[(i * k) % 10] for k in range(1, 2 + i % 4)) for i in range(ROWS)]
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{text}\t{text[::-1]}\n" for text in texts), encoding="utf-8")
    keras.utils.set_random_seed(1)
    kind, spaces = FreeScript if way == "without teacher forcing" else Script, WAYS[way]["filler"] == "spaces"
    script = kind(path, ROWS, **WAYS[way])
    model = script.train(units=12, epochs=1, batch_size=ROWS, optimizer=keras.optimizers.RMSprop(0.0, rho=0.0))
    side, padding = ("left" if way == "left" else "right"), (" " if spaces else "zeros")
    options = ExportOptions(pairs=path, padding=padding, padding_side=side, start_symbol="\t", end_symbol="\n")
    model, split, facts = take_apart(model, options)
    memory, setup = TrainingMemory.of(model, split, facts), SetUp.of(facts)
    assert memory is not None
    assert setup.padding.side == side
    trained = [(text, text[::-1]) for text in texts[: ROWS * 4 // 5]]
    filler = script.target_index[" "] if spaces else None
    own = memory.predicted(setup, trained, filler)
    for remembered, predicted in zip(memory.remembered, own.squares, strict=True):
        assert predicted == pytest.approx(remembered, rel=1e-3, abs=1e-12)
    flipped: Any = "right" if side == "left" else "left"
    other = replace(setup, padding=replace(setup.padding, side=flipped))
    leaning = memory.leaning(own, memory.predicted(other, trained, filler))
    assert leaning is not None
    assert (leaning.whole, leaning.pattern) == pytest.approx((0, 0), abs=1e-3)
