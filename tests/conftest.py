"""Fixtures shared by every test."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings
from places import FIXTURES, ROOT

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Keep what was imported out of later garbage collections: walking through TensorFlow takes long for nothing."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--wheels DIR` lets the packaging tests look at built wheels."""
    parser.addoption("--wheels", type=Path, help="folder of built wheels (make wheels)")


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of committed bundles."""
    return FIXTURES


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sentence pairs that may stand beside the checkout; skips where it is absent."""
    folder = Path(os.environ.get("S2S_DATA", ROOT / "shared" / "data"))
    if not (folder / "fra.txt").is_file():
        pytest.skip(
            f"needs {folder / 'fra.txt'} (sentence pairs, not part of this repository; S2S_DATA names another place)"
        )
    return folder
