"""Options of `s2s-train` that stand for a field of the configuration.

Each is None unless given: then the preset's value holds. The help shows the general default.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import typer

from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.model import ModelConfig


def data(field: str, text: str, *names: str) -> Any:
    """An option of the data section."""
    return _option(DataConfig, "Data", field, text, names)


def model(field: str, text: str, *names: str) -> Any:
    """An option of the model section."""
    return _option(ModelConfig, "Model", field, text, names)


def fit(field: str, text: str, *names: str) -> Any:
    """An option of the optimisation section."""
    return _option(FitConfig, "Training", field, text, names)


def _option(section: type, panel: str, field: str, text: str, names: tuple[str, ...]) -> Any:
    default = next(f.default for f in dataclasses.fields(section) if f.name == field)
    shown = "" if default is None or default is False else f" [{default}]"
    return typer.Option(*names, help=f"{text}{shown}", rich_help_panel=panel, show_default=False)
