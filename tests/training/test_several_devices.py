"""Training on several devices: the losses of one, and runs that go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import ConfigError

pytestmark = pytest.mark.tensorflow

# In a process of its own: how many devices a CPU counts as is settled once. Padding makes the devices' parts of a batch
# unequal, and the norm of gradients is clipped: what Keras does to each part by itself would show.
RUNS = """
import sys
from s2s_training.quiet_import import import_quietly
import_quietly(2)
import keras
from s2s_training.config.data import DataConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.train import train

class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

def run(name, devices, **how):
    config = TrainingConfig(data=DataConfig(data="pairs.tsv")).override(
        units=8, epochs=2, batch_size=16, buckets=1, score=0, clip_norm=0.2, devices=devices, learning_rate=0.02)
    train(config, name, **how)

run("one", 1)
run("two", 2)
try:
    run("resumed", 2, callbacks=[Stop()])
except KeyboardInterrupt:
    run("resumed", 2, resume=True)
"""


def test_two_devices_learn_what_one_does_and_go_on_where_they_were_ended(tmp_path: Path) -> None:
    """With the same batches, two devices have the losses of one, but for rounding; a resumed run has its own again."""
    words = [f"{'abcdefgh'[i % 8] * (1 + i % 7)}{'abcdefgh'[i // 8 % 8]}" for i in range(200)]
    (tmp_path / "pairs.tsv").write_text("".join(f"{word}\t{word[::-1].upper()}\n" for word in dict.fromkeys(words)))
    done = subprocess.run([sys.executable, "-c", RUNS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = ("one", "two", "resumed")
    one, two, resumed = (json.loads((tmp_path / name / "history.json").read_text()) for name in names)
    for figure in ("loss", "val_cross_entropy"):
        assert two[figure] == pytest.approx(one[figure], abs=1e-4)
        assert resumed[figure] == pytest.approx(two[figure], abs=1e-6)
    assert one["loss"][1] < one["loss"][0]


def test_what_devices_cant_share_is_refused() -> None:
    """More devices than pairs in a batch, and float16, are a line that says what to give."""
    with pytest.raises(ConfigError, match="devices: expected at most batch_size = 4, got 5"):
        TrainingConfig(data=DataConfig(data="pairs.tsv"), fit=FitConfig(batch_size=4, devices=5))
    with pytest.raises(ConfigError, match="devices, mixed_precision: expected one of them"):
        TrainingConfig(data=DataConfig(data="pairs.tsv"), fit=FitConfig(devices=2, mixed_precision=True))
