"""The way every system goes: trained, exported, decoded without TensorFlow, and compared with Keras."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from systems import System
from typer.testing import CliRunner

from s2s_export.commands.export import app as export_app

DECODE = Path(__file__).with_name("decode_without_tensorflow.py")


def check_whole_line(system: System, folder: Path) -> None:
    """Fails where the loss doesn't fall, the export fails, or the runtime gives something else than the Keras model."""
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
    if "scored" in given:
        scored = json.loads((folder / "scored.json").read_text(encoding="utf-8"))
        np.testing.assert_allclose(scored, given["log_probabilities"], rtol=1e-4)
    if "values" in given:
        np.testing.assert_allclose(decoded, given["expected"], atol=1e-4)
    else:
        assert decoded == given["expected"]
