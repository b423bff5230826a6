"""The same run with options varied, in every combination: a grid."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s2s_runtime.errors import raised_as
from s2s_runtime.files.json_fields import read_json, write_json
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import ConfigError, RunFolderError

Options = Mapping[str, Any]
_WHOLE_RUN = ("data", "seed")  # what can't be varied: another run altogether, and what --seeds is for


def parse_variations(text: str) -> list[Options]:
    """Return every combination of the options that were typed: NAME=VALUE,VALUE, separated by spaces.

    >>> parse_variations("units=32,64 cell=gru")
    [{'units': 32, 'cell': 'gru'}, {'units': 64, 'cell': 'gru'}]

    Raises:
        ConfigError: something else, or the same twice.
    """
    values: dict[str, list[Any]] = {}
    for part in text.split():
        name, _, listed = part.replace("--", "").partition("=")
        name = name.replace("-", "_")
        given = [_value(value) for value in listed.split(",")]
        if not listed or "" in given or name in values or name in _WHOLE_RUN or len(set(given)) < len(given):
            raise ConfigError(
                f"vary: expected options as NAME=VALUE,VALUE separated by spaces, such as units=64,128 cell=gru,lstm, "
                f"each once and none of {', '.join(_WHOLE_RUN)}; got {part!r}"
            )
        values[name] = given
    if not values:
        raise ConfigError("vary: expected options as NAME=VALUE,VALUE, got none")
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def variation_folder(path: Path, options: Options) -> Path:
    """Return the folder of the run, or the runs with several seeds, that has these options."""
    name = "-".join(f"{name}-{value}" for name, value in options.items())
    return path / re.sub(r"[^\w.-]+", "_", name)


def varied(config: TrainingConfig, options: Options) -> TrainingConfig:
    """Return the configuration with these options.

    Raises:
        ConfigError: there is no such option, or not with this value; names the combination.
    """
    try:
        return config.override(**options)
    except ConfigError as error:
        raise ConfigError(f"vary: {shown(options)}: {error}") from error


def shown(options: Options) -> str:
    """Return a combination as it is shown: "units 64, cell gru"."""
    return ", ".join(f"{name} {value}" for name, value in options.items())


def write_variations(path: Path, text: str) -> None:
    """Write into the folder of the runs what is varied."""
    path.mkdir(parents=True, exist_ok=True)
    write_json(_file(path), text)


def begun_variations(path: Path) -> str | None:
    """Return what is varied in a folder; None where it holds another kind of run.

    Raises:
        RunFolderError: the file that says so holds something else, or the folder is that of a single run.
    """
    if not _file(path).is_file():
        return None
    with raised_as(RunFolderError):
        text = read_json(_file(path))
    if not isinstance(text, str):
        raise RunFolderError(f"{_file(path)}: expected what is varied, got {text!r}; give --vary")
    return text


def compare(summaries: Sequence[tuple[Options, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the content of `summary.json` of varied runs: `runs`, each with its `options`, the best one first."""
    runs = [{"options": dict(options), **summary} for options, summary in summaries]
    return {"runs": sorted(runs, key=lambda run: mean(run["best"]["val_loss"]))}


def mean(figure: Any) -> float:
    """Return a figure of a run, or its mean over the seeds."""
    return float(figure["mean"] if isinstance(figure, Mapping) else figure)


def _value(text: str) -> Any:
    """Return a value that was typed: a number, true or false, none, else a text."""
    if text == "none":
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, int | float | bool) else text


def _file(path: Path) -> Path:
    return path / "variations.json"
