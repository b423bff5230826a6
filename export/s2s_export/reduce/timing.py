"""How long a batch takes with each kind of numbers, on this machine, in turn."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from s2s_runtime import Model

_ROUNDS: Final = 15
_MOST_SECONDS: Final = 20.0


def times(models: Mapping[str, Model], inputs: Any, batch: int, max_length: int) -> dict[str, float]:
    """Return the median milliseconds in which each model decodes a batch greedily.

    The models take turns, so that whatever else the machine does meets all of them.

    Args:
        models: by what they are called.
        inputs: as `Model.generate` takes them; where there are fewer than `batch`, they are repeated.
        batch: sentences in a batch.
        max_length: longest target.
    """
    given, seconds = _batch(inputs, batch), {name: list[float]() for name in models}
    for model in models.values():
        model.generate(given, max_length=max_length, max_batch_size=batch)
    began = time.perf_counter()
    for done in range(_ROUNDS):
        for name, model in models.items():
            start = time.perf_counter()
            model.generate(given, max_length=max_length, max_batch_size=batch)
            seconds[name].append(time.perf_counter() - start)
        if done >= 2 and time.perf_counter() - began > _MOST_SECONDS:
            break
    return {name: float(np.median(values)) * 1e3 for name, values in seconds.items()}


def _batch(inputs: Any, count: int) -> Any:
    """Return so many of the inputs, from the first on, again and again where there are fewer."""
    if isinstance(inputs, Mapping):
        return {name: _batch(column, count) for name, column in inputs.items()}
    return [inputs[index % len(inputs)] for index in range(count)]
