"""Every system of the field: trained, exported, decoded without TensorFlow, and equal to Keras."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from systems import SYSTEMS
from typer.testing import CliRunner

from s2s_export.cli import app as export_app

pytestmark = pytest.mark.tensorflow

DECODE = Path(__file__).with_name("decode_without_tensorflow.py")


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_goes_from_training_to_the_same_outputs(name: str, tmp_path: Path) -> None:
    """Its loss falls, `s2s-export` verifies it, and a process without TensorFlow gives what the Keras model gives."""
    system, folder = SYSTEMS[name], tmp_path / "run"
    losses = system.train(folder)
    assert losses[-1] < losses[0]
    exported = CliRunner().invoke(
        export_app, [str(folder / system.file), "-o", str(folder / "model.s2s"), *system.export]
    )
    assert exported.exit_code == 0, exported.output
    subprocess.run([sys.executable, str(DECODE), str(folder)], check=True)
    given = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    decoded = json.loads((folder / "decoded.json").read_text(encoding="utf-8"))
    assert len(decoded) == len(given["expected"]) > 1
    if "values" in given:
        np.testing.assert_allclose(decoded, given["expected"], atol=1e-4)
    else:
        assert decoded == given["expected"]
