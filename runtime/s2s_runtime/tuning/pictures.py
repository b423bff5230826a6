"""A picture of trials: a panel for each option, what came of each value."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from s2s_runtime.plots.figures import new_figure, save_figure
from s2s_runtime.tuning.terms import BETTER_HIGH, Metric
from s2s_runtime.tuning.trials import Trial

_LABELS: Final = {"wer": "wrong sequences (%)", "per": "wrong tokens (%)", "bleu": "BLEU", "chrf": "chrF"}
_COLUMNS: Final = 3
_TICKS: Final = 8  # whole numbers that are all named


def plot_trials(trials: Sequence[Trial], metric: Metric, path: str | os.PathLike[str]) -> None:
    """Draw every trial over the values of each option of which several were tried; a line joins the best of each value.

    Args:
        trials: at least one.
        metric: by which they are compared.
        path: the file to write; its ending chooses the format (.png, .svg, .pdf).

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: the ending is none of these.
    """
    names = [name for name in trials[0].options if len({str(trial.options[name]) for trial in trials}) > 1]
    names = names or list(trials[0].options)[:1]
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(max(4.6, 3.6 * columns), 3.4 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    best = min(trials, key=lambda trial: trial.rank(metric))
    for i, axes in enumerate(panels.flat):
        if i < len(names):
            _panel(axes, names[i], trials, best, metric)
            axes.set_ylabel(_LABELS[metric] if i % columns == 0 else "")
        else:
            axes.set_axis_off()
    panels.flat[0].legend(fontsize="small")
    save_figure(figure, Path(path))


def _panel(axes: Any, name: str, trials: Sequence[Trial], best: Trial, metric: Metric) -> None:
    places = _places([trial.options[name] for trial in trials])
    figures = [_shown(trial, metric) for trial in trials]
    axes.scatter([places[_key(trial.options[name])] for trial in trials], figures, s=16, color="0.6", label="a trial")
    choose = max if metric in BETTER_HIGH else min
    of_value: dict[float, list[float]] = {}
    for trial, figure in zip(trials, figures, strict=True):
        of_value.setdefault(places[_key(trial.options[name])], []).append(figure)
    line = sorted((place, choose(values)) for place, values in of_value.items())
    axes.plot([place for place, _ in line], [figure for _, figure in line], label="the best of a value")
    axes.plot(
        places[_key(best.options[name])],
        _shown(best, metric),
        marker="*",
        markersize=13,
        linestyle="none",
        label="the best",
    )
    axes.set(xlabel=name.replace("_", " "))
    few = len(places) <= _TICKS and all(isinstance(trial.options[name], int) for trial in trials)
    if few or not all(_is_number(trial.options[name]) for trial in trials):
        axes.set_xticks(list(places.values()), list(places))
    axes.grid(alpha=0.3)


def _places(values: Sequence[Any]) -> dict[str, float]:
    """Return where each value stands on its axis: numbers at themselves, others one beside the other."""
    if all(map(_is_number, values)):
        return {_key(value): float(value) for value in values}
    distinct = list(dict.fromkeys(map(_key, values)))
    return {key: float(place) for place, key in enumerate(distinct)}


def _key(value: Any) -> str:
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(trial: Trial, metric: Metric) -> float:
    return trial.figure(metric) * (1.0 if metric in BETTER_HIGH else 100.0)
