"""Configurations as TOML: what the run folder keeps, and what `--config` reads.

One table per section, `[data]`, `[model]` and `[fit]`, with the names and units of the command line's options. Fields
that may be left open are written as "none". What a file leaves out keeps the value of the preset.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2s_runtime.errors import S2SError
from s2s_runtime.files.atomic_write import write_text
from s2s_training.config.checks import optional_fields
from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.training import ModelConfig, TrainingConfig
from s2s_training.errors import ConfigError

NONE = "none"
SECTIONS: Mapping[str, type] = {"data": DataConfig, "model": ModelConfig, "fit": FitConfig}


def write_config(path: Path, config: TrainingConfig) -> None:
    """Write every field of a configuration, whole or not at all."""
    lines = []
    for section, values in config.to_dict().items():
        lines += [f"[{section}]", *(f"{name} = {_spell(value)}" for name, value in values.items()), ""]
    write_text(path, "\n".join(lines))


def read_options(path: Path) -> dict[str, Any]:
    """The options that a file gives, by name, whichever section they stand in.

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
        known = {field.name for field in dataclasses.fields(SECTIONS[section])}
        there = ", ".join(sorted(known))
        problems += [f"[{section}] has no option {name!r}; it has {there}" for name in values if name not in known]
        may_be_none = optional_fields(SECTIONS[section])
        for name, value in values.items():
            options[name] = None if value == NONE and name in may_be_none else value
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return options


def read_config(path: Path) -> TrainingConfig:
    """A configuration that stands whole in a file, as in a run folder.

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


def _spell(value: Any) -> str:
    """A value as TOML spells it; the strings of JSON are strings of TOML."""
    if value is None:
        return f'"{NONE}"'
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)
