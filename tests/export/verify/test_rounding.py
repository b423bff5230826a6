"""A right model whose layers multiply rounding isn't refused for it, and no fault passes for rounding."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from s2s_export import VerificationError, export
from s2s_export.graphs import bundle_graphs
from s2s_export.verify.rounding import ATOL, MOST, NEAR_TIE, Rounding, moved_weights

pytestmark = pytest.mark.tensorflow

SYMBOLS, UNITS = 6, 4
FEW = {"start": 1, "end": 2, "max_length": 4, "verify_sources": 2}


def model(level: float) -> keras.Model:
    """A small model that normalises what lies about a level: the higher that is, the fewer digits the rest has."""
    keras.utils.set_random_seed(1)
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    state = layers.GRU(UNITS, return_state=True)(layers.Embedding(SYMBOLS, UNITS, mask_zero=True)(source))[1]
    written = layers.GRU(UNITS, return_sequences=True)(layers.Embedding(SYMBOLS, UNITS)(target), initial_state=state)
    raised = layers.Dense(UNITS, bias_initializer=keras.initializers.Constant(level))(written)
    output = layers.Dense(SYMBOLS, activation="softmax")(layers.LayerNormalization()(raised))
    made = keras.Model([source, target], output)
    for weight in made.weights:
        if "embedding" in weight.path:
            weight.assign(np.random.default_rng(2).normal(size=weight.shape))
    return made


def outputs(of: keras.Model) -> list[np.ndarray]:
    """What a model gives for three sources, a step an array."""
    ids = np.random.default_rng(0).integers(1, SYMBOLS, (2, 3, 2))
    return list(np.log(np.moveaxis(np.asarray(of([*ids], training=False)), 1, 0)))


def spoil(monkeypatch: pytest.MonkeyPatch, added: float) -> None:
    """Have the exporter add so much to the first symbol's logit."""
    give = bundle_graphs._give_logits

    def spoiled(editor: bundle_graphs.GraphEditor, facts: object, output: str, *others: object) -> None:
        give(editor, facts, output, *others)
        wrong = editor.constant(np.array([added, *[0.0] * (SYMBOLS - 1)], np.float32))
        (raised,) = editor.add("Add", [bundle_graphs.free_name(editor, editor.producer(output), output), wrong])
        editor.add("Identity", [raised], [output])

    monkeypatch.setattr(bundle_graphs, "_give_logits", spoiled)


def test_who_multiplies_rounding_is_no_fault(tmp_path: Path) -> None:
    """Its steps differ by more than is allowed of all models; the report says so, and why."""
    exported = export(model(150.0), tmp_path / "m.s2s", **FEW)
    (steps,) = [check for check in exported.report.checks if check.what.startswith("decoder steps")]
    assert ATOL < steps.difference <= steps.allowed <= MOST
    assert f"every check within {steps.allowed:.2g}" in repr(exported)
    assert "which is rounding" in repr(exported)


@pytest.mark.parametrize(("level", "added"), [(0.0, 3e-4), (150.0, 4e-3)])
def test_a_fault_is_no_rounding(level: float, added: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is wrong by little is refused where rounding moves a model by less, by more also where by much."""
    spoil(monkeypatch, added)
    with pytest.raises(VerificationError, match=r"decoder steps.* where .* is allowed"):
        export(model(level), tmp_path / "m.s2s", **FEW)


def test_only_what_moves_by_itself_is_allowed_more() -> None:
    """Of a model that doesn't, nothing more is; of no model more than a bound; nothing is measured without need."""
    steady, touchy, wild = model(0.0), model(150.0), model(1e5)
    for each, least, most in ((steady, ATOL, ATOL), (touchy, 1.01 * ATOL, MOST), (wild, MOST, MOST)):
        rounding = Rounding(each, None, lambda each=each: outputs(each))
        assert rounding.allowed([ATOL / 2] * 2) == [ATOL] * 2
        assert least <= max(rounding.allowed([2 * ATOL] * 2)) <= most
        assert least <= rounding.near_tie() <= most


def test_who_says_how_much_is_taken_at_their_word() -> None:
    """A bound that somebody gives holds, whatever rounding does, and ties are as near as they were."""
    rounding = Rounding(model(150.0), 1e-6, lambda: pytest.fail("measured"))
    assert rounding.allowed([0.5]) == [1e-6]
    assert rounding.near_tie() == NEAR_TIE


def test_weights_move_by_one_unit_and_come_back() -> None:
    """Every weight is the next number above or below while the block runs, and itself again after it."""
    moved = model(0.0)
    before = [np.asarray(weight).copy() for weight in moved.weights]
    with moved_weights(moved, np.random.default_rng(0)):
        for old, weight in zip(before, moved.weights, strict=True):
            beside = np.stack([np.nextafter(old, np.float32(side)) for side in (-np.inf, np.inf)])
            assert (np.asarray(weight) == beside).any(axis=0).all()
    for old, weight in zip(before, moved.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), old)
