"""The picture of a run shows one best epoch: the one whose weights were kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from s2s_runtime.commands import plot
from s2s_runtime.plots import runs

HISTORY = {
    "epoch": [1, 2, 3],
    "cross_entropy": [3.0, 2.0, 1.0],
    "val_cross_entropy": [2.5, 2.0, 2.2],
    "val_token_accuracy": [0.4, 0.5, 0.6],
    "val_error": [0.9, 0.8, 0.7],
}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved."""
    found: list[Any] = []
    monkeypatch.setattr(runs, "save_figure", lambda figure, path: found.append(figure))
    return found


def ringed(figure: Any) -> list[list[float]]:
    """Where each panel has its ring."""
    panels = [axes for axes in figure.axes if axes.lines]
    rings = [[line for line in axes.lines if line.get_fillstyle() == "none"] for axes in panels]
    assert all(len(each) == 1 for each in rings)
    return [list(each[0].get_xdata()) for each in rings]


def test_all_panels_ring_the_same_epoch(figures: list[Any]) -> None:
    """The one that is said to be best; where nobody says, that of the least figure in the first panel."""
    runs.plot_history({"run": HISTORY}, "x.png", best=3)
    runs.plot_history({"run": HISTORY}, "x.png")
    assert [ringed(figure) for figure in figures] == [[[3]] * 3, [[2]] * 3]


def test_the_command_takes_the_epoch_from_the_run(tmp_path: Path, figures: list[Any]) -> None:
    """summary.json tells which epoch's weights were kept."""
    (tmp_path / "history.json").write_text(json.dumps(HISTORY), encoding="utf-8")
    (tmp_path / "summary.json").write_text(json.dumps({"best": {"epoch": 3.0}}), encoding="utf-8")
    arguments = ["history", str(tmp_path), "-o", str(tmp_path / "loss.png")]
    done = CliRunner().invoke(plot.app, arguments)
    assert done.exit_code == 0, done.output
    assert ringed(figures[0]) == [[3]] * 3
