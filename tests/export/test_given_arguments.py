"""What is handed to a public function of the exporter or the trainer, and is of another kind, is one error of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from model_files import save_small, small_model

import s2s_export
from s2s_export import ExportError, ExportOptions, ModelFileError
from s2s_runtime import S2SError
from s2s_training.config.data import DataConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import ConfigError, SplitError
from s2s_training.splitting.splitter import split
from s2s_training.train import train

pytestmark = pytest.mark.tensorflow


def nothing(*_: Any) -> None:
    """A function, as some arguments are."""


CASES: dict[str, tuple[Any, list[Any], dict[str, Any], type[S2SError], str]] = {
    "a model": (s2s_export.export, ["model.keras", "out"], {}, ExportError, "model: expected a keras.Model, got 'mod"),
    "a path": (s2s_export.export, [keras.Sequential(), 3], {}, ExportError, "path: expected a path, got 3"),
    "options": (s2s_export.export, [keras.Sequential(), "a", {}], {}, ExportError, "options: expected ExportOptions"),
    "functions": (
        s2s_export.export_steps,
        ["a", nothing, "b"],
        {},
        ExportError,
        "encode: expected a function, got 'a'",
    ),
    "inputs": (
        s2s_export.export_steps,
        [nothing, nothing, "b"],
        {"inputs": []},
        ExportError,
        "inputs: expected the so",
    ),
    "states": (
        s2s_export.export_pair,
        [keras.Sequential(), keras.Sequential(), "a"],
        {"states": [1]},
        ExportError,
        "states: expected a mapping of names to texts or None, got [1]",
    ),
    "a file": (s2s_export.load_model, [["m.keras"]], {}, ModelFileError, "path: expected a path, got ['m.keras']"),
    "lambdas": (s2s_export.load_model, ["m.keras"], {"lambdas": ["a"]}, ModelFileError, "lambdas: expected a mapping"),
    "a name": (
        s2s_export.build_model,
        [nothing, "w.h5"],
        {},
        ModelFileError,
        "function: expected a text, got <function",
    ),
    "no weights": (s2s_export.build_model, ["a:b", ""], {}, ModelFileError, "no such file"),
    "ids": (
        ExportOptions,
        [],
        {"end_ids": np.ones((1, 2))},
        ExportError,
        "end_ids: expected a list of ids from 0, got",
    ),
    "bytes": (ExportOptions, [], {"end_ids": b"ab"}, ExportError, "end_ids: expected a list of ids from 0, got b'ab'"),
    "a tensor": (
        ExportOptions,
        [],
        {"references": keras.Input((2,))},
        ExportError,
        "references: expected a list of tex",
    ),
    "pairs": (ExportOptions, [], {"pairs": [("a",)]}, ExportError, "pairs: expected a file, or (source, target) texts"),
    "feeds": (
        split,
        [keras.Sequential()],
        {"feeds": 0.5},
        SplitError,
        "feeds: expected a mapping of names to texts or No",
    ),
    "start": (
        split,
        [keras.Sequential()],
        {"start": "ones"},
        SplitError,
        "start: expected an integer or None or 'zeros'",
    ),
    "a section": (
        TrainingConfig,
        [],
        {"data": "pairs.tsv"},
        ConfigError,
        "data: expected a DataConfig, got 'pairs.tsv'",
    ),
    "a configuration": (
        train,
        ["pairs.tsv", "run"],
        {},
        ConfigError,
        "config: expected a TrainingConfig, got 'pairs.tsv'",
    ),
    "a callback": (
        train,
        [TrainingConfig(data=DataConfig(data="pairs.tsv")), "run"],
        {"callbacks": [nothing], "resume": 1},
        ConfigError,
        "callbacks: expected a list of Keras's callbacks",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_another_kind_is_one_error(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the argument, what was expected and what came; nothing is written."""
    call, arguments, named, error, words = CASES[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        call(*arguments, **named)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_long_values_are_cut_in_messages(tmp_path: Path) -> None:
    """A text of a hundred thousand characters makes no message of as many."""
    with pytest.raises(SplitError) as caught:
        split(small_model(), decoder_input="a" * 100_000)
    assert len(str(caught.value)) < 500
    assert s2s_export.load_model(str(save_small(tmp_path / "m.keras")), custom_objects={}) is not None
