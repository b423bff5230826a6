"""The optimisation section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from s2s_training.config.checks import above, below, wrong_choices, wrong_types

OptimizerName = Literal["adam", "rmsprop"]
ScheduleName = Literal["constant", "linear", "cosine", "plateau"]
Select = Literal["loss", "error"]
DEFAULT_WARM_UP = 0.05
LARGEST_SEED = 2**32 - 1  # numpy's


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """The optimisation.

    Args:
        epochs: passes over the training pairs.
        batch_size: pairs per step.
        optimizer: "adam" or "rmsprop".
        learning_rate: the highest one.
        schedule: what follows the warm-up: "constant"; "linear" = a straight line down to zero; "cosine" = half a
            cosine down to zero; "plateau" = times `plateau_factor` after every `plateau_patience` epochs that brought
            no better figure of `select` than the best before.
        warm_up: share of the run in which the learning rate rises in a straight line, 0 <= share < 1; None = 0.05
            with "linear" and "cosine", 0 else.
        plateau_patience: epochs, at least 1.
        plateau_factor: 0 < factor < 1.
        clip_norm: gradients are scaled down to this global norm; 0 = never.
        label_smoothing: share of the target distribution spread over all symbols, 0 <= share < 1.
        average: decay of the exponential moving average of the weights, 0 <= decay < 1; 0 = none. Validation, and the
            model that is saved, then use the averaged weights (Polyak and Juditsky 1992).
        mixed_precision: whether to compute in float16 with scaled losses where a GPU is found (Micikevicius et al.
            2018); the saved model is float32. Without GPU nothing changes.
        select: which epoch's weights are saved: that of the least validation "loss" (with label smoothing where there
            is any), or of the least validation "error" (share of wrong sequences when decoded greedily; of the
            continuous data sets the mean squared error of fed-back predictions). Patience counts the same figure.
        decode_valid: how many validation sources are decoded after each epoch; 0 = none, or all where `select` is
            "error". Continuous data sets are always predicted whole.
        patience: stop after so many epochs that were no better than the best; 0 = never.
        max_minutes: stop training after so many minutes, those before an interruption counted; where the epochs would
            take longer, the schedule is fitted to end by then, by measured time, so that two such runs are not the
            same to the bit; None = no limit.
        buckets: number of groups of similar length that batches are drawn from.
        seed: seed of initial weights, order of batches and dropout, and of data that is made up: `addition`; 0 to
            2**32 - 1.
        score: how many held-out sources are decoded at the end to count errors; 0 = none.
        tensorboard: whether event files for TensorBoard are written into the run folder.
    """

    epochs: int = 20
    batch_size: int = 128
    optimizer: OptimizerName = "adam"
    learning_rate: float = 0.002
    schedule: ScheduleName = "constant"
    warm_up: float | None = None
    plateau_patience: int = 2
    plateau_factor: float = 0.5
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    average: float = 0.0
    mixed_precision: bool = False
    select: Select = "loss"
    decode_valid: int = 0
    patience: int = 3
    max_minutes: float | None = None
    buckets: int = 6
    seed: int = 1
    score: int = 500
    tensorboard: bool = False

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = wrong_types(self)
        if found:
            return found
        found += wrong_choices(self, optimizer=OptimizerName, schedule=ScheduleName, select=Select)
        found += below(self, 1, "epochs", "batch_size", "buckets", "plateau_patience")
        found += below(self, 0, "clip_norm", "patience", "seed", "score", "decode_valid")
        found += above(self, LARGEST_SEED, "seed")
        for name in ("label_smoothing", "average", "warm_up"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                found.append(f"{name}: expected 0 <= {name} < 1, got {value}")
        if not 0 < self.plateau_factor < 1:
            found.append(f"plateau_factor: expected 0 < plateau_factor < 1, got {self.plateau_factor}")
        for name in ("learning_rate", "max_minutes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                found.append(f"{name}: expected more than 0, got {value}")
        return found

    @property
    def warm_up_share(self) -> float:
        """The share of the run that warms up, the default filled in."""
        if self.warm_up is None:
            return DEFAULT_WARM_UP if self.schedule in ("linear", "cosine") else 0.0
        return self.warm_up
