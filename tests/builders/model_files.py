"""Small model files, and files made of them with something in the configuration or the archive altered by hand."""

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import keras
from keras import layers

TOKENS = ("--start-id", "1", "--end-id", "2", "--max-length", "5")


def small_model(wrapped: bool = False) -> keras.Model:
    """An encoder-decoder of few weights; `wrapped` puts a layer of it into another."""
    source, target = keras.Input((None,), name="source"), keras.Input((None,), name="target")
    _, *states = layers.LSTM(3, return_state=True, name="encoder")(layers.Embedding(8, 4, mask_zero=True)(source))
    y = layers.LSTM(3, return_sequences=True, name="decoder")(layers.Embedding(7, 4)(target), initial_state=states)
    head = layers.Dense(7, activation="softmax", name="head")
    return keras.Model([source, target], layers.TimeDistributed(head, name="each")(y) if wrapped else head(y))


@cache
def _small_file(ending: str, wrapped: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        small_model(wrapped).save(path)
        return path.read_bytes()


def save_small(path: Path, wrapped: bool = False) -> Path:
    """Write a file of the small model, in the format that its ending names; the model is built once."""
    path.write_bytes(_small_file(path.suffix, wrapped))
    return path


def entries(config: Any) -> Iterator[dict[str, Any]]:
    """Everything with a class name in a configuration."""
    inner = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    if isinstance(config, dict) and "class_name" in config:
        yield config
    for entry in inner:
        yield from entries(entry)


def named(config: Any, name: str) -> dict[str, Any]:
    """The layer of that name."""
    return next(e for e in entries(config) if isinstance(e["config"], dict) and e["config"].get("name") == name)


def with_config(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Alter the configuration in a `.keras` or `.h5` file in place."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(held["config.json"])
    change(config)
    return write_archive(path, held | {"config.json": json.dumps(config).encode()})


def write_archive(path: Path, held: dict[str, bytes], **options: Any) -> Path:
    """Write a zip file of these entries."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    return path
