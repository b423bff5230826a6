"""The weights that a run starts from where they are those of another run."""

from __future__ import annotations

import logging
from pathlib import Path
from zipfile import BadZipFile

import keras

from s2s_training.errors import ConfigError
from s2s_training.start_run import require_finished

logger = logging.getLogger(__name__)


def set_weights_of(run: str, model: keras.Model) -> None:
    """Give a model the weights of the run in a folder.

    Args:
        run: the folder.
        model: has weights like those of that run's model, in their order.

    Raises:
        ConfigError: there is no such run, or its weights are others than its configuration says.
    """
    require_finished(run)
    path = Path(run) / "model.keras"
    try:
        weights = keras.models.load_model(path, compile=False).get_weights()
    except (OSError, ValueError, TypeError, KeyError, BadZipFile) as error:
        raise ConfigError(f"start_from: {path} can't be loaded: {error}") from error
    if [weight.shape for weight in weights] != [weight.shape for weight in model.get_weights()]:
        raise ConfigError(
            f"start_from: the weights in {path} are not those of the model that its config.toml describes"
        )
    model.set_weights(weights)
    logger.info("starting from the weights of %s", run)
