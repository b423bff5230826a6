"""The add-on library's constructors and the continuous model: exported, and `predict` equal to Keras."""

from pathlib import Path

import keras
import numpy as np
import pytest
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportOptions, export, load_model
from s2s_training.models.continuous import continuous_encoder_decoder
from s2s_training.seq2seq import AttentionSeq2Seq, Seq2Seq, SimpleSeq2Seq

pytestmark = pytest.mark.tensorflow

SIZES = {"output_dim": 3, "output_length": 4, "hidden_dim": 5, "input_dim": 2}
MODELS = {
    "simple": lambda: SimpleSeq2Seq(**SIZES, depth=2, cell="gru"),
    "seq2seq": lambda: Seq2Seq(**SIZES, depth=(2, 3), peek=True, teacher_force=True, dropout=0.2),
    "seq2seq, states apart": lambda: Seq2Seq(**SIZES, depth=2, inner_broadcast_state=False, peek="add", cell="gru"),
    "attention": lambda: AttentionSeq2Seq(**SIZES, depth=(1, 2)),
}


@pytest.mark.parametrize("name", MODELS)
def test_predict_gives_what_keras_gives(name: str, tmp_path: Path) -> None:
    """Saved, loaded with nothing but `s2s-export`'s loader, exported: every value, for several lengths of input."""
    model = MODELS[name]()
    randomise(model)
    model.save(tmp_path / "m.keras")
    keras.utils.clear_session()
    done = export(load_model(tmp_path / "m.keras"), tmp_path / "m.s2s", ExportOptions(source_length=6))
    assert done.report.passed
    assert (done.manifest.target.feedback, done.manifest.target.max_length) == ("value", 4)
    assert done.manifest.attention == (name == "attention")
    source = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
    given = [source, np.zeros((3, 4, 3))] if len(model.inputs) == 2 else source
    np.testing.assert_allclose(s2s_runtime.load(tmp_path / "m.s2s").predict(source), model(given), atol=1e-5)


def test_masked_attention_in_a_larger_model(tmp_path: Path) -> None:
    """Masking before, softmax behind: tokens, chosen at each step, and attention weights that skip the padding."""
    source = keras.Input((None, 2))
    inner = AttentionSeq2Seq(**SIZES)(keras.layers.Masking()(source))
    model = keras.Model(source, keras.layers.Dense(6, activation="softmax")(inner))
    randomise(model)
    done = export(model, tmp_path / "m.s2s", ExportOptions(max_length=4))
    assert done.report.passed
    assert done.manifest.target.feedback == "none"
    values = np.random.default_rng(0).normal(size=(1, 5, 2)).astype(np.float32)
    values[:, 3:] = 0
    (result,) = s2s_runtime.load(tmp_path / "m.s2s").generate(values, return_attention=True)
    assert result.ids == np.asarray(model(values))[0].argmax(-1).tolist()
    weights = result.hypotheses[0].attention
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    assert weights[:, 3:].max(initial=0) < 1e-6


def test_continuous_model_is_fed_its_own_values(tmp_path: Path) -> None:
    """The published 46,276 parameters; predict equals feeding Keras's values back one by one."""
    model = continuous_encoder_decoder()
    assert model.count_params() == 46_276
    assert [tuple(tensor.shape) for tensor in model.inputs] == [(None, 24, 1), (None, 24, 1)]
    with pytest.raises(ValueError, match="units: expected at least 1, got 0"):
        continuous_encoder_decoder(0)
    done = export(model, tmp_path / "m.s2s", feed={"target": "previous"})
    assert done.report.passed
    source = np.sin(np.linspace(-6, 6, 48, dtype=np.float32)).reshape(2, 24, 1)
    fed = np.zeros_like(source)
    for step in range(24):
        made = np.asarray(model([source, fed]))
        fed[:, step + 1 :] = made[:, step : step + 1] if step < 23 else fed[:, step + 1 :]
    np.testing.assert_allclose(s2s_runtime.load(tmp_path / "m.s2s").predict(source), made, atol=1e-5)
