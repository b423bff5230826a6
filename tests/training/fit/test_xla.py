"""Training of the published models by XLA: where it is chosen, and that it learns the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2s_training.config.training import TrainingConfig
from s2s_training.data.datasets import tutorial_config

pytestmark = pytest.mark.tensorflow

BATCH, ROWS = 8, 32


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    """The tutorial's settings for a tiny model, without held-out pairs, so that all batches have one shape."""
    pairs = tmp_path / "pairs.tsv"
    words = ["ab", "ba", "abc", "cab", "bc", "cb", "acb", "bac"] * (ROWS // 8)
    pairs.write_text("".join(f"{word}\t{word.upper()}\n" for word in words), encoding="utf-8")
    sizes = {"units": 8, "batch_size": BATCH, "epochs": 2}
    return tutorial_config(str(pairs)).override(**sizes, valid_fraction=0.25)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_losses_are_the_same(config: TrainingConfig, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for rounding, from the same weights on the same batches."""
    import keras

    from s2s_training.fit import compiling
    from s2s_training.fit.text_task import TextTask

    losses = []
    for least in (1, 1000):
        monkeypatch.setattr(compiling, "XLA_STEPS", least)
        keras.utils.set_random_seed(1)
        task = TextTask(config.override(cell=cell))
        assert task.model.jit_compile is (least == 1)
        data = task.validation()
        losses.append(task.model.fit(data, epochs=3, verbose=0, shuffle=False).history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][2] < losses[0][0]


@pytest.mark.parametrize(
    "changed",
    [
        {"padding": "mask"},
        {"dropout": 0.1},
        {"attention": "dot"},
        {"layer_norm": True},
        {"cell": "simple-rnn"},
        {"accumulation": 2},
        {"mixed_precision": True},
        {"free_running": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_is_not_compiled(config: TrainingConfig, changed: dict[str, object]) -> None:
    """Models whose batches have shapes of their own, and whatever else XLA wasn't measured or tried with."""
    from s2s_training.data.arrays import Layout
    from s2s_training.data.datasets import load_corpus
    from s2s_training.data.vocabulary_builder import build_vocabulary
    from s2s_training.fit.compiling import XLA_STEPS, is_for_xla

    def chosen(config: TrainingConfig, steps: int) -> bool:
        layout = Layout.of(build_vocabulary(load_corpus(config.data, 1), config), config.model)
        return is_for_xla(config.model, config.fit, layout, steps)

    assert chosen(config, XLA_STEPS)
    assert not chosen(config, XLA_STEPS - 1)
    assert not chosen(config.override(**changed), XLA_STEPS)
