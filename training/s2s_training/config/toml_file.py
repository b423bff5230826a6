"""Configurations as TOML: what the run folder keeps, and what `--config` reads.

One table per section, `[data]`, `[model]` and `[fit]`, with the names and units of the command line's options. Fields
that may be left open are written as "none". What a file leaves out keeps the value of the preset.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from s2s_runtime.declared_options import declared
from s2s_runtime.errors import S2SError
from s2s_runtime.files.atomic_write import write_text
from s2s_runtime.spelling import did_you_mean, shown
from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.model import ModelConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import ConfigError

NONE = "none"
SECTIONS: Mapping[str, type] = {"data": DataConfig, "model": ModelConfig, "fit": FitConfig}


def write_config(path: Path, config: TrainingConfig) -> None:
    """Write every field of a configuration; the file appears whole, or not at all.

    Raises:
        ConfigError: a value can't be written as UTF-8: the name of a file that isn't.
    """
    sections = config.to_dict().items()
    content = {section: {name: _spell(value) for name, value in values.items()} for section, values in sections}
    try:
        write_text(path, tomli_w.dumps(content))
    except UnicodeEncodeError as error:
        line = error.object[: error.start].rpartition("\n")[2] + error.object[error.start :].partition("\n")[0]
        raise ConfigError(f"{path}: expected names in UTF-8, got {shown(line)}; rename the file") from error


def read_options(path: Path) -> dict[str, Any]:
    """Return the options that a file gives, by name, whichever section they stand in.

    Raises:
        ConfigError: not TOML in UTF-8, or a section or option that doesn't exist; names every one.
        FileNotFoundError: there is no such file.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file in UTF-8: {error}") from error
    problems, options = [], {}
    for section, values in content.items():
        if section not in SECTIONS or not isinstance(values, Mapping):
            expected = ", ".join(f"[{name}]" for name in SECTIONS)
            problems.append(f"unknown section or option {section!r}: expected options in {expected}")
            continue
        known = declared(SECTIONS[section])
        for name, value in values.items():
            if name in known:
                options[name] = None if value == NONE and known[name].optional else value
            else:
                problems.append(f"[{section}] has no option {name!r}{_advice(name, section)}")
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return options


def _advice(name: str, section: str) -> str:
    """Return in which section an option belongs that isn't in this one, or which option may be meant."""
    elsewhere = [f"[{title}]" for title, kind in SECTIONS.items() if name in declared(kind)]
    if elsewhere:
        return f"; it belongs into {elsewhere[0]}"
    known = declared(SECTIONS[section])
    return did_you_mean(name, known) or f"; it has {', '.join(sorted(known))}"


def read_config(path: Path) -> TrainingConfig:
    """Return the configuration that stands whole in a file, such as that of a run folder.

    Raises:
        ConfigError: not such a file, no `data` in it, or values out of range.
    """
    options = read_options(path)
    if "data" not in options:
        raise ConfigError(f"{path}: no `data` in [data]: it doesn't say what to train on")
    try:
        return TrainingConfig(data=DataConfig(data=options["data"])).override(**options)
    except S2SError as error:
        raise ConfigError(f"{path}: {error}") from error


def _spell(value: Any) -> Any:
    """Return a value as TOML can hold it: a number of numpy becomes Python's, and None, which TOML lacks, a text."""
    return NONE if value is None else value.item() if hasattr(value, "item") else value
