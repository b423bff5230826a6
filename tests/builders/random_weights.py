"""Weights for models that nobody trains."""

import keras
import numpy as np


def randomise(model: keras.Model) -> None:
    """Gives a model weights large enough that different sources decode differently."""
    rng = np.random.default_rng(3)
    scale = 0.2 if model.name == "other_activations" else 0.5  # relu in a recurrence explodes
    for weight in model.weights:
        if "moving_variance" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif len(weight.shape) > 0 and "seed" not in weight.path:
            weight.assign(rng.normal(size=weight.shape) * scale)
