"""R-Drop: each batch goes through a model twice, with other dropout, and both have to agree (Liang et al. 2021)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Divergence(keras.losses.Loss):
    """The sum of both Kullback-Leibler divergences of two distributions at each step."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the divergence per step (batch, time) of probabilities (batch, time, symbols)."""
        least = keras.config.epsilon()
        return ops.sum((y_true - y_pred) * (ops.log(y_true + least) - ops.log(y_pred + least)), axis=-1)


class TwiceThroughModel(keras.Model):
    """A model that trains on two passes of each batch; its layers are those of another model.

    Half of the published sum is minimised: (loss 1 + loss 2) / 2 + weight * (KL 1 + KL 2) / 4, so that a weight of 0
    leaves the loss of one pass. Figures of training are those of the first pass; validation has one.

    Args:
        model: Functional, that gives distributions at each step.
        weight: of the divergences.
        reduction: how the loss of a batch is made of those of its steps, as in every Keras loss.
    """

    def __init__(self, model: keras.Model, weight: float, reduction: str) -> None:
        super().__init__(model.inputs, model.outputs[0], name=model.name)
        self.weight = weight
        self.divergence = Divergence(reduction=reduction)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of a batch; in training the model is called once more."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        again = self(x, training=True)
        second = super().compute_loss(x, y, again, sample_weight, training)
        return (loss + second) / 2 + self.weight / 4 * self.divergence(y_pred, again, sample_weight=sample_weight)
