"""What the rows of the table of official examples have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from random_weights import randomise

SOURCE: Final = 11
"""Ids of the source."""
TARGET: Final = 9
"""Ids of the target."""
START: Final = 1
END: Final = 2
LENGTH: Final = 6
"""Steps of the source."""
STEPS: Final = 5
"""Most steps of the target."""
ROWS: Final = 3


@dataclass(frozen=True)
class Exported:
    """An example, exported, and what its own way of using the model gives.

    Attributes:
        given: what the bundle gives, for a loaded bundle.
        wanted: what the loop of the example gives: rows of ids, or an array of values.
    """

    given: Callable[[Any], Any]
    wanted: Any


@dataclass(frozen=True)
class Example:
    """A row of the table.

    Attributes:
        title: title of the page.
        run: builds the model with random weights, exports it to a path and returns what to compare.
        typed: what to type for it.
        dear: whether its export takes seconds, most of them tf2onnx's, for what the other examples try too: `make
            official` runs it, `make test` doesn't.
    """

    title: str
    run: Callable[[Path], Exported]
    typed: str
    dear: bool = False


def numbers(*shape: int) -> np.ndarray:
    """Return float32 noise of a shape, always the same."""
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def ids(size: int, *shape: int, least: int = 1) -> np.ndarray:
    """Return random ids of a shape, always the same."""
    return np.random.default_rng(2).integers(least, size, shape)


def weighted(model: Any, *never: int, head: Any = None, scale: float = 2) -> Any:
    """Return a model with random weights in which some symbols are as unlikely as training makes them.

    Args:
        model: a model, or a list of layers.
        never: ids that training has never shown as a target, such as that of the start.
        head: the layer that gives the symbols; None = the last of the model.
        scale: how large weights are, which are products with what comes before.
    """
    parts = model if isinstance(model, list) else [model]
    for part in parts:
        randomise(part)
    for weight in [weight for part in parts for weight in part.weights]:
        if "bias" in weight.path or "beta" in weight.path:
            weight.assign(weight * 0)
        elif len(weight.shape) > 1:  # what is written has to change with what is read
            weight.assign(weight * scale)
    if never:
        head = parts[-1].layers[-1] if head is None else head
        head = getattr(head, "layer", head)
        bias = np.zeros(head.bias.shape)
        bias[list(never)] = -40
        head.bias.assign(bias)
    return model


def run(model: keras.Model, *arrays: np.ndarray) -> Any:
    """Return what a model gives outside of training, as NumPy arrays."""
    given = model(list(arrays) if len(arrays) > 1 else arrays[0], training=False)
    return keras.tree.map_structure(np.asarray, given)


def until_the_end(rows: list[int]) -> list[int]:
    """Return the ids before the first end."""
    return rows[: rows.index(END)] if END in rows else rows


def grown(
    model: keras.Model, source: np.ndarray, *, filled: int | None = None, start: int = START, end: int = END
) -> list[list[int]]:
    """Return what a loop writes that feeds the whole model with all that is written, a source at a time.

    Args:
        model: from a source and a target to what follows each symbol.
        source: rows of sources.
        filled: length to which what is written is filled with zeros, as a `TextVectorization` does; None = not at all.
        start: id that is fed first.
        end: id that ends a target.
    """
    made = []
    for row in source:
        written = [start]
        for step in range(STEPS):
            fed = written + [0] * ((filled or 0) - len(written))
            symbol = int(run(model, row[None], np.array([fed]))[0, step].argmax())
            if symbol == end:
                break
            written.append(symbol)
        made.append(written[1:])
    return made


def tokens(bundle: Any, rows: Any, **options: Any) -> list[list[int]]:
    """Return the ids that a bundle gives."""
    return [list(result.ids) for result in bundle.generate(rows, **options)]
