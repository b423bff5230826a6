"""Models used as layers: read as what they hold, however they were called."""

import keras
import pytest
from architectures.parts import EMBEDDED, SOURCE, TARGET, UNITS, embed_target, source_ids, target_ids
from keras import layers

from s2s_training.splitting.graph import flatten_model
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
