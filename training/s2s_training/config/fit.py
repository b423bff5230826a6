"""The optimisation section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from s2s_runtime.declared_options import Option, declares_options, option_problems

OptimizerName = Literal["adam", "rmsprop"]
ScheduleName = Literal["constant", "linear", "cosine", "plateau"]
Select = Literal["loss", "error", "last"]
DEFAULT_WARM_UP = 0.05
LARGEST_SEED = 2**32 - 1  # numpy's
PANEL = "Training"
_UNTRIED = (
    ("devices", "mixed_precision"),
    ("devices", "accumulation"),
    ("devices", "r_drop"),
    ("mixed_precision", "r_drop"),
    ("mixed_precision", "accumulation"),
)


@declares_options
@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How the weights are optimised."""

    epochs: Annotated[int, Option(panel=PANEL, at_least=1)] = 20
    """Passes over the pairs."""

    batch_size: Annotated[int, Option(panel=PANEL, at_least=1)] = 128
    """Pairs per step. Of a language model: parts of the text that are read side by side."""

    window: Annotated[int, Option(panel=PANEL, at_least=1)] = 64
    """Language models: symbols in a row of a batch. Gradients reach back to its beginning, and states are carried on
    from the window before (truncated backpropagation through time)."""

    devices: Annotated[int, Option(panel=PANEL, at_least=1)] = 1
    """GPUs, or parts of the CPU, that share each batch. The losses are those of one device, but for rounding. Texts
    only, and not with `mixed_precision`. It wasn't tried on GPUs."""

    optimizer: Annotated[OptimizerName, Option(panel=PANEL)] = "adam"
    """Optimizer."""

    learning_rate: Annotated[float, Option(panel=PANEL, above=0)] = 0.002
    """Highest learning rate."""

    schedule: Annotated[ScheduleName, Option(panel=PANEL)] = "constant"
    """Learning rate over the run. What follows the warm-up: "linear" = a straight line down to zero; "cosine" = half a
    cosine down to zero; "plateau" = times `plateau_factor` after every `plateau_patience` epochs that brought no better
    figure of `select` than the best before."""

    warm_up: Annotated[float | None, Option(panel=PANEL, at_least=0, below=1)] = None
    """Share of the run in which the learning rate rises. It rises in a straight line; None = 0.05 with "linear" and
    "cosine", 0 else."""

    plateau_patience: Annotated[int, Option(panel=PANEL, at_least=1)] = 2
    """Schedule plateau: epochs without gain."""

    plateau_factor: Annotated[float, Option(panel=PANEL, above=0, below=1)] = 0.5
    """Schedule plateau: what follows them."""

    clip_norm: Annotated[float, Option(panel=PANEL, at_least=0)] = 1.0
    """Largest norm of gradients; 0 = any. The norm is that of all of them together."""

    accumulation: Annotated[int, Option(panel=PANEL, at_least=1)] = 1
    """Batches for each step of the optimizer, which takes the mean of their gradients: as if a batch were so many times
    as large, in the memory of one. Each batch counts the same, however many symbols it has."""

    label_smoothing: Annotated[float, Option(panel=PANEL, at_least=0, below=1)] = 0.0
    """Share spread over all symbols. It is taken from the distribution that targets stand for."""

    r_drop: Annotated[float, Option(panel=PANEL, at_least=0)] = 0.0
    """Weight of how much two passes with other dropout differ. Each batch goes through the model twice, and the mean of
    both losses grows by this times half the mean of both Kullback-Leibler divergences (R-Drop, Liang et al. 2021, half
    of their sum). It takes twice the time, and needs dropout."""

    average: Annotated[float, Option(panel=PANEL, at_least=0, below=1)] = 0.0
    """Decay of the moving average of the weights; 0 = none. The average is exponential; validation, and the model that
    is saved, then use it (Polyak and Juditsky 1992)."""

    mixed_precision: Annotated[bool, Option(panel=PANEL)] = False
    """float16 where a GPU is found. Losses are scaled (Micikevicius et al. 2018); the saved model is float32. Without
    GPU nothing changes."""

    select: Annotated[Select, Option(panel=PANEL)] = "loss"
    """Validation figure that tells the best epoch; or "last", whatever it says. The weights of that epoch are saved,
    and patience counts the same figure: the "loss" (with label smoothing where there is any), or the "error" (share of
    wrong sequences when decoded greedily; of the continuous data sets the mean squared error of fed-back predictions).
    "last" = those of the last epoch; patience counts the loss. For schedules that come down to zero, where the loss can
    rise while what is decoded still gets better."""

    decode_valid: Annotated[int, Option(panel=PANEL, at_least=0)] = 0
    """Validation sources decoded after an epoch. 0 = none, or all where `select` is "error". Continuous data sets are
    always predicted whole."""

    patience: Annotated[int, Option(panel=PANEL, at_least=0)] = 3
    """Epochs without gain before stopping; 0 = never stop."""

    max_minutes: Annotated[float | None, Option(panel=PANEL, above=0)] = None
    """Train no longer; the schedule ends by then. Minutes before an interruption count; where the epochs would take
    longer, the schedule is fitted by measured time, so that two such runs are not the same to the bit; None = no
    limit."""

    buckets: Annotated[int, Option(panel=PANEL, at_least=1)] = 6
    """Groups of similar length. Batches are drawn from one each."""

    backup_steps: Annotated[int, Option(panel=PANEL, at_least=0)] = 0
    """Steps between states for --resume; 0 = one an epoch. Interrupted within an epoch, a run goes on behind the last
    of them, and ends as if it had not been. A state is written in about the time that the saved model takes."""

    seed: Annotated[int, Option(panel=PANEL, at_least=0, at_most=LARGEST_SEED)] = 1
    """Seed of weights, order, dropout, and of sums (addition)."""

    score: Annotated[int, Option(panel=PANEL, at_least=0)] = 500
    """Held-out sources decoded to count errors. This is done at the end; 0 = none."""

    tensorboard: Annotated[bool, Option(panel=PANEL)] = False
    """Event files in RUN/tensorboard."""

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line for each problem."""
        problems = option_problems(self)
        if not problems and self.devices > self.batch_size:
            problems.append(f"devices: expected at most batch_size = {self.batch_size}, got {self.devices}")
        return problems or self._untried()

    def _untried(self) -> list[str]:
        """Return one line for each two options in use that nobody has tried together."""
        in_use = {
            "devices": self.devices > 1,
            "mixed_precision": self.mixed_precision,
            "accumulation": self.accumulation > 1,
            "r_drop": self.r_drop > 0,
        }
        return [
            f"{name}, {other}: expected one of them; together they weren't tried"
            for name, other in _UNTRIED
            if in_use[name] and in_use[other]
        ]

    @property
    def warm_up_share(self) -> float:
        """The share of the run during which the learning rate rises, with the default filled in."""
        if self.warm_up is None:
            return DEFAULT_WARM_UP if self.schedule in ("linear", "cosine") else 0.0
        return self.warm_up
