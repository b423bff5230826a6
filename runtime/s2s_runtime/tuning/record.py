"""The file of trials: a line of JSON for each as it ends, so that a command that was ended goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.commands.decode_options import LoadOptions
from s2s_runtime.declared_options import names_where
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.files.json_fields import digest, parse_json
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import BUNDLES
from s2s_runtime.tuning.trials import Setting, Trial

_KIND: Final = "s2s-tune trials"


def setting_digest(setting: Setting) -> str:
    """Return what is the same for settings whose trials are the same: bundles by content, pairs, fixed options."""
    opened = names_where(DecodingOptions, group=BUNDLES)
    fixed = {
        name: read_manifest(value).to_dict() if name in opened else value
        for name, value in setting.fixed.items()
        if value is not None
    }
    loaded = setting.loaded
    return digest(
        {
            "bundles": [read_manifest(path).to_dict() for path in setting.bundles],
            "ensemble": _ensemble(loaded),
            "references": {source: list(right) for source, right in setting.references.items()},
            "fixed": fixed,
        }
    )


def _ensemble(loaded: LoadOptions) -> list[Any]:
    """Return how the models of an ensemble are combined."""
    combined = [] if loaded.ensemble_combine == "steps" else [loaded.ensemble_combine]
    return [loaded.ensemble_mean, list(loaded.ensemble_weight), *combined]


def read_trials(path: Path, own: str) -> list[Trial]:
    """Return the trials of a file; a last line that was cut off is cut away.

    Args:
        path: the file; there are none where there is none.
        own: the digest of the setting.

    Raises:
        OptionError: they are of another setting.
        InputError: the file holds something else.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    lines = [parse_json(line, f"{path}, line {number}") for number, line in enumerate(whole.splitlines(), 1)]
    if not lines:
        return []
    if not isinstance(lines[0], dict) or lines[0].get("kind") != _KIND:
        raise InputError(f"{path}: expected trials of s2s-tune, or no such file")
    if lines[0].get("setting") != own:
        raise OptionError(
            f"{path}: holds trials of another bundle, other pairs or other options; give another file, or --force"
        )
    return [_trial(line, f"{path}, line {number}") for number, line in enumerate(lines[1:], 2)]


def _trial(line: Any, place: str) -> Trial:
    if not isinstance(line, Mapping) or not all(isinstance(line.get(key), Mapping) for key in ("options", "figures")):
        raise InputError(f"{place}: expected a trial, options and figures")
    return Trial(line["options"], line["figures"])


class Record:
    """A file that trials are added to.

    Args:
        path: the file; what it holds stays.
        own: the digest of the setting.
    """

    def __init__(self, path: Path, own: str) -> None:
        self._file: IO[bytes] = path.open("ab")
        if self._file.tell() == 0:
            self._write({"kind": _KIND, "setting": own})

    def add(self, trial: Trial) -> None:
        """Write a trial, so that it is there whatever happens to the process."""
        self._write({"options": dict(trial.options), "figures": dict(trial.figures)})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()


def known_figures(trials: Sequence[Trial], values: Mapping[str, Any], figure: str) -> Mapping[str, Any] | None:
    """Return the figures of the trial of these values that has the figure wanted; None where there is none."""
    for trial in trials:
        if trial.options == values and figure in trial.figures:
            return trial.figures
    return None
