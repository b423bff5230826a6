import json

import pytest

from s2s_training.fitting import MONITORED
from s2s_training.history import History

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
