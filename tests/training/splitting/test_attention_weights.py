"""Attention that no attention layer made: custom layers and softmaxes by hand, their weights in the bundle."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from architectures.attention import attention_by_hand_additive
from architectures.parts import TARGET, UNITS, embed_source, embed_target, source_ids, target_ids
from export_command import fails, run
from keras import layers
from random_weights import randomise

import s2s_runtime

pytestmark = pytest.mark.tensorflow

CUSTOM_LAYER = '''
import keras
from keras import ops

class Alignment(keras.layers.Layer):
    """Bahdanau's attention; returns context and weights."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.query, self.key, self.score = (keras.layers.Dense(n) for n in (units, units, 1))

    def build(self, query_shape, memory_shape):
        self.query.build(query_shape)
        self.key.build(memory_shape)
        self.score.build((None, None, None, self.units))

    def call(self, query, memory):
        mixed = ops.tanh(ops.expand_dims(self.query(query), 2) + ops.expand_dims(self.key(memory), 1))
        weights = ops.softmax(self.score(mixed)[..., 0], axis=-1)
        return ops.matmul(weights, memory), weights

    def get_config(self):
        return {**super().get_config(), "units": self.units}
'''


def model_with(layer: type[keras.Layer]) -> keras.Model:
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source, False))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    context, weights = layer(5, name="alignment")(y, memory)
    model = keras.Model([source, target], layers.Dense(TARGET, "softmax")(layers.Concatenate()([y, context])))
    randomise(model)
    return model, keras.Model([source, target], weights)


def test_custom_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--custom-objects module:Name` from the working directory; the layer's weights come out and are Keras's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("my_alignment.py").write_text(CUSTOM_LAYER, encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    from my_alignment import Alignment

    model, weights = model_with(Alignment)
    model.save("model.keras")
    arguments = ["model.keras", "--start-id", "1", "--end-id", "2", "--max-length", "5", "--source-length", "6"]
    advice = "--custom-objects my_alignment:Alignment"
    fails(arguments, f"uses a class or function that is not Keras's own; give it with {advice}")
    code, _, errors = run(*arguments, *advice.split())
    assert code == 0, errors
    source = [3, 4, 5, 6, 7, 8]
    (result,) = s2s_runtime.load("model.s2s").generate([source], return_attention=True, return_end_token=True)
    fed = np.array([[1, *result.ids[:-1]]])
    expected = weights([np.array([source]), fed]).numpy()[0]
    np.testing.assert_allclose(result.hypotheses[0].attention, expected, atol=1e-5)


def test_softmax_by_hand() -> None:
    """A softmax along the source axis, wherever that axis is, becomes the step's weights (batch, source time)."""
    from s2s_training.splitting.splitter import split

    parts = split(attention_by_hand_additive())
    assert parts.attention
    *_, weights = parts.decoder.outputs
    assert len(weights.shape) == 2


def test_other_softmaxes_are_not_attention() -> None:
    """A softmax over features, such as a gate's, is no attention."""
    from s2s_training.splitting.splitter import split

    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    gated = layers.Multiply()([y, layers.Dense(UNITS, activation="softmax")(y)])
    assert not split(keras.Model([source, target], layers.Dense(TARGET)(gated))).attention


def test_names_of_a_loaded_model(tmp_path: Path) -> None:
    """Operations made while splitting never take the name of one that came with the file."""
    from s2s_training.splitting.splitter import split

    attention_by_hand_additive().save(tmp_path / "m.keras")
    keras.utils.clear_session()
    assert split(keras.models.load_model(tmp_path / "m.keras", compile=False)).attention
