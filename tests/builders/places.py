"""Where things lie, for tests at any depth."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FIXTURES: Final = ROOT / "tests" / "fixtures"
TINY: Final = FIXTURES / "tiny.s2s"
