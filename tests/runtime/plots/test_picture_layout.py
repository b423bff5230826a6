"""Curves, bars and sweeps can be read: nothing that is written covers anything else."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the optional package matplotlib is not installed")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from s2s_runtime.bench.pictures import plot_sweep
from s2s_runtime.bench.timing import Measurement
from s2s_runtime.plots.runs import Windows, plot_errors, plot_history, plot_lengths, plot_predictions


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Draws with a function of the runtime, and gives the figure that it saved."""
    saved: list[Any] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **b: (saved.append(figure), save(figure, *a, **b)))

    def draw(plot: Callable[..., None], *arguments: object) -> Any:
        plot(*arguments, tmp_path / "picture.png")
        FigureCanvasAgg(saved[-1]).draw()  # at the figure's own resolution, in which extents are given
        return saved[-1]

    return draw


def measured(batch_size: int, beam_size: int) -> Measurement:
    """A measurement, the slower the more there is to do."""
    ms = 0.1 * batch_size * beam_size
    names = ("p25_ms", "p50_ms", "p75_ms", "p90_ms", "p99_ms")
    return Measurement(
        "m.s2s", "new", batch_size, beam_size, "auto", None, None, "CPUExecutionProvider", 5, batch_size,
        **dict.fromkeys(names, ms), sentences_per_second=1e3 * batch_size / ms, tokens_per_second=1e4 / ms,
        tokens_per_sentence=10.0, visits=[[ms]],
    )  # fmt: skip


def a_run(offset: float) -> dict[str, list[float]]:
    """The history of a run of 20 epochs."""
    falling = [offset + 0.9**epoch for epoch in range(20)]
    names = ("loss", "val_loss", "token_accuracy", "val_token_accuracy", "error", "val_error")
    return {"epoch": list(range(1, 21)), **dict.fromkeys(names, falling)}


def windows(features: int) -> Windows:
    """Eighty windows of curves, four of them shown."""
    points = np.tile(np.linspace(0, 6, 30), (80, 1)).astype(np.float32)
    return Windows(points, np.sin(points)[..., None], np.cos(points)[..., None].repeat(features, 2), (0, 24, 49, 74))


MANY_RUNS = {f"/home/someone/experiments/bidirectional-attention/seed-{seed}": a_run(seed / 10) for seed in range(12)}
SWEEP = [measured(batch, beam) for batch in (1, 8, 64) for beam in (1, 2, 5, 10)]
CURVES = windows(3)


@pytest.mark.parametrize(
    ("plot", "arguments"),
    [
        pytest.param(plot_history, ({"runs/mine": a_run(0)},), id="history"),
        pytest.param(plot_history, (MANY_RUNS,), id="histories"),
        pytest.param(plot_sweep, (SWEEP,), id="sweep"),
        pytest.param(plot_sweep, ([measured(1, beam) for beam in (1, 2, 4, 8)],), id="beams"),
        pytest.param(plot_predictions, (CURVES, CURVES.targets[[0, 24, 49, 74]]), id="predictions"),
    ],
)
def test_a_legend_covers_nothing(picture: Callable[..., Any], plot: Callable[..., None], arguments: tuple[Any, ...]):
    """It stands outside the panels and their labels, wholly inside the picture, and panels keep their room."""
    figure = picture(plot, *arguments)
    [legend] = figure.legends
    extent = legend.get_window_extent()
    assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1 + 0.5
    assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1 + 0.5
    for axes in figure.axes:
        assert not extent.overlaps(axes.get_tightbbox())
        assert axes.get_window_extent().height > 2 * figure.dpi
        assert axes.get_window_extent().width > 2 * figure.dpi
    assert not any(
        first.get_tightbbox().overlaps(second.get_tightbbox()) for first, second in combinations(figure.axes, 2)
    )


def test_a_sweep_of_beams_runs_over_them(picture: Callable[..., Any]):
    """Where nothing but the beam was swept it is the axis, and the points are one line."""
    latency = picture(plot_sweep, [measured(1, beam) for beam in (1, 2, 4, 8)]).axes[0]
    assert latency.get_xlabel() == "beam size (hypotheses)"
    assert list(latency.lines[0].get_xdata()) == [1, 2, 4, 8]


def test_figures_of_a_sweep_are_plain_numbers(picture: Callable[..., Any]):
    """On a logarithmic scale too: 0.2 and 5,000, no powers of ten."""
    for axes in picture(plot_sweep, SWEEP).axes:
        labels = [label.get_text() for label in axes.get_yticklabels(which="both") if label.get_text()]
        assert len(labels) >= 3
        assert all(label.replace(",", "").replace(".", "").isdigit() for label in labels)


@pytest.mark.parametrize("most", [1, 12, 60, 400])
def test_numbers_over_bars_stand_apart(picture: Callable[..., Any], most: int):
    """However many lengths there are: they share bars then, and the numbers still sum up to all sequences."""
    references = [[["a"] * (1 + number % most)] for number in range(800)]
    axes = picture(plot_errors, [reference[0][1:] for reference in references], references).axes[1]
    counts = [text for text in axes.texts if text.get_text().isdigit()]
    assert sum(int(text.get_text()) for text in counts) == len(references)
    extents = [text.get_window_extent() for text in counts]
    assert not any(first.overlaps(second) for first, second in combinations(extents, 2))
    assert all(extent.y1 <= axes.get_window_extent().y1 for extent in extents)


def test_ticks_of_lengths_are_whole_numbers(picture: Callable[..., Any]):
    """Also where all sequences have one length."""
    figure = picture(plot_lengths, {"sources": [5] * 9, "outputs": [3, 4]})
    labels = [label.get_text() for axes in figure.axes for label in axes.get_xticklabels()]
    assert labels
    assert all(label.isdigit() for label in labels)
