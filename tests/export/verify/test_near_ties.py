"""Models whose candidates stand closer than rounding are no fault of their export: differences there are near ties."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from s2s_export import export
from s2s_export.verify.checks import NEAR_TIE, compare_tokens
from s2s_export.verify.oracle import Beam, Decoded
from s2s_runtime.results import Hypothesis, Result

pytestmark = pytest.mark.tensorflow


def fresh(words: int, units: int) -> keras.Model:
    """A word-level model with attention as its constructor leaves it: every word is about as likely as any other."""
    keras.utils.set_random_seed(1)
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    read = layers.Embedding(words, units, mask_zero=True)(source)
    memory, *states = layers.LSTM(units, return_sequences=True, return_state=True)(read)
    written = layers.LSTM(units, return_sequences=True)(layers.Embedding(words, units)(target), initial_state=states)
    context = layers.Attention()([written, memory])
    output = layers.Dense(words, activation="softmax")(layers.Concatenate()([written, context]))
    return keras.Model([source, target], output)


@pytest.mark.parametrize(("words", "units"), [(2000, 256), (8000, 32)])
def test_a_fresh_model_is_not_refused(words: int, units: int, tmp_path: Path) -> None:
    """Beam search of an untrained model passes, what parts at a near tie being counted and shown."""
    exported = export(fresh(words, units), tmp_path / "m.s2s", start=1, end=2, max_length=6)
    assert exported.report.passed
    beams = [check for check in exported.report.checks if check.what.startswith("beam")]
    assert beams
    assert all(check.different == 0 and 0 <= check.near_ties <= check.compared for check in beams)


def test_the_gap_is_that_between_kept_and_dropped() -> None:
    """Of three continuations two live on; the third lies 0.25 below the second, whatever stands further apart."""
    beam = Beam(2, 9, frozenset())
    beam.extend([np.array([-1.0, -2.0, -2.25, -9.0])])
    assert beam.gap == 0.25
    beam.extend([np.array([-1.0, -2.0, -5.0, -9.0]), np.array([-1.0, -1.5, -5.0, -9.0])])
    assert beam.gap == 0.0  # -2.0 - 1.0 was kept, -1.0 - 2.0 dropped: a tie


def test_an_end_at_the_edge_counts() -> None:
    """An end just behind the place where it would have finished a hypothesis is an edge too."""
    beam = Beam(1, 9, frozenset([1]))
    beam.extend([np.array([-1.0, -1.125, -9.0])])
    assert beam.gap == 0.125


@pytest.mark.parametrize(("gap", "near"), [(NEAR_TIE / 2, 1), (NEAR_TIE * 2, 0)])
def test_what_parts_at_a_narrow_edge_is_counted_apart(gap: float, near: int) -> None:
    """Other tokens of another score are a near tie where something was kept or dropped that narrowly, else a fault."""
    found = Result([Hypothesis("b", ["b"], [2], -1.0, "end")], [])
    check = compare_tokens("beam", [found], [Decoded([1], -1.5, gap)])
    assert (check.different, check.near_ties) == (1 - near, near)
