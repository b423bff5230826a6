"""The exporter reports to nobody either."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes_with_a_home import run


@pytest.mark.tensorflow
def test_the_exporter_leaves_the_home_folder_alone(tmp_path: Path) -> None:
    """Its modules import onnxruntime themselves, whichever comes first."""
    found = run("from s2s_export.verify import verify\nfrom s2s_export.passes import step_passes", tmp_path)
    assert found.returncode == 0, found.stderr
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path)]
