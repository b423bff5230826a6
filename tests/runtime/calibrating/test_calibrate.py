"""`s2s-calibrate`: the temperature at which right targets are likeliest."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import FIXTURES, TINY
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import Model
from s2s_runtime.calibrating.command import app
from s2s_runtime.calibrating.fit import fit_temperature
from s2s_runtime.commands.plot import app as plot
from s2s_runtime.errors import InputError

REFERENCES = {"abc": ["BBD", "B"], "ba": ["BE"], "bad": ["BAD"], "aXb": ["A"], "ace": ["B?"], "deed": ["DEED"]}
READABLE = 4  # pairs that the vocabularies can write


@pytest.fixture(scope="module")
def model() -> Model:
    """A tiny model."""
    return s2s_runtime.load(TINY)


def losses(model: Model, temperatures: np.ndarray) -> np.ndarray:
    """The oracle: mean loss of the right tokens, by the log-probability of every token in the place of each."""
    size, end = model.manifest.target.size, model.manifest.target.end_ids[0]
    vocabulary = model.target_vocabulary
    assert vocabulary is not None
    total, count = np.zeros(len(temperatures)), 0
    for source, rights in list(REFERENCES.items()):
        if "X" in source or "?" in rights[0]:
            continue
        ids = [*vocabulary.encode(rights[0]), end]
        for step, right in enumerate(ids):
            targets = [[*ids[:step], token] for token in range(size)]
            scored = model.score([source] * size, targets, add_end=False)
            row = np.array([score.token_scores[-1] for score in scored], np.float64) / temperatures[:, None]
            total += np.log(np.exp(row).sum(axis=1)) - row[:, right]
            count += 1
    return total / count


def test_no_other_temperature_is_better(model: Model) -> None:
    """Of a fine grid, by losses that are computed otherwise; those of both ends are told."""
    found = fit_temperature(model, REFERENCES)
    grid = np.geomspace(0.2, 5, 400)
    every = losses(model, np.array([*grid, 1.0, found.temperature]))
    assert found.temperature == pytest.approx(grid[every[:-2].argmin()], rel=0.01)
    assert (found.loss_before, found.loss_after) == (
        pytest.approx(every[-2], abs=1e-4),
        pytest.approx(every[-1], abs=1e-4),
    )
    assert found.loss_after <= every.min() + 1e-5
    assert found.pairs == READABLE


def test_a_model_that_is_always_right_gets_a_bound(model: Model) -> None:
    """It can't be too sure: the temperature is the lowest there is, and no search without end."""
    [written] = model.generate(["bad"])
    assert fit_temperature(model, {"bad": [written.text]}).temperature == pytest.approx(0.05, abs=0.001)


def test_the_command_stores_it(tmp_path: Path, model: Model) -> None:
    """In the manifest; the bundle loads, writes the same, and is calibrated: a second time changes nothing."""
    bundle, pairs = tmp_path / "model.s2s", tmp_path / "pairs.tsv"
    shutil.copytree(TINY, bundle)
    pairs.write_text("".join(f"{source}\t{rights[0]}\n" for source, rights in REFERENCES.items() if "X" not in source))
    before = (bundle / "manifest.json").read_bytes()
    dry = CliRunner().invoke(app, [str(bundle), str(pairs), "--dry-run"])
    assert "stored nowhere (--dry-run)" in dry.stdout
    assert (bundle / "manifest.json").read_bytes() == before
    found = CliRunner().invoke(app, [str(bundle), str(pairs), "--json"])
    assert found.exit_code == 0, found.output
    stored = s2s_runtime.load(bundle)
    assert stored.manifest.calibration is not None
    assert stored.manifest.calibration.to_dict().items() <= json.loads(found.stdout).items()
    assert replace(stored.manifest, calibration=None) == model.manifest
    sources = [*REFERENCES][:3]
    assert [r.to_dict() for r in stored.generate(sources)] == [r.to_dict() for r in model.generate(sources)]
    again = CliRunner().invoke(app, [str(bundle), str(pairs), "--json"])
    assert again.stdout == found.stdout
    drawn = CliRunner().invoke(plot, ["reliability", str(bundle), str(pairs), "-o", str(tmp_path / "a.svg")])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_what_cannot_be_calibrated_is_said(tmp_path: Path, model: Model) -> None:
    """A zip file's manifest isn't rewritten; numbers have no probabilities; something has to be readable."""
    packed = tmp_path / "model.zip"
    shutil.make_archive(str(tmp_path / "model"), "zip", TINY)
    found = CliRunner().invoke(app, [str(packed), str(packed)])
    assert (found.exit_code, found.stderr) == (
        2,
        f"error: expected the folder of a bundle, got the file {packed}; unpack it, or give --dry-run\n",
    )
    with pytest.raises(InputError, match="expected a bundle with vocabularies on both sides"):
        fit_temperature(s2s_runtime.load(FIXTURES / "tiny-values.s2s"), REFERENCES)
    with pytest.raises(InputError, match="expected pairs that the vocabularies can write, got none"):
        fit_temperature(model, {"aXb": ["A"]})
