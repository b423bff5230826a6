"""A model whose training has diverged isn't exported."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from s2s_export import ExportError, export

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layer", ["encode", "readout"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, layer: str, wrong: float) -> None:
    """Wherever they are; the message names the weight and how many of its numbers, and nothing is written."""
    source, target = keras.Input((None,), dtype="int32", name="source"), keras.Input((None,), dtype="int32")
    state = layers.GRU(4, return_state=True, name="encode")(layers.Embedding(5, 3)(source))[1]
    decoded = layers.GRU(4, return_sequences=True)(layers.Embedding(5, 3)(target), initial_state=state)
    model = keras.Model([source, target], layers.Dense(5, name="readout")(decoded))
    weight = model.get_layer(layer).weights[0]
    values = np.array(weight)
    values[1, 2] = wrong
    weight.assign(values)
    with pytest.raises(
        ExportError, match=rf'weight "{weight.path}": expected finite numbers, got .* at \[1, 2\] and 1'
    ):
        export(model, tmp_path / "model.s2s", start=1, end=2, padding="none")
    assert not list(tmp_path.iterdir())
