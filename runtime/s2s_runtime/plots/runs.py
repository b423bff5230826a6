"""Pictures of training runs and of what models write."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.error_rates import nearest
from s2s_runtime.errors import InputError
from s2s_runtime.plots.figures import add_legend, new_figure, save_figure

Columns = Mapping[str, Sequence[float]]
PANELS = {
    "cross_entropy": "cross-entropy (nats per token)",
    "loss": "loss",
    "perplexity": "perplexity",
    "token_accuracy": "token accuracy",
    "error": "decoded error",
}


_MOST_BARS: Final = 30


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a continuous data set, as training writes them to `windows.npz`.

    Attributes:
        points: (windows, time), positions at which the curves were sampled.
        sources: float32 (windows, time, features).
        targets: float32 (windows, time, features).
        shown: indices of the windows that pictures show.
    """

    points: NDArray[np.float32]
    sources: NDArray[np.float32]
    targets: NDArray[np.float32]
    shown: Sequence[int]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Windows:
        """Read a `windows.npz`.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: the file holds something else.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                read = cls(arrays["points"], arrays["sources"], arrays["targets"], arrays["shown"].tolist())
            read._check()
        except (KeyError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:  # from EOFError on: torn
            raise InputError(f"{path}: expected the windows.npz of a run on continuous data: {error}") from error
        return read

    def _check(self) -> None:
        arrays = (self.points, self.sources, self.targets)
        if any(array.dtype.kind != "f" for array in arrays):
            raise ValueError("points, sources and targets aren't floats")
        if [array.ndim for array in arrays] != [2, 3, 3] or len({array.shape[:2] for array in arrays}) > 1:
            raise ValueError(f"points, sources and targets have the shapes {', '.join(str(a.shape) for a in arrays)}")
        if not self.shown or not set(map(str, self.shown)) <= set(map(str, range(len(self.points)))):
            raise ValueError(f"shown: no numbers of its {len(self.points)} windows")


def plot_history(runs: Mapping[str, Columns], path: str | os.PathLike[str], *, best: int | None = None) -> None:
    """Draw losses and accuracies over the epochs.

    A single run has lines for training and validation, and a ring at its best epoch in each panel; several runs have a
    line each, for validation only.

    Args:
        runs: the content of `history.json` by the run's name: lists by the name of the figure, `epoch` among them.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).
        best: the epoch whose weights a single run kept, from 1; None = that of the best figure in the first panel.

    Raises:
        InputError: there is no run, or one has no epochs or no validation figures.
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    if not runs or not all(columns.get("epoch") for columns in runs.values()):
        raise InputError("history plot: expected runs with at least one epoch each")
    names = [name for name in PANELS if all(f"val_{name}" in columns for columns in runs.values())]
    names = names if "cross_entropy" not in names else [name for name in names if name != "loss"]
    if not names:
        raise InputError("history plot: the runs have no validation figure in common")
    if best is None:
        [columns, *_] = runs.values()
        pick = np.argmax if "accuracy" in names[0] else np.argmin
        best = int(columns["epoch"][int(pick(columns[f"val_{names[0]}"]))])
    figure = new_figure(4.5 * len(names), 3.6)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for run, columns in runs.items():
            validation, label = columns[f"val_{name}"], "validation" if len(runs) == 1 else run
            axes.plot(columns["epoch"], validation, marker=".", label=label)
            if len(runs) == 1 and name in columns:
                axes.plot(columns["epoch"], columns[name], marker=".", label="training")
            if len(runs) == 1 and best in columns["epoch"]:
                ring = {"marker": "o", "markersize": 10, "fillstyle": "none", "linestyle": "", "color": "black"}
                axes.plot(best, validation[list(columns["epoch"]).index(best)], label=f"best epoch, {best}", **ring)
        axes.set(title=PANELS[name], xlabel="epoch")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
    add_legend(figure, panels[0], below=len(runs) > 1)
    save_figure(figure, Path(path))


def plot_predictions(windows: Windows, predicted: NDArray[np.floating[Any]], path: str | os.PathLike[str]) -> None:
    """Draw input, truth and prediction in each of the windows shown.

    Args:
        windows: the windows of the data.
        predicted: float (windows shown, time, features), the predictions for the windows shown.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        InputError: the predictions have another shape than the targets of the windows shown.
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    expected = (len(windows.shown), *windows.targets.shape[1:])
    if predicted.shape != expected:
        raise InputError(
            f"prediction plot: expected predictions (windows, time, features) {expected}, got "
            f"{predicted.shape}; give the windows of the bundle's own run"
        )
    figure = new_figure(10.5, 6.4)
    panels = figure.subplots(2, -(-len(predicted) // 2), squeeze=False).ravel()
    for axes in panels[len(predicted) :]:
        axes.remove()
    for axes, number, values in zip(panels, windows.shown, predicted, strict=False):
        points = windows.points[number]
        for feature in range(values.shape[-1]):
            label, color = "" if values.shape[-1] == 1 else f" {feature}", f"C{feature + 1}"
            axes.plot(points, windows.targets[number, :, feature], color=color, label=f"truth{label}")
            axes.plot(points, values[:, feature], "o", color=color, markersize=4, label=f"prediction{label}")
        [line, *_] = axes.plot(points, windows.sources[number], color="C0", alpha=0.6)
        line.set_label("input")
        off = float(np.mean((values - windows.targets[number]) ** 2))
        axes.set(title=f"window {number}, mean squared error {off:.2g}")
        axes.grid(alpha=0.3)
    add_legend(figure, panels[0], below=False)
    save_figure(figure, Path(path))


def plot_lengths(lengths: Mapping[str, Sequence[int]], path: str | os.PathLike[str]) -> None:
    """Draw how many sequences have which length, a panel for each kind.

    Args:
        lengths: lengths in tokens, by kind, such as "source".
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    figure = new_figure(3.6 * len(lengths), 3.2)
    panels = figure.subplots(1, len(lengths), squeeze=False, sharey=True)[0]
    for axes, (kind, counts) in zip(panels, lengths.items(), strict=True):
        axes.hist(counts, bins=np.arange(min(counts), max(counts) + 2) - 0.5)
        axes.set(title=f"{kind}, mean {np.mean(counts):.1f}", xlabel="tokens")
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("sequences")
    save_figure(figure, Path(path))


def plot_errors(
    outputs: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]], path: str | os.PathLike[str]
) -> None:
    """Draw how many edits each sequence needs to be right, and the share of wrong ones by the reference's length.

    Args:
        outputs: the tokens of each output.
        references: the right sequences for each output, at least one; the nearest counts.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    edits_and_lengths = np.array(
        [nearest(*pair) for pair in zip(outputs, references, strict=True)]
    )  # (sequences, edits and length)
    figure = new_figure(11.0, 3.6)
    edits, by_length = figure.subplots(1, 2)
    edits.hist(edits_and_lengths[:, 0], bins=np.arange(edits_and_lengths[:, 0].max() + 2) - 0.5)
    share = np.mean(edits_and_lengths[:, 0] > 0)
    edits.set(title=f"wrong: {share:.1%} of {len(edits_and_lengths)}", xlabel="edits", ylabel="sequences")
    edits.locator_params(axis="x", integer=True, min_n_ticks=1)
    _draw_by_length(by_length, lengths=edits_and_lengths[:, 1], wrong=edits_and_lengths[:, 0] > 0)
    for axes in (edits, by_length):
        axes.grid(alpha=0.3)
    save_figure(figure, Path(path))


def _draw_by_length(axes: Any, *, lengths: NDArray[np.int64], wrong: NDArray[np.bool_]) -> None:
    """Draw a bar for each length, or for several lengths together where there is no room for so many bars."""
    width = -(-(int(lengths.max() - lengths.min()) + 1) // _MOST_BARS)
    bins = (lengths - lengths.min()) // width
    for number in np.unique(bins):
        share, count = float(np.mean(wrong[bins == number])), int(np.sum(bins == number))
        middle = lengths.min() + number * width + (width - 1) / 2
        axes.bar(middle, share, width=0.9 * width, color="C0")
        axes.annotate(
            str(count), (middle, share), (0, 2), textcoords="offset points", ha="center", fontsize=7, rotation=90
        )
    together = "" if width == 1 else f", {width} lengths a bar"
    axes.set(title=f"by length (numbers: sequences){together}", xlabel="tokens of the reference", ylabel="share wrong")
    axes.margins(y=0.15)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
