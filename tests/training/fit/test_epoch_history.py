import json

import pytest

from s2s_training.data.datasets import default_config
from s2s_training.errors import DivergenceError
from s2s_training.fit.compiling import MONITORED
from s2s_training.fit.epoch_history import History

pytestmark = pytest.mark.tensorflow


def history(*losses):
    """A history of epochs with these validation losses."""
    made = History()
    for epoch, loss in enumerate(losses, start=1):
        made.append({"epoch": epoch, MONITORED: loss})
    return made


def test_the_best_epoch_is_the_earliest_of_least_validation_loss():
    """Ties go to the earlier epoch."""
    assert [history().best(), history(3.0).best(), history(3.0, 1.0, 2.0, 1.0).best()] == [-1, 0, 1]


def test_patience_counts_the_loss_where_the_last_epoch_is_kept():
    """Which epoch is kept plays no part in when a run ends."""
    kept = History({"epoch": [1, 2, 3], MONITORED: [1.0, 2.0, 3.0]}, keeps_last=True)
    assert (kept.kept(), kept.best(), kept.finished(9, 2), kept.finished(9, 3)) == (2, 0, True, False)
    assert (History(keeps_last=True).kept(), history(1.0, 2.0).kept()) == (-1, 0)


@pytest.mark.parametrize(
    ("losses", "epochs", "patience", "finished"),
    [
        ([], 3, 2, False),
        ([3, 2, 1], 3, 2, True),
        ([1, 2], 9, 2, False),
        ([1, 2, 3], 9, 2, True),
        ([3, 1, 2, 0.5], 9, 2, False),
        ([1, 2, 3, 4], 9, 0, False),
    ],
)
def test_a_run_ends_after_its_epochs_or_its_patience(losses, epochs, patience, finished):
    """Patience counts epochs since the best one; 0 is endless."""
    assert history(*losses).finished(epochs, patience) == finished


def test_a_history_survives_its_file_and_forgets_what_was_not_backed_up(tmp_path):
    """It is a JSON object of lists, one value per epoch."""
    path = tmp_path / "history.json"
    assert len(History.read(path)) == 0
    history(3.0, 2.0).write(path)
    assert json.loads(path.read_text()) == {"epoch": [1, 2], MONITORED: [3.0, 2.0]}
    read = History.read(path)
    assert (len(read), read.last(MONITORED, 9.0)) == (2, 2.0)
    read.truncate(1)
    assert read.columns == {"epoch": [1], MONITORED: [3.0]}
    read.truncate(0)
    assert read.last(MONITORED, 9.0) == 9.0


@pytest.fixture
def diverging(tmp_path):
    """Trains three epochs, and spoils the weights at the beginning of the one given."""
    import keras
    import numpy as np

    from s2s_training.train import train

    class Spoil(keras.callbacks.Callback):
        def __init__(self, spoilt):
            super().__init__()
            self.spoilt = spoilt

        def on_epoch_begin(self, epoch, logs=None):
            if epoch + 1 == self.spoilt:
                self.model.set_weights([np.full_like(weights, np.nan) for weights in self.model.get_weights()])

    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{number}\t{number}\n" for number in range(100, 160)), encoding="utf-8")
    options = {"units": 3, "embedding": 2, "epochs": 3, "clip_norm": 0.0, "valid_fraction": 0.2, "score": 5}
    config = default_config(str(pairs)).override(**options, test_fraction=0.2)
    return lambda epoch: train(config, tmp_path / "run", callbacks=[Spoil(epoch)])


def test_a_run_that_diverges_keeps_the_best_epoch_before(diverging, tmp_path):
    """An error that names the epoch and what to try; model, figures and curves are those of the epochs before."""
    import keras
    import numpy as np

    message = r"^loss is nan in epoch 3: .* learning_rate than 0\.002, .* clip_norm.*model\.keras holds the best .* 2$"
    with pytest.raises(DivergenceError, match=message):
        diverging(3)
    run = tmp_path / "run"
    assert json.loads((run / "history.json").read_text())["epoch"] == [1, 2]
    assert json.loads((run / "summary.json").read_text())["epochs"] == 2
    assert all(np.isfinite(weights).all() for weights in keras.models.load_model(run / "model.keras").get_weights())


def test_a_run_that_diverges_at_once_leaves_no_model(diverging, tmp_path):
    """Nor anything that a resumed run would go on with."""
    with pytest.raises(DivergenceError, match=r"^loss is nan in epoch 1: training diverged; try .* such as 1$"):
        diverging(1)
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {"config.toml", "vocab.json", "test.tsv", "data-digests.json"}
