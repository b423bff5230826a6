"""`s2s-plot`: every picture as PNG and SVG, from bundles, runs and pairs."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from places import FIXTURES
from typer.testing import CliRunner

from s2s_runtime.commands.plot import app
from s2s_runtime.plots.attention import plot_attention
from s2s_runtime.results import Hypothesis

pytest.importorskip("matplotlib", reason="the optional package matplotlib is not installed")

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


def write_windows(path: Path, **changed: object) -> None:
    """Five windows of six values, sources of two features and targets of one, two of them shown."""
    good = {"points": np.zeros((5, 6)), "sources": np.zeros((5, 6, 2)), "targets": np.zeros((5, 6, 1)), "shown": (0, 4)}
    np.savez(path, **(good | changed))


def torn(path: Path) -> None:
    """As a full disk leaves it."""
    write_windows(path)
    path.write_bytes(path.read_bytes()[:500])


def an_array(path: Path) -> None:
    """What `numpy.save` writes."""
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").rename(path)


@pytest.mark.parametrize(
    "write",
    [
        torn,
        an_array,
        lambda path: path.write_bytes(b""),
        lambda path: write_windows(path, points=np.zeros(5)),
        lambda path: write_windows(path, targets=np.zeros((5, 4, 1))),
        lambda path: write_windows(path, sources=np.full((5, 6, 2), "x")),
        lambda path: write_windows(path, shown=(0, 5)),
        lambda path: write_windows(path, shown=(0.0, 1.0)),
        lambda path: write_windows(path, shown=3),
    ],
)
def test_windows_that_are_none_are_one_line(tmp_path: Path, write: Callable[[Path], object]):
    """A torn file, an empty one, one of another kind, arrays of other shapes: what was expected, by the file's name."""
    write(tmp_path / "windows.npz")
    refused(tmp_path, "expected the windows.npz of a run on continuous data", "predictions", VALUES)


def test_windows_of_another_bundle_are_one_line(tmp_path: Path):
    """Targets of other features than the bundle predicts."""
    write_windows(tmp_path / "windows.npz", targets=np.zeros((5, 6, 3)))
    refused(tmp_path, "expected predictions (windows, time, features) (2, 6, 3), got (2, 6, 1)", "predictions", VALUES)


def refused(tmp_path: Path, message: str, *arguments: str) -> None:
    """One line that names what is wrong, exit 1, no picture."""
    given = ["--windows", str(tmp_path / "windows.npz")] if arguments[0] == "predictions" else []
    found = CliRunner().invoke(app, [*arguments, *given, "-o", str(tmp_path / "x.png")])
    assert (found.exit_code, found.stderr.count("\n")) == (1, 1)
    assert message in found.stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"val_loss": [1.0]}, "expected lists of one length, a number for each epoch"),
        ({"val_loss": [1.0, None]}, "expected lists of numbers by name"),
        ({"val_loss": ["a", "b"]}, "expected lists of numbers by name"),
        ({"val_loss": 1}, "expected lists of numbers by name"),
    ],
)
def test_a_history_that_is_none_is_one_line(tmp_path: Path, columns: dict[str, list[float]], message: str):
    """Lists of different lengths, nulls, words, no lists: what was expected."""
    write_run(tmp_path / "run", **columns)
    refused(tmp_path, f"history.json: {message}", "history", str(tmp_path / "run"))


@pytest.mark.parametrize("command", ["attention", "history", "predictions", "lengths", "errors"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.foo", "expected a file name that ends in .png, .svg or .pdf, got '.foo'"),
        ("none/x.png", "expected a file in a folder that is there and can be written to"),
        ("file/x.png", "expected a file in a folder that is there and can be written to"),
        ("folder.png", "expected a file in a folder that is there and can be written to"),
    ],
)
def test_a_picture_that_cannot_be_written_is_said_first(tmp_path: Path, command: str, name: str, message: str):
    """By the name that was given, before anything is read: here there is nothing to be read."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    second = ["nothing"] if command in ("attention", "lengths", "errors") else []
    found = CliRunner().invoke(app, [command, "nothing", *second, "-o", str(tmp_path / name)])
    assert (found.exit_code, found.stderr) == (1, f"error: {tmp_path / name}: {message}\n")


def test_what_goes_wrong_in_writing_names_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that is full by then: the name that was given, not that of the file beside it; nothing is left."""
    from matplotlib.figure import Figure

    def full(_: Figure, path: Path, **more: object) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Figure, "savefig", full)
    refused(tmp_path, f"No space left on device: '{tmp_path / 'x.png'}'", "attention", TINY, "abc")
    assert list(tmp_path.iterdir()) == []


def test_symbols_are_drawn_as_they_are(tmp_path: Path):
    """Dollars are no formula."""
    symbols = ["$x_$", "$"]
    hypothesis = Hypothesis("", symbols, [1, 1], None, "end", attention=np.full((2, 2), 0.5, np.float32))
    plot_attention(hypothesis, symbols, tmp_path / "map.svg")
    plot_attention(hypothesis, symbols, tmp_path / "map.png")


@pytest.mark.parametrize("kind", ["lengths", "errors"])
def test_distributions_over_pairs(tmp_path: Path, kind: str):
    """Of lengths, and of errors."""
    (tmp_path / "pairs.tsv").write_text("abc\tEEE\tBBD\nba\tBE\na\tD\na\tB\n")
    draw(tmp_path, kind, TINY, str(tmp_path / "pairs.tsv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attention", TINY, "abc", "-o", "{}/map.txt"], "expected a file name that ends in .png, .svg or .pdf"),
        (["attention", TINY, "abc", "-o", "{}/map.pgf"], "expected a file name that ends in .png, .svg or .pdf"),
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
