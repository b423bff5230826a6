"""Continuous data sets: what they hold, and the line from `s2s-train` to predictions without TensorFlow."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import s2s_runtime
from s2s_training.commands.train import app
from s2s_training.data.datasets import SERIES, default_config, require_data
from s2s_training.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "first", "last", "source", "target"),
    [
        ("sine-cosine", -2 * np.pi, 2 * np.pi, np.sin, np.cos),
        ("damped", 0, 5 * np.pi, lambda x: np.exp(-x / 5) * np.cos(x), lambda x: np.exp(-x / 5) * np.sin(x)),
        ("powers", 0, 1.5, np.square, np.sqrt),
    ],
)
def test_windows_are_those_of_a_hundred_points(name, first, last, source, target):
    """76 windows of 24 points, each one point further; the decoder input is the target one step earlier, from 0."""
    windows = SERIES[name].windows()
    points = np.linspace(first, last, 100)
    assert windows.sources.shape == windows.targets.shape == (76, 24, 1)
    for start in (0, 24, 75):
        cut = slice(start, start + 24)
        np.testing.assert_allclose(windows.points[start], points[cut], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(windows.sources[start, :, 0], source(points)[cut], atol=1e-6)
        np.testing.assert_allclose(windows.targets[start, :, 0], target(points)[cut], atol=1e-6)
    fed = windows.decoder_inputs()
    assert (fed[:, 0] == 0).all()
    np.testing.assert_array_equal(fed[:, 1:], windows.targets[:, :-1])


@pytest.mark.tensorflow
def test_the_published_model_has_its_parameters():
    """LSTM 75 on either side and a dense layer: 46,276."""
    from s2s_training.train import prepare

    task = prepare(default_config("sine-cosine"))
    assert task.model.count_params() == 46_276
    assert task.steps == 8
    assert task.model.input_shape == [(None, 24, 1), (None, 24, 1)]


@pytest.mark.tensorflow
def test_options_without_use_for_curves_are_errors():
    """They are named, of every section, before anything is made."""
    from s2s_training.train import prepare

    options = {"rows": 9, "reverse": True, "attention": "dot", "buckets": 3, "score": 0, "units": 7}
    with pytest.raises(ConfigError, match=r"^rows, reverse, attention, buckets, score: continuous data sets hold no"):
        prepare(default_config("damped").override(**options))
    require_data(default_config("damped").override(units=7, epochs=3, decode_valid=5))


@pytest.mark.tensorflow
def test_from_a_name_to_predictions(tmp_path):
    """Trained, exported, predicted by the runtime: the error it finds is the one that training found with Keras."""
    from s2s_export.commands.export import app as export_app

    run = tmp_path / "run"
    trained = CliRunner().invoke(app, ["powers", "-o", str(run), "--epochs", "2", "--units", "8", "--json"])
    assert trained.exit_code == 0, trained.output
    summary = json.loads((run / "summary.json").read_text())
    exported = CliRunner().invoke(export_app, [str(run / "model.keras")])
    assert exported.exit_code == 0, exported.output
    model = s2s_runtime.load(run / "model.s2s")
    with np.load(run / "windows.npz") as windows:
        predicted = np.array(model.predict(windows["sources"]))
        squared = (predicted - windows["targets"]) ** 2
        found = {"all windows": squared.mean(), "windows shown": squared[windows["shown"]].mean()}
        assert windows["shown"].tolist() == [0, 24, 49, 74]
    for name, figure in found.items():
        assert figure == pytest.approx(summary["errors"][name]["mean_squared_error"], rel=1e-3)
    history = json.loads((run / "history.json").read_text())
    assert summary["best"]["val_error"] == min(history["val_error"])
