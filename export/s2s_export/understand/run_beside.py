"""What the folder of a run of s2s-train tells of the model in it."""

from __future__ import annotations

from pathlib import Path

from s2s_training.config.toml_file import read_options
from s2s_training.data.series import SERIES
from s2s_training.errors import ConfigError


def feeds_of_run(folder: Path) -> dict[str, str]:
    """Return what the decoder of a run's model is fed, where its graph can't tell it; an empty mapping elsewhere.

    s2s-train trains models of values to read their own output.
    """
    try:
        config = read_options(folder / "config.toml")
    except (ConfigError, FileNotFoundError):  # none of its runs: nothing is known
        return {}
    return {"target": "previous"} if config.get("data") in SERIES else {}
