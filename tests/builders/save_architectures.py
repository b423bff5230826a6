"""Builds every architecture with weights that make its outputs vary, and saves it.

`python save_architectures.py FOLDER`
"""

import sys
from pathlib import Path

import keras
import numpy as np
from architectures import ARCHITECTURES


def randomise(model: keras.Model) -> None:
    """Gives a model weights large enough that different sources decode differently."""
    rng = np.random.default_rng(3)
    scale = 0.2 if model.name == "other_activations" else 0.5  # relu in a recurrence explodes
    for weight in model.weights:
        if "moving_variance" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif len(weight.shape) > 0 and "seed" not in weight.path:
            weight.assign(rng.normal(size=weight.shape) * scale)


if __name__ == "__main__":
    for name, build in ARCHITECTURES.items():
        keras.utils.clear_session()
        model = build()
        model.name = name
        randomise(model)
        model.save(Path(sys.argv[1]) / f"{name}.keras")
