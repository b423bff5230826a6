"""Pictures of a run."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from s2s_training.history import History


def plot_losses(history: History, path: Path) -> None:
    """Draw the loss and the token accuracy of both parts over the epochs, the best epoch marked, as a PNG.

    Args:
        history: at least one epoch.
        path: where to; written beside and renamed.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    titles = {"cross_entropy": "cross-entropy (nats per token)", "token_accuracy": "token accuracy"}
    epochs = history.columns["epoch"]
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        axes.plot(epochs, history.columns[name], marker=".", label="training")
        axes.plot(epochs, history.columns[f"val_{name}"], marker=".", label="validation")
        axes.axvline(epochs[history.best()], color="0.6", linestyle=":", label="best epoch")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    panels[0].legend()
    beside = path.with_name(f"tmp-{path.name}")
    figure.savefig(beside, dpi=120)
    beside.replace(path)
