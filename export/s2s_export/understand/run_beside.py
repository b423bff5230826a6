"""What the folder of a run of s2s-train tells of the model in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from s2s_training.config.toml_file import read_options
from s2s_training.data.series import SERIES
from s2s_training.errors import ConfigError

_OF_KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "same-length": {"feedback": "none"},
    "ctc": {"ctc": "first"},
    "language-model": {"feedback": "token"},
}


def told_by_run(folder: Path) -> dict[str, Any]:
    """Return options of an export that a run tells of its model, whose graph can't; an empty mapping elsewhere.

    s2s-train trains models of values to read their own output.
    """
    try:
        config = read_options(folder / "config.toml")
    except (ConfigError, FileNotFoundError):  # none of its runs: nothing is known
        return {}
    if config.get("data") in SERIES:
        return {"feed": {"target": "previous"}}
    return dict(_OF_KINDS.get(config.get("kind", ""), {}))
