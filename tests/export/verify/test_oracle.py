"""The oracle gives what the training model gives in training, whatever the number of rows."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from s2s_export import ExportOptions
from s2s_export.exporter import take_apart
from s2s_export.verify.oracle import Oracle

pytestmark = pytest.mark.tensorflow

STEPS = 6  # as many as units: with one row that it can see, Keras adds (1, 6, 1) and (1, 1, 6) as a bias


def test_one_row_gives_what_it_gives_among_others() -> None:
    """A batch of one, its steps known for TimeDistributed, is computed as batches are."""
    keras.utils.set_random_seed(2)
    source, target = keras.Input((None,), dtype="int32"), keras.Input((STEPS,), dtype="int32")
    _, state = layers.GRU(STEPS, return_state=True)(layers.Embedding(9, 5)(source))
    written = layers.GRU(STEPS, return_sequences=True)(layers.Embedding(8, 5)(target), initial_state=state)
    copies = ops.zeros_like(written[..., :1]) + ops.expand_dims(state, 1)
    both = layers.TimeDistributed(layers.Dense(7))(layers.Concatenate()([written, copies]))
    model = keras.Model([source, target], layers.Dense(8, activation="softmax")(both))
    options = ExportOptions(start_id=1, end_ids=(2,), max_length=STEPS, padding="0", source_length=3)
    oracle = Oracle(*take_apart(model, options))
    rows = [(np.array([3, 4, 5]),), (np.array([6, 7, 8]),)]
    together = oracle.log_probabilities(rows, [[3, 4], [5, 5]])
    alone = [oracle.log_probabilities([row], [prefix])[0] for row, prefix in zip(rows, [[3, 4], [5, 5]], strict=True)]
    np.testing.assert_allclose(alone, together, atol=1e-5)
