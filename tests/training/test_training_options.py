"""Averaged weights, decoded validation, mixed precision, event files, several seeds."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from s2s_training.data.datasets import default_config
from s2s_training.errors import RunFolderError
from s2s_training.fit.schedule import learning_rate_at, plateau_scale
from s2s_training.runs.seeds import summarize
from s2s_training.runs.summaries import describe

OPTIONS = {"units": 6, "embedding": 5, "epochs": 3, "batch_size": 16, "score": 0, "learning_rate": 0.02}


@pytest.fixture
def config(tmp_path):
    """A run of a few seconds."""
    letters = np.random.default_rng(0).integers(0, 5, (90, 3))
    words = ["".join("abcde"[i] for i in row) for row in letters]
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{word}\t{word}\n" for word in words))
    return default_config(str(path)).override(**OPTIONS, valid_fraction=0.3, test_fraction=0.1)


def history(folder):
    return json.loads((folder / "history.json").read_text())


def test_the_learning_rate_warms_up_and_comes_down():
    """Straight up over the share, then as the schedule says; without warm-up the highest rate comes first."""
    fit = default_config("x").override(schedule="linear", learning_rate=1.0, warm_up=0.2).fit
    rates = [learning_rate_at(progress, fit) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([1 / 11, 6 / 11, 1.0, 0.5, 0.0])
    constant = default_config("x").override(learning_rate=1.0, warm_up=0.5).fit
    assert [learning_rate_at(p, constant) for p in (0.5, 1.0)] == [1.0, 1.0]
    assert learning_rate_at(0.0, constant) < 0.2
    assert learning_rate_at(0.0, default_config("x").override(learning_rate=1.0).fit) == 1.0


def test_plateaus_lower_the_learning_rate():
    """Once after every so many epochs that were no better than the best before."""
    fit = default_config("x").override(schedule="plateau", plateau_patience=2, plateau_factor=0.1).fit
    figures = [3.0, 2.0, 2.0, 2.5, 1.0, 1.1, 1.2, 1.3, 1.0]
    scales = [plateau_scale(figures[:n], fit) for n in range(len(figures) + 1)]
    assert scales == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


@pytest.mark.tensorflow
def test_a_plateau_shows_in_the_history(config, tmp_path):
    """The rate of each epoch is the one that the figures before it call for."""
    from s2s_training.train import train

    fit = config.override(
        schedule="plateau", plateau_patience=1, learning_rate=0.9, clip_norm=0.0, epochs=5, patience=0
    )
    train(fit, tmp_path / "run")
    found = history(tmp_path / "run")
    watched = found["val_cross_entropy"]
    expected = [0.9 * plateau_scale(watched[:n], fit.fit) for n in range(5)]
    assert found["learning_rate"] == pytest.approx(expected, rel=1e-5)
    assert min(expected) < 0.9, "the run had no plateau: choose a rate that has one"


@pytest.mark.tensorflow
def test_validation_and_the_saved_model_have_the_averaged_weights(config, tmp_path):
    """The average is that of the weights after every step; training itself goes on as without."""
    import keras

    from s2s_training.train import prepare, train

    class Record(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.average = None

        def on_train_batch_end(self, batch, logs=None):
            weights = self.model.get_weights()
            if self.average is None:
                self.average = weights
            else:
                self.average = [0.8 * a + 0.2 * w for a, w in zip(self.average, weights, strict=True)]

    record = Record()
    averaged = config.override(average=0.8, epochs=1)
    train(averaged, tmp_path / "averaged", callbacks=[record])
    saved = keras.models.load_model(tmp_path / "averaged" / "model.keras")
    for found, expected in zip(saved.get_weights(), record.average, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    task = prepare(averaged)
    task.model.set_weights(saved.get_weights())
    again = task.model.evaluate(task.validation(), return_dict=True, verbose=0)
    assert history(tmp_path / "averaged")["val_cross_entropy"] == pytest.approx([again["cross_entropy"]], rel=1e-4)
    train(config.override(epochs=1), tmp_path / "plain")
    assert history(tmp_path / "averaged")["loss"] == history(tmp_path / "plain")["loss"]
    assert "val_error" not in history(tmp_path / "plain")  # nothing is decoded after an epoch unless asked for


@pytest.mark.tensorflow
@pytest.mark.parametrize(("smoothing", "best"), [(0.1, 2), (0.0, 0)])
def test_with_smoothed_labels_the_smoothed_loss_tells_the_best_epoch(config, smoothing, best):
    """What is minimised, in a run whose plain cross-entropy rises while the smoothed one still falls."""
    from s2s_training.fit.epoch_history import History
    from s2s_training.train import prepare

    task = prepare(config.override(label_smoothing=smoothing))
    figures = {"epoch": [1, 2, 3], "val_loss": [0.9, 0.8, 0.7], "val_cross_entropy": [0.3, 0.4, 0.5]}
    assert History(figures, task.monitored).best() == best


@pytest.mark.tensorflow
def test_an_averaged_run_resumes_with_its_average(config, tmp_path):
    """Interrupted and resumed: the history of the run that was not."""
    import keras

    from s2s_training.train import train

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    averaged = config.override(average=0.9)
    with pytest.raises(KeyboardInterrupt):
        train(averaged, tmp_path / "broken", callbacks=[Interrupt()])
    train(averaged, tmp_path / "broken", resume=True)
    train(averaged, tmp_path / "whole")
    for name in ("loss", "val_loss", "val_cross_entropy"):
        assert history(tmp_path / "broken")[name] == history(tmp_path / "whole")[name]


@pytest.mark.tensorflow
def test_the_best_epoch_may_be_that_of_the_least_decoded_error(config, tmp_path):
    """The share of validation sources decoded wrong is in the history, and its least tells the best epoch."""
    from s2s_training.train import train

    summary = train(config.override(select="error", tensorboard=True), tmp_path / "run")
    errors = history(tmp_path / "run")["val_error"]
    assert all(0 <= error <= 1 for error in errors)
    assert summary["best"]["epoch"] == errors.index(min(errors)) + 1
    assert {path.parent.name for path in (tmp_path / "run" / "tensorboard").rglob("events.*")} == {
        "train",
        "validation",
    }


@pytest.mark.tensorflow
def test_the_last_epoch_may_be_kept_whatever_its_loss(config, tmp_path):
    """A run that was interrupted saves the weights of its last epoch, which here isn't the one of the least loss."""
    import keras

    from s2s_training.train import prepare, train

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    last = config.override(select="last", learning_rate=0.9, clip_norm=0.0, epochs=3, patience=0)
    with pytest.raises(KeyboardInterrupt):
        train(last, tmp_path / "run", callbacks=[Interrupt()])
    summary = train(last, tmp_path / "run", resume=True)
    losses = history(tmp_path / "run")["val_cross_entropy"]
    assert losses[-1] > min(losses), "the last epoch is the best one: choose a run where it isn't"
    assert (summary["kept"], summary["best"]["epoch"], summary["best"]["val_cross_entropy"]) == ("last", 3, losses[-1])
    assert "run: last epoch 3 of 3, " in describe(summary, tmp_path / "run")
    task = prepare(last)
    task.model.set_weights(keras.models.load_model(tmp_path / "run" / "model.keras").get_weights())
    again = task.model.evaluate(task.validation(), return_dict=True, verbose=0)
    assert again["cross_entropy"] == pytest.approx(losses[-1], rel=1e-4)


@pytest.mark.tensorflow
def test_event_files_hold_the_figures(tmp_path):
    """Both parts write a curve of the same name, in runs of their own."""
    import tensorflow as tf

    from s2s_training.fit.event_log import EventLog

    class Model:
        class optimizer:  # noqa: N801 - stands for an attribute
            learning_rate = 0.25

    log = EventLog(tmp_path)
    log.set_model(Model)
    log.on_epoch_end(0, {"loss": 2.0, "val_loss": 3.0})
    log.on_train_end()
    found = {}
    for path in tmp_path.rglob("events.*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found[path.parent.name, value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert found == {("train", "loss", 1): 2.0, ("train", "learning_rate", 1): 0.25, ("validation", "loss", 1): 3.0}


@pytest.mark.tensorflow
def test_a_mixed_twin_computes_in_float16_and_gives_its_weights_back(config):
    """Float32 variables and output, the same figures to float16's precision, for layers inside layers too."""
    import keras

    from s2s_training.fit.precision import mixed_twin
    from s2s_training.train import prepare

    task = prepare(config.override(bidirectional=True, attention="dot"))
    twin = mixed_twin(keras.Model(task.model.input, task.model.output))  # not compiled yet
    inner = next(layer for layer in twin.layers if isinstance(layer, keras.layers.Bidirectional)).forward_layer
    assert inner.compute_dtype == inner.cell.compute_dtype == "float16"
    assert {weight.dtype for weight in twin.weights} == {"float32"}
    (inputs, _, _) = next(iter(task.validation()))
    plain, mixed = task.model(inputs), twin(inputs)
    assert mixed.dtype == "float32"
    np.testing.assert_allclose(mixed, plain, atol=5e-3)
    for one, other in zip(twin.get_weights(), task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    twin.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    assert isinstance(twin.optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.tensorflow
def test_without_gpu_mixed_precision_says_so_and_changes_nothing(config, caplog):
    """It is asked for where there may be a GPU; the same command works without."""
    import tensorflow as tf

    from s2s_training.train import prepare

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    caplog.set_level("INFO", "s2s_training")
    assert prepare(config.override(mixed_precision=True)).model.compute_dtype == "float32"
    assert "mixed precision: no GPU found, training goes on in float32" in caplog.text


def test_summaries_of_seeds_hold_mean_and_spread():
    """Of every figure that all of them have."""
    summaries = [
        {"best": {"val_loss": loss}, "errors": {"plain": {"sequence_error_rate": rate}}, "minutes": 1}
        for loss, rate in ((1.0, 0.1), (2.0, 0.3))
    ]
    found = summarize([4, 7], summaries)
    assert found["seeds"] == [4, 7]
    assert found["best"]["val_loss"] == {
        "mean": 1.5,
        "deviation": pytest.approx(math.sqrt(0.5)),
        "least": 1.0,
        "most": 2.0,
        "values": [1.0, 2.0],
    }
    assert found["errors"]["plain"]["sequence_error_rate"]["mean"] == pytest.approx(0.2)
    assert summarize([4], summaries[:1])["best"]["val_loss"]["deviation"] == 0


def test_summaries_are_a_few_lines_to_read():
    """Of texts, of continuous data, and of several seeds."""
    best = {"epoch": 2, "val_loss": 0.5, "val_token_accuracy": 0.75}
    rates = {"sequences": 9, "sequence_error_rate": 0.25, "token_error_rate": 0.125}
    run = {"best": best, "epochs": 3, "minutes": 1.5, "errors": {"plain": rates}}
    assert describe(run, Path("a")).splitlines() == [
        "a: best epoch 2 of 3, validation loss 0.5000, token accuracy 75.00%, 1.5 minutes",
        "9 held-out sources decoded, plain: 25.0% wrong, 12.5% of tokens wrong",
    ]
    curves = {"all windows": {"sequences": 76, "mean_squared_error": 0.25}}
    assert describe({**run, "errors": curves}, Path("a")).splitlines()[1] == (
        "76 windows predicted from their own values, all windows: mean squared error 0.250000"
    )
    several = summarize([1, 2], [run, {**run, "best": {**best, "val_loss": 0.7}}])
    assert describe(several, Path("a")).splitlines()[:3] == [
        "a: 2 seeds, mean and standard deviation",
        "validation loss 0.6000 ± 0.1414",
        "plain: sequence error rate 0.2500 ± 0.0000",
    ]


def test_seeds_have_folders_of_their_own(config, tmp_path):
    """Each is the run that `seed` alone gives; a summary of all stands beside them."""
    from s2s_training.runs.seeds import train_seeds

    asked = []

    def train(own, folder):
        asked.append((own, folder))
        folder.mkdir(parents=True)
        return {"best": {"loss": own.fit.seed / 10}, "errors": {}}

    found = train_seeds(config, tmp_path / "several", [1, 5], train)
    assert asked == [(config.override(seed=seed), tmp_path / "several" / f"seed-{seed}") for seed in (1, 5)]
    assert json.loads((tmp_path / "several" / "summary.json").read_text()) == found
    assert found["best"]["loss"]["values"] == [0.1, 0.5]
    (tmp_path / "several" / "seed-1" / "config.toml").touch()
    with pytest.raises(RunFolderError, match="is the folder of a single run: choose another for those of several"):
        train_seeds(config, tmp_path / "several" / "seed-1", [1, 5], train)


def test_seeds_that_come_later_join_the_summary(config, tmp_path):
    """All complete runs of the same options count, in the order of seeds; others, and halves, don't."""
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.runs.seeds import train_seeds

    def train(own, path):
        folder, summary = RunFolder(path), {"best": {"loss": float(own.fit.seed)}, "errors": {}}
        folder.prepare(own, resume=False)
        folder.summary.write_text(json.dumps(summary))
        folder.model.touch()
        return summary

    path = tmp_path / "several"
    train_seeds(config, path, [10, 2], train)
    train(config.override(seed=4, units=7), path / "seed-4")
    train(config.override(seed=5), path / "seed-5")
    (path / "seed-5" / "model.keras").unlink()
    train(config.override(seed=6), path / "seed-6")
    (path / "seed-6" / "config.toml").write_text("[fit]\nrate = 1\n")
    assert train_seeds(config.override(tensorboard=True), path, [3], train)["seeds"] == [2, 3, 10]
    found = json.loads((path / "summary.json").read_text())
    assert found["best"]["loss"]["values"] == [2.0, 3.0, 10.0]
