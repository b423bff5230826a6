"""Decoders of causal convolutions: their last inputs are states; tokens are those of their author's own loop."""

from pathlib import Path

import keras
import numpy as np
import pytest
from architectures.convolutional import causal_convolutions
from architectures.parts import SOURCE, TARGET
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import export
from s2s_training.errors import SplitError
from s2s_training.splitting import split

pytestmark = pytest.mark.tensorflow


def one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    return np.eye(size, dtype=np.float32)[ids]


def test_last_inputs_are_states(tmp_path: Path) -> None:
    """Greedy tokens are those of the model re-fed with its prefix, a step costing the same however long that is.

    Source and target look alike; which is the target's shows in the number of outputs.
    """
    model = causal_convolutions()
    randomise(model)
    done = export(model, tmp_path / "m.s2s", start=1, source_length=6, source_kind="one-hot", max_length=9)
    assert [state.shape for state in done.manifest.states] == [(None, 2, TARGET), (None, 4, 8), (None, 1, 16)]
    ids = np.random.default_rng(0).integers(0, SOURCE, (5, 6))
    written = np.ones((5, 1), int)
    for _ in range(9):
        rows = np.array(model([one_hot(ids, SOURCE), one_hot(written, TARGET)]))[:, -1]
        rows[:, 1] = -1
        written = np.concatenate([written, rows.argmax(-1)[:, None]], axis=1)
    results = s2s_runtime.load(tmp_path / "m.s2s").generate(ids)
    assert [result.ids for result in results] == written[:, 1:].tolist()


@pytest.mark.parametrize("settings", [{"padding": "same"}, {"padding": "causal", "strides": 2}, {"padding": "valid"}])
def test_other_convolutions_have_no_such_state(settings: dict) -> None:
    """A convolution that reads later positions, or skips some, is refused by its name."""
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None, TARGET))
    state = layers.GRU(8)(layers.Embedding(SOURCE, 4)(source))
    read = layers.Conv1D(6, 3, name="reader", **settings)(target)
    model = keras.Model([source, target], layers.GRU(8, return_sequences=True)(read, initial_state=state))
    with pytest.raises(SplitError, match=r'layer "reader" \(Conv1D\) reads other target positions'):
        split(model)
