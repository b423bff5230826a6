"""What a file's optimizer remembers comes along, also where its class is derived from one of Keras's."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from s2s_export import load_model
from s2s_training.fit.compiling import ClippedAdam, ClippedRMSprop

pytestmark = pytest.mark.tensorflow


class Patient(keras.optimizers.SGD):
    """An optimizer that keeps more than the one whose name it doesn't bear."""


class PatientOptimizer(keras.optimizers.SGD):
    """One whose name holds that of the class all optimizers derive from."""


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(
    "optimizer", [PatientOptimizer, lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())]
)
def test_what_any_optimizer_is_called_names_none(optimizer: object, ending: str, tmp_path: Path) -> None:
    """The model loads, without what its file's optimizer remembers."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3)])
    model.compile(optimizer=optimizer(), loss="mse", run_eagerly=True)  # type: ignore[operator]
    model.train_on_batch(np.ones((4, 2)), np.ones((4, 3)))
    model.save(tmp_path / f"m{ending}")
    assert getattr(load_model(tmp_path / f"m{ending}"), "optimizer", None) is None


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(
    "optimizer", [lambda: ClippedAdam(global_norm=1.0), lambda: ClippedRMSprop(global_norm=1.0), Patient]
)
def test_memory_of_derived_optimizers(optimizer: object, ending: str, tmp_path: Path) -> None:
    """Squared gradients are those of training; of a class whose name tells nothing, nothing is taken for them."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3)])
    model.compile(optimizer=optimizer(), loss="mse", run_eagerly=True)  # type: ignore[operator]
    model.train_on_batch(np.ones((4, 2)), np.ones((4, 3)))
    model.save(tmp_path / f"m{ending}")
    loaded = load_model(tmp_path / f"m{ending}")
    if isinstance(model.optimizer, Patient):
        assert getattr(loaded, "optimizer", None) is None
        return
    kept, found = ([np.asarray(variable) for variable in each.optimizer.variables] for each in (model, loaded))
    assert any("velocity" in variable.path and np.any(variable) for variable in loaded.optimizer.variables)
    assert len(found) == len(kept)
    assert all(np.array_equal(one, other) for one, other in zip(found, kept, strict=True))
