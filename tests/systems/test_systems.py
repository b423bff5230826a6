"""Every system of the field goes from training to the same outputs; those with attention in a file of their own."""

from pathlib import Path

import pytest
from systems import SYSTEMS
from whole_line import check_whole_line

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("name", [name for name in SYSTEMS if not name.startswith(("attention", "input-feeding"))])
def test_system_goes_from_training_to_the_same_outputs(name: str, tmp_path: Path) -> None:
    """Its loss falls, `s2s-export` verifies it, and a process without TensorFlow gives what the Keras model gives."""
    check_whole_line(SYSTEMS[name], tmp_path / "run")
