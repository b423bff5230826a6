"""Models used as layers: read as what they hold, however they were called."""

import keras
import numpy as np
import pytest
from architectures.parts import EMBEDDED, SOURCE, TARGET, UNITS, embed_target, source_ids, target_ids
from keras import layers

from s2s_training.splitting.graph import flatten_model, replay
from s2s_training.splitting.splitter import split

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("named", [False, True])
def test_inputs_may_go_by_keyword(named: bool) -> None:
    """`inner(inputs=x)` is `inner(x)`, with one input and with several."""
    ids = keras.Input((None,), dtype="int32")
    encoder = keras.Model(ids, layers.GRU(UNITS)(layers.Embedding(SOURCE, EMBEDDED)(ids)))
    sequence, state = keras.Input((None, EMBEDDED)), keras.Input((UNITS,))
    y = layers.GRU(UNITS, return_sequences=True)(sequence, initial_state=state)
    decoder = keras.Model([sequence, state], layers.Dense(TARGET, activation="softmax")(y))
    source, target = source_ids(), target_ids()
    fed = embed_target(target, mask=False)
    if named:
        output = decoder(inputs=[fed, encoder(inputs=source, training=False)])
    else:
        output = decoder([fed, encoder(source, training=False)])
    model = keras.Model([source, target], output)
    kinds = [type(call.operation).__name__ for call in flatten_model(model).calls]
    assert sorted(kinds) == ["Dense", "Embedding", "Embedding", "GRU", "GRU"]
    assert split(model).state_count == 1


@pytest.mark.filterwarnings("ignore:.*does not support masking")  # which isn't so: the mask goes through
@pytest.mark.parametrize("several", [False, True])
def test_a_mask_that_a_nested_model_is_called_with_reaches_its_layers(several: bool) -> None:
    """Attention before it takes the mask off what it reads: the one that is handed on is all that is left of it."""
    ids = source_ids()
    x = layers.Embedding(SOURCE, EMBEDDED, mask_zero=True)(ids)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    if several:
        first, second = keras.Input((None, EMBEDDED)), keras.Input((None, EMBEDDED))
        inner = keras.Model([first, second], layers.Concatenate()([layers.Dense(3)(first), second]))
        y = inner([x, layers.Dense(EMBEDDED)(x)])
    else:
        y = keras.Sequential([layers.Dense(3)])(x)
    model = keras.Model(ids, layers.GRU(UNITS)(y))
    graph = flatten_model(model)
    fresh = keras.Input((None,), dtype="int32")
    environment = {graph.inputs[0]: fresh}
    replay(graph.calls, environment)
    padded = np.array([[1, 2, 3, 4], [2, 3, 0, 0]])
    again = keras.Model(fresh, environment[graph.outputs[0]])
    np.testing.assert_allclose(again(padded), model(padded), atol=1e-6)
    np.testing.assert_allclose(again(padded)[1:], again(padded[1:, :2]), atol=1e-6)
