"""Pictures of a run."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from s2s_training.history import History

TEXT_TITLES = {"cross_entropy": "cross-entropy (nats per token)", "token_accuracy": "token accuracy"}
SERIES_TITLES = {"loss": "mean squared error, fed the truth", "error": "mean squared error, fed its own values"}


def plot_losses(history: History, path: Path) -> None:
    """Draw the loss and the token accuracy of both parts over the epochs, the best epoch marked, as a PNG.

    Args:
        history: at least one epoch.
        path: where to; written beside and renamed.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    titles = TEXT_TITLES if "cross_entropy" in history.columns else SERIES_TITLES
    epochs = history.columns["epoch"]
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in history.columns:
                axes.plot(epochs, history.columns[column], marker=".", label=label)
        axes.axvline(epochs[history.best()], color="0.6", linestyle=":", label="best epoch")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    panels[0].legend()
    beside = path.with_name(f"tmp-{path.name}")
    figure.savefig(beside, dpi=120)
    beside.replace(path)
