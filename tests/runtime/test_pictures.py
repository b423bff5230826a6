"""`s2s-plot`: every picture as PNG and SVG, from bundles, runs and pairs."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from s2s_runtime.plot_cli import app

pytest.importorskip("matplotlib", reason="the optional package matplotlib is not installed")

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY, VALUES = str(FIXTURES / "tiny.s2s"), str(FIXTURES / "tiny-values.s2s")
STARTS = {".png": b"\x89PNG", ".svg": b"<?xml"}


def draw(tmp_path: Path, *arguments: str) -> None:
    """Draw in both formats; nothing else is left."""
    for ending, start in STARTS.items():
        path = tmp_path / "pictures" / f"picture{ending}"
        path.parent.mkdir(exist_ok=True)
        found = CliRunner().invoke(app, [*arguments, "-o", str(path)])
        assert found.exit_code == 0, found.output
        assert path.read_bytes().startswith(start)
    assert {path.name for path in path.parent.iterdir()} == {"picture.png", "picture.svg"}


def write_run(folder: Path, **columns: list[float]) -> Path:
    """A run folder as far as pictures look at it."""
    folder.mkdir(parents=True)
    (folder / "history.json").write_text(json.dumps({"epoch": [1, 2], **columns}))
    return folder


def test_attention(tmp_path: Path):
    """Of one text."""
    draw(tmp_path, "attention", TINY, "abc")


@pytest.mark.parametrize("names", [("cross_entropy", "token_accuracy"), ("loss", "error")])
def test_history_of_a_run_and_of_several(tmp_path: Path, names: tuple[str, str]):
    """Texts and continuous data; folders of seeds stand for the runs in them."""
    columns = {f"{part}{name}": [2.0, 1.0] for name in names for part in ("", "val_")}
    run = write_run(tmp_path / "run", **columns)
    draw(tmp_path, "history", str(run))
    for seed in (1, 2):
        write_run(tmp_path / "several" / f"seed-{seed}", **columns)
    draw(tmp_path, "history", str(run), str(tmp_path / "several"))


def test_predictions_of_a_continuous_bundle(tmp_path: Path):
    """Four windows, the file beside the bundle or named."""
    random = np.random.default_rng(0).normal(size=(80, 6, 3)).astype(np.float32)
    windows = tmp_path / "own.npz"
    np.savez(windows, points=random[:, :, 0], sources=random[:, :, :2], targets=random[:, :, 2:], shown=(0, 24, 49, 74))
    draw(tmp_path, "predictions", VALUES, "--windows", str(windows))
    found = CliRunner().invoke(app, ["predictions", VALUES, "-o", str(tmp_path / "x.png")])
    assert found.exit_code == 1
    assert "windows.npz" in found.stderr


@pytest.mark.parametrize("kind", ["lengths", "errors"])
def test_distributions_over_pairs(tmp_path: Path, kind: str):
    """Of lengths, and of errors."""
    (tmp_path / "pairs.tsv").write_text("abc\tEEE\tBBD\nba\tBE\na\tD\na\tB\n")
    draw(tmp_path, kind, TINY, str(tmp_path / "pairs.tsv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attention", TINY, "abc", "-o", "{}/map.txt"], "expected a file name that ends in .png, .svg or .pdf"),
        (["history", "{}/none", "-o", "{}/x.png"], "No such file or directory"),
        (["history", "{}/empty", "-o", "{}/x.png"], "history plot: expected runs with at least one epoch each"),
        (["predictions", VALUES, "--windows", "{}/bad.npz", "-o", "{}/x.png"], "expected the windows.npz of a run"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(tmp_path: Path, arguments: list[str], message: str):
    """What was expected; no picture."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "history.json").write_text("{}")
    np.savez(tmp_path / "bad.npz", other=np.zeros(3))
    found = CliRunner().invoke(app, [argument.format(tmp_path) for argument in arguments])
    assert found.exit_code == 1
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
    assert message in found.stderr
    assert not (tmp_path / "x.png").exists()
