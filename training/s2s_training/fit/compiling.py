"""What `fit` needs besides data: loss, metrics, optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from s2s_training.config.fit import FitConfig
from s2s_training.config.model import ModelConfig
from s2s_training.data.arrays import Layout

MONITORED = "val_cross_entropy"
XLA_STEPS = 1000
"""Steps of a run from which on compiling by XLA pays: it takes some seconds, and saves 12 ms a step."""


def monitored(config: FitConfig, layout: Layout) -> str:
    """Return the name of the figure, less being better, by which the best epoch is chosen: a validation loss.

    Where labels are smoothed that is the smoothed loss. A model trained on smoothed labels goes on getting better when
    the plain cross-entropy rises again, because it is told never to be certain. Hungarian pronunciation, 50 epochs:
    99.0% of steps right at the least cross-entropy (epoch 19), 99.2% at the least smoothed loss (epoch 46).
    """
    return "val_loss" if config.label_smoothing or layout.frames is not None else MONITORED


def is_for_xla(described: ModelConfig, config: FitConfig, layout: Layout, steps: int) -> bool:
    """Return whether training is compiled by XLA: the published models that read their padding, on a CPU.

    All their batches have one shape, and a step of the canonical translator takes 59 ms where it took 72; the losses
    differ by rounding. Where every batch has a shape of its own, XLA compiles each. Per step of an LSTM 128 | 256 with
    attention, batch 256, 10 steps a side, 2 cores: 0.17 s with, 0.18 s without; and it takes 10 s to compile.

    Args:
        described: the model section.
        config: the fit section.
        layout: how pairs become arrays.
        steps: how many steps the run is to take.
    """
    one_shape = layout.per_step and layout.fed and None not in (layout.source_length, layout.target_length)
    others = (described.dropout, described.word_dropout, described.scheduled_sampling, described.layer_norm)
    plain = described.cell in ("lstm", "gru") and described.attention == "none" and not any(others)
    alone = not (config.mixed_precision or config.accumulation > 1)
    devices = tf.config.get_visible_devices("GPU") or tf.distribute.get_strategy().num_replicas_in_sync > 1
    return bool(one_shape and plain and alone and not described.free_running and not devices and steps >= XLA_STEPS)


def compile_model(model: keras.Model, config: FitConfig, layout: Layout, *, xla: bool = False) -> None:
    """Compile a model for training on `(inputs, labels, weights)`.

    `loss` is what is minimised: of each batch the mean over the steps that count, or, for the published models that
    read their padding, over all steps. The metrics `cross_entropy` (nats per step that counts, without label
    smoothing) and `token_accuracy` are exact means over an epoch, however batches are cut. With CTC `loss` is the mean
    over pairs, in nats for a whole target, and there are no metrics: nothing says which frame writes what.
    """
    by_steps = reduction(layout)
    ctc = layout.frames is not None
    model.compile(
        optimizer=make_optimizer(config),
        loss=ConnectionistLoss() if ctc else CrossEntropy(config.label_smoothing, reduction=by_steps),
        weighted_metrics=[] if ctc else step_metrics(),
        jit_compile=xla,
    )


def reduction(layout: Layout) -> str:
    """Return how the loss of a batch is made of those of its steps, by Keras's name for it."""
    return "sum_over_batch_size" if layout.per_step else "mean_with_sample_weight"


def step_metrics() -> list[keras.metrics.Metric]:
    """Return the metrics of models that give a distribution at each step."""
    return [
        StepMean(keras.losses.sparse_categorical_crossentropy, name="cross_entropy"),
        StepMean(keras.metrics.sparse_categorical_accuracy, name="token_accuracy"),
    ]


def make_optimizer(config: FitConfig) -> keras.optimizers.Optimizer:
    """Return the optimizer that a configuration asks for."""
    together = tf.distribute.get_strategy().num_replicas_in_sync > 1 and config.clip_norm > 0
    clipped: dict[str, Any] = {"global_norm": config.clip_norm} if together else {}
    adam, rmsprop = (ClippedAdam, ClippedRMSprop) if together else (keras.optimizers.Adam, keras.optimizers.RMSprop)
    common = {
        **clipped,
        "global_clipnorm": None if together else config.clip_norm or None,
        "use_ema": config.average > 0,
        # Keras moves the average after each batch, whether the weights moved or not: by so much less.
        "ema_momentum": config.average ** (1 / config.accumulation),
        "gradient_accumulation_steps": config.accumulation if config.accumulation > 1 else None,
    }
    if config.optimizer == "rmsprop":
        # Keras 3 adds epsilon inside the square root, where Keras 2's 1e-7 outside would be 1e-14: with the default the
        # step vanishes on gradients as small as those of a mean over all padded steps.
        return rmsprop(config.learning_rate, epsilon=1e-14, **common)
    return adam(config.learning_rate, **common)


class ClippedTogether:
    """The part of an optimizer that clips gradients by the norm of what all devices' gradients come to.

    Keras clips those of each device by themselves, before it adds them.

    Args:
        global_norm: the largest norm.
        options: those of the optimizer.
    """

    def __init__(self, *arguments: Any, global_norm: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.global_norm = global_norm

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """Clip the gradients of this device, a list of tensors, and hand them on; see Keras's method."""
        device = tf.distribute.get_replica_context()
        if device is not None:
            whole = device.all_reduce(tf.distribute.ReduceOp.SUM, [tf.convert_to_tensor(each) for each in grads])
            scale = self.global_norm / tf.maximum(tf.linalg.global_norm(whole), self.global_norm)
            grads = [gradient * scale for gradient in grads]
        return super().apply(grads, trainable_variables)  # type: ignore[misc]  # an optimizer's


class ClippedAdam(ClippedTogether, keras.optimizers.Adam):
    """Adam on several devices, its gradients clipped together."""


class ClippedRMSprop(ClippedTogether, keras.optimizers.RMSprop):
    """RMSprop on several devices, its gradients clipped together."""


class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of integer labels, with label smoothing (Szegedy et al. 2016).

    A step of weight 0 has no gradient, also where its label stands for a row of zeros.

    Args:
        smoothing: share of the target distribution spread over all symbols.
        reduction: as in every Keras loss.
    """

    def __init__(self, smoothing: float = 0.0, reduction: str = "mean_with_sample_weight", **options: Any) -> None:
        super().__init__(reduction=reduction, **options)
        self.smoothing = smoothing

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of a batch. On one of several devices it has the gradient of that device's part.

        Keras takes the mean of the devices' means, in which a step of a part with few steps weighs more than another.
        """
        loss = super().__call__(y_true, y_pred, sample_weight)
        device = tf.distribute.get_replica_context()  # None while Keras builds the model for all of them
        if device is None or device.num_replicas_in_sync == 1:
            return loss
        by_weight = self.reduction == "mean_with_sample_weight" and sample_weight is not None
        steps = tf.cast(tf.reduce_sum(sample_weight) if by_weight else tf.size(y_true), tf.float32)
        own = loss * device.num_replicas_in_sync * steps / device.all_reduce(tf.distribute.ReduceOp.SUM, steps)
        return own + tf.stop_gradient(device.all_reduce(tf.distribute.ReduceOp.MEAN, own) - own)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss per step (batch, time) of labels (batch, time) and probabilities (batch, time, symbols)."""
        if not self.smoothing:
            return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        one_hot = ops.one_hot(y_true, y_pred.shape[-1])
        return keras.losses.categorical_crossentropy(one_hot, y_pred, label_smoothing=self.smoothing)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "smoothing": self.smoothing}


class ConnectionistLoss(keras.losses.Loss):
    """Connectionist temporal classification (Graves et al. 2006) by Keras's own function, class 0 being the blank."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss (batch,) of labels (batch, 1 + time) and logits (batch, frames, classes).

        The first label says how many frames count; behind the last of a target stand blanks.
        """
        frames, labels = ops.cast(y_true[:, 0], "int32"), ops.cast(y_true[:, 1:], "int32")
        lengths = ops.sum(ops.cast(labels != 0, "int32"), axis=1)
        return ops.ctc_loss(labels, y_pred, lengths, frames, mask_index=0)


class StepMean(keras.metrics.Mean):
    """The mean of a figure over all steps that count, however batches are cut.

    Keras's own metrics average over time within a batch first, so a step of a short batch would weigh more than one of
    a long batch.

    Args:
        figure: from labels (batch, time) and probabilities (batch, time, symbols) to values (batch, time).
        name: of the metric.
    """

    def __init__(self, figure: Callable[[Any, Any], Any], name: str) -> None:
        super().__init__(name=name)
        self._figure = figure

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        """Add the figures of a batch, with weights (batch, time)."""
        values = self._figure(y_true, y_pred)
        super().update_state(ops.reshape(values, (-1,)), ops.reshape(sample_weight, (-1,)))
