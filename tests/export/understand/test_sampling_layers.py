"""Layers that draw random numbers, and models that give the next word alone: what is exported, what is refused."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops
from published_models import LENGTH, STEPS, WORDS, Sampling, merged_captions, varied_sequences
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, build_model, export
from s2s_export.exporter import take_apart
from s2s_export.options import ExportOptions
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow


def test_noise_is_exported_at_its_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle gives what the model gives without noise, the report says so, and the model itself draws as before."""
    model = varied_sequences()
    randomise(model)
    exported = export(model, tmp_path / "m.s2s", verify_sources=2)
    assert 'layer "sampling" draws random numbers: it is exported at their mean' in exported.report.facts["notes"]
    curves = np.random.default_rng(0).random((2, LENGTH, 3), np.float32)
    assert not np.allclose(model(curves), model(curves))
    monkeypatch.setattr(Sampling, "call", lambda _, inputs: inputs[0])
    np.testing.assert_allclose(s2s_runtime.load(tmp_path / "m.s2s").predict(curves), model(curves), atol=1e-5)


class Dropped(layers.Layer):
    """Drops words in inference too."""

    def call(self, x: object) -> object:
        """Return half of it."""
        return x * ops.cast(keras.random.uniform(ops.shape(x)) > 0.5, "float32")


def test_other_noise_is_refused_by_its_layer() -> None:
    """A mean of other random numbers says nothing."""
    source, target = keras.Input((None, 3)), keras.Input((None, WORDS))
    state = layers.GRU(4)(Dropped(name="dropped")(source))
    y = layers.GRU(4, return_sequences=True)(target, initial_state=state)
    model = keras.Model([source, target], layers.Dense(WORDS, activation="softmax")(y))
    with pytest.raises(
        ExportError, match=re.escape('layer "dropped" (Dropped) draws random numbers that aren\'t normal')
    ):
        take_apart(model, ExportOptions())


def captions() -> keras.Model:
    """The captioner with a word for each word, as the refusal and the guide advise."""
    features, words = keras.Input((7,), name="features"), keras.Input((None,), dtype="int32", name="so_far")
    seen = layers.Dense(6, activation="relu")(features)
    said = layers.LSTM(6, return_sequences=True)(layers.Embedding(WORDS, 5, mask_zero=True)(words))
    y = layers.Dense(6, activation="relu")(said + ops.expand_dims(seen, 1))
    return keras.Model([features, words], layers.Dense(WORDS, activation="softmax")(y))


def test_a_captioner_that_gives_the_next_word_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no classifier of a picture and a text: refused, with advice that works when followed to the letter."""
    model = merged_captions()
    randomise(model)
    with pytest.raises(SplitError, match="one word comes out for all of 'so_far', of as many words as that reads"):
        take_apart(model, ExportOptions(start_id=1))
    model.save_weights(tmp_path / "w.weights.h5")
    np.savez(tmp_path / "w.npz", *model.get_weights())
    monkeypatch.syspath_prepend(Path(__file__).parent)
    again = build_model("test_sampling_layers:captions", tmp_path / "w.npz")
    export(again, tmp_path / "m.s2s", start_id=1, end_ids=(2,), max_length=STEPS, verify_sources=2)
    features = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    tokens = np.zeros((3, STEPS + 1), np.int32)
    tokens[:, 0] = 1
    for step in range(STEPS):  # the author's loop; zeros behind, as a mask hides them on either side
        probabilities = np.array(model([features, tokens]))
        probabilities[:, :2] = 0
        tokens[:, step + 1] = probabilities.argmax(-1)
    rows = tokens[:, 1:].tolist()
    results = s2s_runtime.load(tmp_path / "m.s2s").generate(features)
    assert [list(result.ids) for result in results] == [row[: row.index(2)] if 2 in row else row for row in rows]
